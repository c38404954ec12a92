// Short sketches of rows, in the memory of one process, from which a pass tells the rows that may
// be near the query from those that are not, without touching their slots.
//
// A sketch is a bit for each dimension and two numbers (RaBitQ; Gao and Long, SIGMOD 2024). The
// vector, less the mean of all, is turned by a fixed rotation; the bits are the signs of what comes
// out. From them and the query follows an estimate of the distance, and how far the estimate is
// probably off: the rotation makes of the error a random number, with a spread that is known. So a
// sketch shuts out most rows, and now and then one that is near. What it does not shut out has to
// be measured.
//
// Sketches are made of the rows that passes measure, as they come, so there is nothing to store and
// nothing to repair. They are worth making when passes have cost as much as making them does.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/distance/kernel.hpp"
#include "engine/graph/node_store.hpp"
#include "engine/graph/rotation.hpp"

namespace dvec::graph {

class Sketches {
  public:
    Sketches() = default;
    ~Sketches();
    Sketches(const Sketches &) = delete;
    Sketches &operator=(const Sketches &) = delete;

    // Of the rows of this index from now on, below `linked`; the same index every time.
    // `most_bytes` limits the sketches of all indexes in the process: what has no room has no
    // sketch. False where there can be none: vectors are short, elements are no floats, or the
    // metric is none that sums products.
    bool prepare(const NodeStore &nodes, NodeId linked, const distance::Kernel &kernel,
                 std::uint32_t dimensions, std::size_t most_bytes);

    // Notes time that sketches would have saved.
    void would_have_saved(double time) noexcept { owed_ += std::max(0.0, time); }
    // Whether all that they would have saved is worth the time that making some takes, and there is
    // room for more; pay() takes it off.
    bool worth_making(double time) const noexcept { return owed_ >= time && !full_; }
    void pay(double time) noexcept { owed_ -= time; }

    // To be told of each pass by sketches whether they have told the nearest rows from the others.
    // Where they do not (rows that are all alike), there are soon none.
    void note(bool told_enough) noexcept {
        trust_ = told_enough ? std::min(trust_ + 1, most_trust) : trust_ - lost_trust;
    }

    // Whether the row has one, and brings it closer.
    bool has(NodeId id) const noexcept {
        const std::byte *at = find(id);
        if (at == nullptr)
            return false;
        Head head;
        __builtin_memcpy(&head, at, sizeof(head));
        return std::bit_cast<std::uint32_t>(head.factor) != 0;
    }
    [[gnu::always_inline]] void prefetch(NodeId id) const noexcept {
        if (const std::byte *at = find(id))
            __builtin_prefetch(at);
    }

    // Makes the sketch of a row that has none, unless there is no room or the vector is none that
    // can be measured.
    void make(const NodeStore &nodes, NodeId id);

    // What a query needs to be compared with sketches.
    class Query {
      public:
        // `query` has the index's dimensions. The sketches must be prepared.
        void reset(const Sketches &sketches, const float *query);

        // What the distance to the row hardly ever is below; NaN where the row has no sketch.
        float likely_bound(const Sketches &sketches, NodeId id) const noexcept {
            const std::byte *at = sketches.find(id);
            if (at == nullptr)
                return none;
            Head head;
            __builtin_memcpy(&head, at, sizeof(head));
            if (std::bit_cast<std::uint32_t>(head.factor) == 0)
                return none;
            return constant_ + head.base + head.factor * (sum(at + sizeof(head)) + margin_);
        }

      private:
        static constexpr float none = __builtin_nanf("");
        float sum(const std::byte *bits) const noexcept;

        // For each byte of a sketch and each of its values, twice the sum of the elements whose
        // bits are set.
        std::vector<float> sums_;
        std::size_t bytes_ = 0;
        float constant_ = 0;
        float margin_ = 0;
        std::vector<float> turned_;
    };

  private:
    // Before the bits. The estimate is base + factor * (sum of the query's elements, with the signs
    // of the bits) + what depends on the query alone. `factor` is never above 0, and its bits are 0
    // only where there is no sketch.
    struct Head {
        float base;
        float factor;
    };
    static constexpr NodeId chunk_ids = 4096;

    std::byte *place(NodeId id) const noexcept {
        return chunks_[id / chunk_ids].get() + std::size_t{id % chunk_ids} * stride_;
    }
    const std::byte *find(NodeId id) const noexcept {
        return id / chunk_ids < chunks_.size() && chunks_[id / chunk_ids] ? place(id) : nullptr;
    }
    bool read(const NodeStore &nodes, NodeId id, float *vector) const;
    void find_mean(const NodeStore &nodes, NodeId linked);

    distance::Metric metric_ = distance::Metric::l2_squared;
    std::size_t dimensions_ = 0;  // 0: not prepared
    Rotation rotation_;
    std::size_t width_ = 0;  // of what it turns
    std::size_t stride_ = 0;
    std::size_t most_bytes_ = 0;
    bool full_ = false;  // there was no room for a row's
    std::vector<float> mean_;
    std::vector<float> scratch_;
    std::vector<std::unique_ptr<std::byte[]>> chunks_;
    double owed_ = 0;
    int trust_ = most_trust;
    static constexpr int most_trust = 16;
    static constexpr int lost_trust = 2;
};

}  // namespace dvec::graph
