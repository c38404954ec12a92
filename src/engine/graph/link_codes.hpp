// Codes of a node's neighbours beside the links to them: the file `linkcodes.G`, from which a walk
// estimates the distances of all neighbours with one read of memory, instead of one for each.
//
// A link code is a bit for each dimension and two numbers (RaBitQ; Gao and Long, SIGMOD 2024; with
// the node itself for the centre, as in SymphonyQG, Gou et al., SIGMOD 2025). The way from the node
// to the neighbour is turned by a fixed rotation, and the bits are the signs of what comes out.
// From them, the query and the distance of the node follows an estimate of the neighbour's
// distance:
//
//     |q - r|^2 = |q - c|^2 + |r - c|^2 - 2 (r - c).(q - c)     c the node, r the neighbour
//
// By inner product, and so by cosine, the part of the query that lies along the node is known:
//
//     q.r = q.c + s c.(r - c) + (q - s c).(r - c)               s = q.c / c.c
//
// What is estimated are the last terms, with an error in proportion to |q - c| and |q - s c|.
//
// The codes of thirty-two neighbours stand together, byte by byte, as distance/link_codes.hpp wants
// them. Everything here is derived from links and vectors, and nothing of it is kept over a
// restart: SharedState::coded says how many nodes have their codes, 0 at first. Codes that are out
// of date cost recall and no more: ids are checked as those of links are, and every distance that
// leaves a search is measured.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/base/status.hpp"
#include "engine/distance/kernel.hpp"
#include "engine/distance/link_codes.hpp"
#include "engine/graph/link_changes.hpp"
#include "engine/graph/node_store.hpp"
#include "engine/graph/record_file.hpp"
#include "engine/graph/rotation.hpp"

namespace dvec::graph {

// One process's view of the file. Any number read; one thread writes.
class LinkCodes {
  public:
    // Whether vectors that the kernel measures can have codes.
    static bool possible(const distance::Kernel &kernel, std::uint32_t dimensions) noexcept;

    // Opens and maps the file that belongs to these nodes. `nodes` must outlive it.
    // Code::not_found when there is none.
    static base::Result<std::unique_ptr<LinkCodes>> open(base::FileSystem &file_system,
                                                         const NodeStore::Params &params,
                                                         const distance::Kernel &kernel,
                                                         std::uint32_t dimensions);
    // Removes a file that is there and begins an empty one. Only while SharedState::coded is 0.
    static base::Status create(base::FileSystem &file_system, const NodeStore::Params &params,
                               const distance::Kernel &kernel, std::uint32_t dimensions);

    // Removes the file; it is no failure when there is none. Processes that map it may go on.
    static base::Status remove(base::FileSystem &file_system, const NodeStore::Params &params);

    // Makes the mapping cover the codes of the ids below `end`; `grow` for the party that writes,
    // which makes space for them first.
    base::Status follow(NodeId end);
    base::Status grow(NodeId end);

    // Codes the links of the node as they are now; `before` says whether it was done before. By
    // the party that links, between two batches.
    enum class Before : std::uint8_t { nothing, coded };
    void code(const NodeStore &nodes, NodeId id, Before before);
    // Where it is to be noted that links have changed since they were coded, of the ids below
    // `end`; until the mapping changes.
    LinkChanges changes(NodeId end) const noexcept { return {file_.first(), record_bytes_, end}; }
    // Whether the codes are those of the links that the node has.
    bool current(NodeId id) const noexcept {
        return (ids(block(id, 0))->load(std::memory_order_acquire) & LinkChanges::changed_bit) == 0;
    }

    std::uint32_t blocks() const noexcept { return blocks_; }
    // The ids of a block's links, codes_at_once words; what stands behind the last is no id.
    const std::byte *block(NodeId id, std::uint32_t number) const noexcept {
        return file_.first() + std::size_t{id} * record_bytes_ + number * block_bytes_;
    }
    static const std::atomic<NodeId> *ids(const std::byte *block) noexcept {
        return reinterpret_cast<const std::atomic<NodeId> *>(block);
    }
    std::size_t block_lines() const noexcept { return block_bytes_ / cache_line; }

    // What a query needs to be compared with codes.
    class Query {
      public:
        // `query` is encoded as the index's vectors are. False where nothing can be estimated.
        bool reset(const LinkCodes &codes, const void *query);
        // The distances of a block's neighbours, in the units of the kernel, from that of the node.
        void estimate(const std::byte *block, float node, float *distances) const noexcept;

      private:
        void make_table(const float *elements, float steps, unsigned char *table) const noexcept;

        distance::Metric metric_ = distance::Metric::l2_squared;
        const distance::LinkCodeKernels *kernels_ = nullptr;
        std::size_t bytes_ = 0;
        float step_ = 0;
        float least_ = 0;
        std::vector<float> turned_;
        std::vector<unsigned char> tables_;
    };

  private:
    LinkCodes(base::FileSystem &file_system, const distance::Kernel &kernel,
              std::uint32_t dimensions, const Layout &layout);

    bool read(const void *vector, float *out) const noexcept;
    class Place;
    void code_link(const NodeStore &nodes, NodeId neighbour, const Place &to);
    std::uint32_t find_before(NodeId neighbour) noexcept;

    base::FileSystem &file_system_;
    const distance::Kernel kernel_;
    const std::uint32_t dimensions_;
    const Rotation rotation_;
    std::uint32_t blocks_;
    std::size_t block_bytes_;
    std::size_t record_bytes_;
    RecordFile file_;
    // Scratch of code().
    std::vector<float> node_;
    std::vector<float> node_turned_;
    float node_square_ = 0;
    std::vector<float> way_;
    std::vector<std::byte> before_;
};

}  // namespace dvec::graph
