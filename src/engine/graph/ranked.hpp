// A node with the whole of its distance. A Candidate has room for a float only, this has a double:
// rows come out of a search in the order of the SQL operator, and operators return doubles.
#pragma once

#include <bit>
#include <compare>
#include <cstdint>
#include <limits>

#include "engine/graph/format.hpp"

namespace dvec::graph {

// Ordered by (distance, id), as candidates are: NaN comes after +infinity, as it does in SQL, and
// -0 is 0. Where a bound and a distance are equal, the bound comes first.
class Ranked {
  public:
    enum class Kind : std::uint8_t { bound, distance };

    constexpr Ranked() = default;
    Ranked(double distance, NodeId id, Kind kind) noexcept
        : key_(key_of(distance)), id_and_kind_(id << 1 | static_cast<std::uint32_t>(kind)) {
        static_assert(max_nodes < 0x80000000u, "an id and a bit share 32 bits");
    }

    // first() comes before every node, last() after every node.
    static constexpr Ranked first() noexcept { return {}; }
    static constexpr Ranked last() noexcept {
        Ranked last;
        last.key_ = std::numeric_limits<std::uint64_t>::max();
        last.id_and_kind_ = std::numeric_limits<std::uint32_t>::max();
        return last;
    }

    // Another node at the same distance.
    Ranked with_id(NodeId id) const noexcept {
        Ranked other = *this;
        other.id_and_kind_ = id << 1 | (id_and_kind_ & 1);
        return other;
    }

    NodeId id() const noexcept { return id_and_kind_ >> 1; }
    // The distance, or its lower bound where is_bound().
    double distance() const noexcept {
        return std::bit_cast<double>((key_ & sign) != 0 ? key_ ^ sign : ~key_);
    }
    bool is_bound() const noexcept { return (id_and_kind_ & 1) == 0; }

    auto operator<=>(const Ranked &) const = default;

  private:
    static constexpr std::uint64_t sign = std::uint64_t{1} << 63;

    // Unsigned order is numeric order: negatives inverted, the sign bit flipped otherwise.
    static std::uint64_t key_of(double distance) noexcept {
        // Adding zero turns -0 into +0.
        std::uint64_t bits = std::bit_cast<std::uint64_t>(distance + 0.0);
        if (distance != distance)
            bits = 0x7FF8000000000000u;
        return bits ^ ((bits & sign) != 0 ? ~std::uint64_t{0} : sign);
    }

    std::uint64_t key_ = 0;
    std::uint32_t id_and_kind_ = 0;
};
static_assert(sizeof(Ranked) == 16);

}  // namespace dvec::graph
