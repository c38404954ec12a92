// The choice of an instruction set, and the kernel table as the rest of the engine sees it.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "engine/distance/float32.hpp"
#include "engine/distance/isa.hpp"
#include "engine/distance/kernel.hpp"
#include "isa_test_case.hpp"

namespace dvec::distance {
namespace {

// These stand in data files. A change here is a change of the on-disk format.
static_assert(static_cast<int>(Element::float32) == 1);
static_assert(static_cast<int>(Element::float16) == 2);
static_assert(static_cast<int>(Element::bit) == 3);
static_assert(static_cast<int>(Element::sparse_float32) == 4);
static_assert(static_cast<int>(Metric::l2_squared) == 1);
static_assert(static_cast<int>(Metric::inner_product) == 2);
static_assert(static_cast<int>(Metric::l1) == 3);
static_assert(static_cast<int>(Metric::hamming) == 4);
static_assert(static_cast<int>(Metric::jaccard) == 5);
static_assert(static_cast<int>(Metric::cosine) == 6);

constexpr Metric every_metric[] = {Metric::l2_squared, Metric::inner_product, Metric::l1};

constexpr float left[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
constexpr float right[] = {2, 2, 2, 2, 2, 2, 2, 2, 2};
constexpr std::size_t length = 9;

float expected_distance(Metric metric) {
    switch (metric) {
        case Metric::l2_squared:
            return 141;
        case Metric::inner_product:
            return -90;
        case Metric::l1:
            return 29;
        case Metric::hamming:
        case Metric::jaccard:
        case Metric::cosine:
            break;
    }
    return 0;
}

// Evaluated before main, in an unspecified order with the initialisation of the dispatcher's file.
const float early_distance = l2_squared(left, right, length);
const Isa early_isa = active_isa();
const Kernel *const early_row = find_kernel(Element::float32, Metric::l1);

class Dispatch : public testing::Test {
  protected:
    void TearDown() override { select_isa(best_isa()); }
};

TEST_F(Dispatch, WorksFromStaticInitialisers) {
    EXPECT_EQ(early_distance, 141);
    EXPECT_EQ(early_isa, best_isa());
    ASSERT_NE(early_row, nullptr);
    EXPECT_EQ(early_row->distance(left, right, length), 29);
}

TEST_F(Dispatch, ScalarIsAlwaysSupported) {
    EXPECT_TRUE(isa_supported(Isa::scalar));
    EXPECT_TRUE(isa_supported(best_isa()));
}

TEST_F(Dispatch, TheBestIsTheLastSupported) {
    for (const Isa isa : every_isa) {
        if (isa > best_isa()) {
            EXPECT_FALSE(isa_supported(isa)) << isa_name(isa);
        }
    }
}

TEST_F(Dispatch, NoMachineHasBothArchitectures) {
    EXPECT_FALSE(isa_supported(Isa::neon) && isa_supported(Isa::avx2));
}

TEST_F(Dispatch, SelectsWhatIsSupportedAndNothingElse) {
    for (const Isa isa : every_isa) {
        ASSERT_TRUE(select_isa(Isa::scalar));
        EXPECT_EQ(select_isa(isa), isa_supported(isa)) << isa_name(isa);
        EXPECT_EQ(active_isa(), isa_supported(isa) ? isa : Isa::scalar);
        EXPECT_EQ(l2_squared(left, right, length), 141);
    }
    const Isa before = active_isa();
    EXPECT_FALSE(select_isa(static_cast<Isa>(200)));
    EXPECT_EQ(active_isa(), before);
}

TEST_F(Dispatch, NamesRoundTrip) {
    for (const Isa isa : every_isa) {
        EXPECT_EQ(parse_isa(isa_name(isa)), isa);
    }
    for (const char *unknown : {"", "auto", "AVX2", "avx", "avx2 ", "avx5123"}) {
        EXPECT_EQ(parse_isa(unknown), std::nullopt) << unknown;
    }
}

TEST_F(Dispatch, EveryPairHasARowUnderEverySupportedIsa) {
    for (const Isa isa : every_isa) {
        for (const Metric metric : every_metric) {
            const Kernel *row = find_kernel(isa, Element::float32, metric);
            ASSERT_EQ(row != nullptr, isa_supported(isa)) << isa_name(isa);
            if (row != nullptr) {
                EXPECT_EQ(row->element, Element::float32);
                EXPECT_EQ(row->metric, metric);
                EXPECT_EQ(row->distance(left, right, length), expected_distance(metric));
                EXPECT_TRUE(std::string(row->name).ends_with(isa_name(isa))) << row->name;
            }
        }
    }
}

TEST_F(Dispatch, FindsTheRowOfTheActiveIsa) {
    for (const Isa isa : every_isa) {
        if (select_isa(isa)) {
            for (const Metric metric : every_metric) {
                EXPECT_EQ(find_kernel(Element::float32, metric),
                          find_kernel(isa, Element::float32, metric));
            }
        }
    }
}

TEST_F(Dispatch, UnknownNumbersHaveNoRow) {
    for (const int number : {0, 8, 200, 255}) {
        EXPECT_EQ(find_kernel(static_cast<Element>(number), Metric::l2_squared), nullptr);
        EXPECT_EQ(find_kernel(Element::float32, static_cast<Metric>(number)), nullptr);
    }
    EXPECT_EQ(find_kernel(Element::compact8, Metric::hamming), nullptr);
    EXPECT_EQ(find_kernel(Element::bit, Metric::l2_squared), nullptr);
    EXPECT_EQ(find_kernel(static_cast<Isa>(200), Element::float32, Metric::l1), nullptr);
}

TEST_F(Dispatch, RowsOutliveASelection) {
    for (const Isa found_under : every_isa) {
        if (!select_isa(found_under)) {
            continue;
        }
        const Kernel *row = find_kernel(Element::float32, Metric::inner_product);
        ASSERT_NE(row, nullptr);
        const Kernel copy = *row;
        for (const Isa isa : every_isa) {
            select_isa(isa);
            EXPECT_EQ(row->distance, copy.distance);
            EXPECT_EQ(row->distance(left, right, length), -90);
        }
    }
}

TEST_F(Dispatch, VectorBytesFollowTheElement) {
    const auto bytes = [](Element element, Metric metric, std::size_t dimensions) {
        return find_kernel(element, metric)->vector_bytes(dimensions);
    };
    EXPECT_EQ(bytes(Element::float32, Metric::l2_squared, 0), 0U);
    EXPECT_EQ(bytes(Element::float32, Metric::l2_squared, 3), 12U);
    EXPECT_EQ(bytes(Element::float32, Metric::l2_squared, 16000), 64000U);
    EXPECT_EQ(bytes(Element::float16, Metric::l1, 3), 6U);
    EXPECT_EQ(bytes(Element::float16, Metric::l1, 16000), 32000U);
    EXPECT_EQ(bytes(Element::bit, Metric::hamming, 8), 1U);
    EXPECT_EQ(bytes(Element::bit, Metric::jaccard, 9), 2U);
    EXPECT_EQ(bytes(Element::sparse_float32, Metric::l2_squared, 3), 32U);
    EXPECT_EQ(bytes(Element::sparse_float32, Metric::l2_squared, 1000000000), 8008U);
}

// Of each pair of element and metric that there is, and under every instruction set.
TEST_F(Dispatch, ElementsHaveTheirMetricsAndNoOthers) {
    const auto has = [](Element element, Metric metric) {
        const bool bits = metric == Metric::hamming || metric == Metric::jaccard;
        return bits == (element == Element::bit);
    };
    for (const Isa isa : supported_isas()) {
        for (const Element element :
             {Element::float32, Element::float16, Element::bit, Element::sparse_float32}) {
            for (int metric = 1; metric <= 5; ++metric) {
                const Kernel *row = find_kernel(isa, element, static_cast<Metric>(metric));
                ASSERT_EQ(row != nullptr, has(element, static_cast<Metric>(metric)))
                    << isa_name(isa) << " " << int(element) << " " << metric;
                if (row != nullptr) {
                    EXPECT_EQ(row->element, element);
                    EXPECT_EQ(static_cast<int>(row->metric), metric);
                }
            }
        }
    }
}

TEST_F(Dispatch, MayBeSelectedWhileOthersMeasure) {
    std::atomic<bool> stop{false};
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
            while (!stop.load(std::memory_order_relaxed)) {
                const Kernel *row = find_kernel(Element::float32, Metric::l2_squared);
                if (row->distance(left, right, length) != 141 || l1(left, right, length) != 29) {
                    wrong.fetch_add(1);
                }
            }
        });
    }
    for (int i = 0; i < 2000; ++i) {
        for (const Isa isa : every_isa) {
            select_isa(isa);
        }
    }
    stop.store(true);
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(wrong.load(), 0);
}

}  // namespace
}  // namespace dvec::distance
