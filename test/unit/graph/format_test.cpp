// The layout of slots and blocks, and the level function.
#include "engine/graph/format.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "engine/distance/kernel.hpp"

namespace dvec::graph {
namespace {

TEST(LayoutTest, PartsAreAlignedAndDoNotOverlap) {
    for (std::uint32_t m = 2; m <= 100; ++m) {
        for (const std::uint32_t bytes : {4u, 12u, 512u, 3072u, 64000u}) {
            const Layout layout = Layout::make(m, bytes);
            EXPECT_EQ(layout.vector_offset % cache_line, 0u);
            EXPECT_EQ(layout.stride % cache_line, 0u);
            // One word beyond the ids belongs to the list: hnswlib reads it.
            EXPECT_GE(layout.vector_offset, sizeof(SlotHeader) + 4 * (2 * m + 1));
            EXPECT_LT(layout.vector_offset, sizeof(SlotHeader) + 4 * (2 * m + 1) + cache_line);
            EXPECT_GE(layout.stride, layout.vector_offset + bytes);
            EXPECT_LT(layout.stride, layout.vector_offset + bytes + cache_line);
            EXPECT_EQ(layout.upper_block_bytes % 8, 0u);
            EXPECT_GE(layout.upper_block_bytes, 4 * (layout.owner_word() + 1));
            EXPECT_GT(layout.owner_word(), m);
        }
    }
}

TEST(LayoutTest, CodesLieBetweenLinksAndVector) {
    for (std::uint32_t m = 2; m <= 100; ++m) {
        for (const std::uint32_t bytes : {1u, 52u, 140u, 2012u}) {
            const Layout layout = Layout::make(m, 512, bytes);
            const std::size_t links_end = sizeof(SlotHeader) + 4 * (2 * std::size_t{m} + 1);
            EXPECT_EQ(layout.code_bytes, bytes);
            EXPECT_GE(layout.code_offset, links_end);
            EXPECT_LT(layout.code_offset, links_end + cache_line);
            EXPECT_LE(layout.code_offset, layout.link_lines() * cache_line);
            EXPECT_GE(layout.vector_offset, layout.code_offset + bytes);
            EXPECT_LT(layout.vector_offset, layout.code_offset + bytes + cache_line);
            EXPECT_EQ(layout.vector_offset % cache_line, 0u);
            EXPECT_GE(layout.stride, layout.vector_offset + 512);
        }
    }
}

TEST(LayoutTest, OnlyLongFloatVectorsOfTwoMetricsHaveCodes) {
    using distance::Element;
    using distance::Metric;
    const auto code_bytes = [](Element element, Metric metric, std::uint32_t dimensions) {
        const distance::Kernel *kernel = distance::find_kernel(element, metric);
        EXPECT_NE(kernel, nullptr);
        const Layout layout = layout_of(*kernel, dimensions, 16);
        EXPECT_EQ(layout, Layout::make(16, layout.vector_bytes, layout.code_bytes, layout.lengths));
        EXPECT_EQ(layout.vector_bytes, kernel->vector_bytes(dimensions));
        return layout.code_bytes;
    };
    for (const Metric metric : {Metric::l2_squared, Metric::inner_product, Metric::cosine}) {
        EXPECT_EQ(code_bytes(Element::float32, metric, 127), 0u);
        EXPECT_EQ(code_bytes(Element::float32, metric, 128), 144u);
        EXPECT_EQ(code_bytes(Element::float32, metric, 2000), 2016u);
        EXPECT_EQ(code_bytes(Element::float16, metric, 2000), 0u);
        EXPECT_EQ(code_bytes(Element::sparse_float32, metric, 2000), 0u);
    }
    EXPECT_EQ(code_bytes(Element::float32, Metric::l1, 2000), 0u);
    EXPECT_EQ(code_bytes(Element::bit, Metric::hamming, 2000), 0u);
}

TEST(LayoutTest, VectorsWithoutCodesHaveTheirLengthsBehindThemForCosine) {
    using distance::Element;
    using distance::Metric;
    const auto layout = [](Element element, Metric metric, std::uint32_t dimensions) {
        return layout_of(*distance::find_kernel(element, metric), dimensions, 16);
    };
    const Layout floats = layout(Element::float32, Metric::cosine, 50);
    EXPECT_EQ(floats.lengths, Lengths::of_floats);
    EXPECT_EQ(floats.length_behind(), 200u);
    EXPECT_EQ(floats.measured_bytes(), 204u);
    EXPECT_EQ(floats.stride, 448u) << "there was room";
    EXPECT_EQ(layout(Element::float32, Metric::cosine, 64).stride, 512u);
    const Layout halves = layout(Element::float16, Metric::cosine, 769);
    EXPECT_EQ(halves.lengths, Lengths::of_halves);
    EXPECT_EQ(halves.length_behind(), 1540u);
    EXPECT_EQ(layout(Element::float32, Metric::cosine, 128).lengths, Lengths::none);
    EXPECT_EQ(layout(Element::float32, Metric::l2_squared, 50).lengths, Lengths::none);
    EXPECT_EQ(layout(Element::sparse_float32, Metric::cosine, 50).lengths, Lengths::none);
    EXPECT_EQ(layout(Element::float16, Metric::inner_product, 50).lengths, Lengths::none);
}

TEST(LayoutTest, BytesOnDiskStayWhatTheyAre) {
    const Layout layout = Layout::make(16, 512);
    EXPECT_EQ(layout.vector_offset, 192u);
    EXPECT_EQ(layout.stride, 704u);
    EXPECT_EQ(layout.upper_block_bytes, 72u);
    const Layout coded = Layout::make(16, 512, 140);
    EXPECT_EQ(coded.code_offset, 156u);
    EXPECT_EQ(coded.vector_offset, 320u);
    EXPECT_EQ(coded.stride, 832u);
    EXPECT_EQ(pack_state({0x11223344, 0x5566}, slot_ready), 0x1122334455660101u);
    EXPECT_EQ(state_tid(0x1122334455660101u), (Tid{0x11223344, 0x5566}));
    EXPECT_EQ(state_flags(0x1122334455660505u), slot_ready | slot_hole);
}

TEST(SlotStateTest, NoSingleDamagedByteMakesOtherSoundFlags) {
    for (const int flags : {0, int{slot_ready}, slot_ready | slot_deleted, int{slot_hole}}) {
        ASSERT_TRUE(flags_sound(static_cast<std::uint16_t>(flags)));
        for (const int byte : {0, 8})
            for (int change = 1; change < 256; ++change) {
                const auto damaged = static_cast<std::uint16_t>(flags ^ change << byte);
                EXPECT_FALSE(flags_sound(damaged)) << damaged;
                if (flags != slot_ready) {
                    EXPECT_FALSE(is_live(pack_state({1, 1}, damaged))) << damaged;
                }
            }
    }
}

// Levels of existing indexes depend on these values: they may never change.
TEST(NodeLevelTest, IsFixedForever) {
    std::uint64_t sum = 0;
    for (NodeId id = 0; id < 10000; ++id)
        sum = sum * 31 + static_cast<std::uint64_t>(node_level(id, 16));
    EXPECT_EQ(sum, 13376868736239548693u);
}

TEST(NodeLevelTest, IsGeometricWithRatioM) {
    constexpr NodeId nodes = 1000000;
    for (const std::uint32_t m : {2u, 16u, 100u}) {
        std::array<std::uint32_t, max_level + 1> at_least{};
        for (NodeId id = 0; id < nodes; ++id) {
            const int level = node_level(id, m);
            ASSERT_GE(level, 0);
            ASSERT_LE(level, max_level);
            for (int l = 0; l <= level; ++l)
                ++at_least[static_cast<std::size_t>(l)];
        }
        double expected = nodes;
        for (std::size_t l = 1; l <= 4 && expected / m > 20; ++l) {
            expected /= m;
            EXPECT_NEAR(at_least[l], expected, 5 * std::sqrt(expected))
                << "m " << m << " level " << l;
        }
    }
}

TEST(NodeLevelTest, IsNeverBeyondTheMaximum) {
    for (NodeId id = max_nodes - 100000; id < max_nodes; ++id)
        ASSERT_LE(node_level(id, 2), max_level);
}

}  // namespace
}  // namespace dvec::graph
