// Which share of the nearest rows searches of a graph find, by how wide they are: measured on a
// sample of its own rows (recall_measure.hpp), and asked for the width that reaches a target.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace dvec::graph {

// The points of a curve: for how many neighbours, and with which ef. An ef is measured for numbers
// of neighbours up to it.
inline constexpr std::array<std::uint32_t, 4> curve_neighbours{1, 10, 100, 1000};
inline constexpr std::array<std::uint32_t, 16> curve_efs{
    10, 16, 25, 40, 63, 100, 160, 250, 400, 630, 1000, 1600, 2500, 4000, 6300, 10000};

// Plain data.
struct RecallCurve {
    struct Point {
        float recall = 0;  // the mean of the queries
        float error = 0;   // its standard error
    };

    std::uint64_t generation = 0;  // of the node files that it was measured in
    std::uint32_t rows = 0;        // that were linked and there; 0: nothing was measured
    std::uint32_t queries = 0;     // at small efs; wide searches are made for some of these only
    std::array<std::array<Point, curve_efs.size()>, curve_neighbours.size()> points{};

    // The least ef with which the first `neighbours` rows of a search hold, on average, this share
    // of the nearest ones, sampling errors allowed for. At least `neighbours`, and between the
    // first and the last of curve_efs. There must be something measured.
    std::uint32_t ef_for(double recall, double neighbours) const noexcept;
};

// What is used while nothing is known of a graph: more than most need.
std::uint32_t careful_ef(double recall, double neighbours) noexcept;

// A curve where several processes see it; all zero: none. One party stores, any may load
// meanwhile: each number that a load gives was stored by somebody, and a curve that is put together
// from two measurements is as good as either.
class SharedRecallCurve {
  public:
    std::optional<RecallCurve> load() const noexcept;
    void store(const RecallCurve &curve) noexcept;

  private:
    static constexpr std::size_t numbers = 2 * curve_efs.size() * curve_neighbours.size();

    std::atomic<std::uint64_t> generation_;
    std::atomic<std::uint32_t> rows_;
    std::atomic<std::uint32_t> queries_;
    std::atomic<float> numbers_[numbers];
};

}  // namespace dvec::graph
