// The level function of the graph format, and where the parts of a slot are for a kind of vector.
#include "engine/graph/format.hpp"

#include "engine/distance/compact.hpp"
#include "engine/distance/kernel.hpp"
#include "engine/graph/mixed_bits.hpp"

namespace dvec::graph {

namespace {

// Consecutive ids become independent-looking 64-bit words.
constexpr std::uint64_t scramble(std::uint64_t word) noexcept {
    return mixed_bits(word + mixed_bits_step);
}

}  // namespace

Layout layout_of(const distance::Kernel &kernel, std::uint32_t dimensions, std::uint32_t m,
                 std::uint32_t columns) {
    const auto code_bytes = static_cast<std::uint32_t>(kernel.vector_code_bytes(dimensions));
    auto lengths = Lengths::none;
    if (kernel.product != nullptr && code_bytes == 0)
        lengths =
            kernel.element == distance::Element::float16 ? Lengths::of_halves : Lengths::of_floats;
    // Compact vectors follow the links at once: what would lie between them is what they are to
    // spare.
    const std::size_t alignment =
        distance::compact_bits(kernel.element) != 0 ? alignof(std::uint64_t) : cache_line;
    Layout layout = Layout::make(m, static_cast<std::uint32_t>(kernel.vector_bytes(dimensions)),
                                 code_bytes, lengths, alignment);
    layout.columns = columns;
    return layout;
}

int node_level(NodeId id, std::uint32_t m) noexcept {
    // With `word` uniform, P(level >= l) = P(word < 2^64 / M^l) = M^-l.
    const std::uint64_t word = scramble(id);
    std::uint64_t threshold = ~std::uint64_t{0} / m;
    int level = 0;
    while (word < threshold && level < max_level) {
        ++level;
        threshold /= m;
    }
    return level;
}

}  // namespace dvec::graph
