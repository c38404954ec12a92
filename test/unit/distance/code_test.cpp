// Codes: what encode() promises, what every instruction set's kernels make of a code, and that the
// two together give lower bounds of distances.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "engine/distance/code.hpp"
#include "engine/distance/isa.hpp"
#include "engine/distance/kernel.hpp"
#include "engine/graph/code_judge.hpp"
#include "fenced.hpp"
#include "isa_test_case.hpp"
#include "measurement.hpp"

namespace dvec::distance {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr double unit = 0x1p-24;
constexpr Metric coded_metrics[] = {Metric::l2_squared, Metric::inner_product, Metric::cosine};

using Floats = std::vector<float>;
using Code = std::vector<unsigned char>;

class Codes : public IsaTestCase {};

INSTANTIATE_TEST_SUITE_P(, Codes, testing::ValuesIn(supported_isas()), isa_parameter_name);

std::vector<std::size_t> coded_lengths() {
    std::vector<std::size_t> lengths = tested_lengths();
    lengths.insert(lengths.end(), {68, 69, 70, 2000});
    return lengths;
}

CodeHeader header_of(const Code &code) {
    CodeHeader header;
    std::memcpy(&header, code.data(), sizeof(header));
    return header;
}

Code code_of(const Floats &vector) {
    Code code(code_bytes(vector.size()));
    encode(vector.data(), vector.size(), code.data());
    return code;
}

Code code_of(const CodeHeader &header, const Floats &steps) {
    Code code(code_bytes(steps.size()));
    std::memcpy(code.data(), &header, sizeof(header));
    std::ranges::transform(steps, code.begin() + sizeof(header),
                           [](float step) { return static_cast<unsigned char>(step); });
    return code;
}

// What a code stands for; nothing is rounded but the sum, to a double.
std::vector<double> decode(const Code &code) {
    const CodeHeader header = header_of(code);
    std::vector<double> elements;
    for (std::size_t i = sizeof(header); i < code.size(); ++i) {
        elements.push_back(double{header.low} + double{header.step} * code[i]);
    }
    return elements;
}

double distance_between(const Floats &vector, const std::vector<double> &decoded) {
    double sum = 0;
    for (std::size_t i = 0; i < vector.size(); ++i) {
        sum += (vector[i] - decoded[i]) * (vector[i] - decoded[i]);
    }
    return std::sqrt(sum);
}

double length_of(const Floats &vector) {
    return distance_between(vector, std::vector<double>(vector.size()));
}

template <typename Distribution>
Floats shifted(std::size_t dimensions, float origin, Distribution noise, unsigned seed) {
    Floats floats = random_floats(dimensions, noise, seed);
    std::ranges::transform(floats, floats.begin(), [=](float x) { return origin + x; });
    return floats;
}

Floats one_hot(std::size_t dimensions, float rest, float hot) {
    Floats floats(dimensions, rest);
    if (dimensions != 0) {
        floats[dimensions / 2] = hot;
    }
    return floats;
}

enum class Coded { well, otherwise };

struct Sample {
    std::string name;
    Floats vector;
    Coded coded = Coded::well;  // whether an error must be finite and the bytes as near as can be
};

std::vector<Sample> samples(std::size_t n) {
    using Uniform = std::uniform_real_distribution<double>;
    Floats heavy = random_floats(n, std::lognormal_distribution<double>(0, 4), 1);
    for (std::size_t i = 0; i < n; i += 3) {
        heavy[i] = -heavy[i];
    }
    Floats zeros_of_both_signs(n, 0.0F);
    for (std::size_t i = 0; i < n; i += 2) {
        zeros_of_both_signs[i] = -0.0F;
    }
    return {
        {"uniform", random_floats(n, Uniform(-1, 1), 2)},
        {"normal", random_floats(n, std::normal_distribution<double>(), 3)},
        {"clustered", shifted(n, 100, std::normal_distribution<double>(0, 0.1), 4)},
        {"clustered narrowly", shifted(n, -1000, Uniform(-1e-3, 1e-3), 5)},
        {"an ulp apart", shifted(n, 1, Uniform(0, 2e-7), 6)},
        {"heavy-tailed", heavy, Coded::otherwise},
        {"one-hot", one_hot(n, 0, 1)},
        {"negative one-hot", one_hot(n, 0, -1)},
        {"one cold", one_hot(n, 1, 0)},
        {"zero", Floats(n, 0.0F)},
        {"zeros of both signs", zeros_of_both_signs},
        {"constant", Floats(n, -0.1F)},
        {"constant and tiny", Floats(n, 1e-30F)},
        {"large", random_floats(n, Uniform(-1e16, 1e16), 7)},
        {"huge", random_floats(n, Uniform(-3e38, 3e38), 8), Coded::otherwise},
        {"constant and huge", Floats(n, 3e38F), Coded::otherwise},
        {"small", random_floats(n, Uniform(-1e-14, 1e-14), 9)},
        {"with squares that underflow", random_floats(n, Uniform(-1e-22, 1e-22), 10),
         Coded::otherwise},
        {"denormal", random_floats(n, Uniform(-1e-40, 1e-40), 11), Coded::otherwise},
        {"with a denormal step", random_floats(n, Uniform(0, 1e-36), 12), Coded::otherwise},
    };
}

void for_each_sample(const auto &use) {
    for (const std::size_t n : coded_lengths()) {
        for (const Sample &sample : samples(n)) {
            SCOPED_TRACE(sample.name + ", " + std::to_string(n) + " dimensions");
            use(sample, n);
        }
    }
}

// --- Encoding ---

TEST(Encode, TheErrorIsAtLeastTheDistance) {
    for_each_sample([](const Sample &sample, std::size_t) {
        const Code code = code_of(sample.vector);
        EXPECT_GE(header_of(code).error, distance_between(sample.vector, decode(code)));
        EXPECT_EQ(code_header(code.data()).error, header_of(code).error);
    });
}

TEST(Encode, TheLengthIsThatOfTheVector) {
    for_each_sample([](const Sample &sample, std::size_t n) {
        double square = 0;
        for (const float element : sample.vector) {
            square += double{element} * double{element};
        }
        const float inverse = code_header(code_of(sample.vector).data()).inverse_length;
        EXPECT_EQ(inverse_length(sample.vector.data(), n), inverse);
        if (square > 0x1p-79 && square < 0x1p79) {
            EXPECT_NEAR(inverse * std::sqrt(square), 1, static_cast<double>(n / 8 + 12) * unit);
        } else if (!(square >= 0x1p-81 && square <= 0x1p81)) {
            EXPECT_EQ(inverse, 0) << "nothing to divide by";
        }
    });
}

TEST(Encode, TheErrorIsNotMuchMoreThanTheDistance) {
    for_each_sample([](const Sample &sample, std::size_t n) {
        const Code code = code_of(sample.vector);
        if (sample.coded == Coded::well && n != 1) {
            const double slack = 1.1 * static_cast<double>(n / 8 + 12) * 0x1p-22;
            const double distance = distance_between(sample.vector, decode(code));
            EXPECT_LE(header_of(code).error, (1 + slack) * distance +
                                                 slack * length_of(sample.vector) +
                                                 static_cast<double>(n) * 0x1.1p-72);
        }
    });
}

// But for that the code is made longer or shorter afterwards, by no more than the error.
TEST(Encode, EachByteIsTheNearest) {
    for_each_sample([](const Sample &sample, std::size_t n) {
        const Code code = code_of(sample.vector);
        if (sample.coded == Coded::well) {
            const std::vector<double> decoded = decode(code);
            const double length = length_of(sample.vector);
            const double longest = length > 0 ? header_of(code).error / length : 0;
            for (std::size_t i = 0; i < n; ++i) {
                const double rounding = 4 * unit * std::abs(double{header_of(code).low}) +
                                        4 * unit * std::abs(decoded[i]);
                const double longer = 1.1 * longest * std::abs(decoded[i]);
                EXPECT_LE(std::abs(sample.vector[i] - decoded[i]),
                          0.5001 * header_of(code).step + rounding + longer);
            }
        }
    });
}

TEST(Encode, AFartherCodeThanAPartOfTheLengthHasAnInfiniteError) {
    Floats far(4000, 0.0F);
    for (std::size_t i = 0; i < far.size(); i += 2) {
        far[i] = 0.5F;
    }
    far[0] = 256;
    EXPECT_EQ(header_of(code_of(far)).error, infinity);
    for (const float unusable : {3e38F, infinity, -infinity, not_a_number}) {
        for (std::size_t n = 1; n < 20; ++n) {
            for (std::size_t place = 0; place < n; ++place) {
                Floats floats(n, 1.0F);
                floats[place] = unusable;
                EXPECT_EQ(header_of(code_of(floats)).error, infinity) << unusable;
            }
            EXPECT_EQ(header_of(code_of(Floats(n, unusable))).error, infinity) << unusable;
        }
    }
}

TEST(Encode, EqualElementsAreTheirCode) {
    for (const float element : {0.0F, -0.0F, 1.0F, -7.3F, 1e-40F, 1e15F}) {
        for (const std::size_t n : {1, 7, 8, 9, 129}) {
            const Code code = code_of(Floats(n, element));
            EXPECT_EQ(header_of(code).step, 0);
            EXPECT_TRUE(std::isfinite(header_of(code).error)) << element;
            EXPECT_TRUE(
                std::ranges::all_of(decode(code), [=](double x) { return x == double{element}; }));
        }
    }
}

TEST(Encode, NoElementsNeedNoVector) {
    Code code(code_bytes(0), 0xff);
    encode(nullptr, 0, code.data());
    EXPECT_EQ(code, Code(code_bytes(0), 0));
}

// A fingerprint (FNV-1a) of codes of vectors that no library had a hand in. It was the same with
// GCC and Clang, with and without optimisation; code on disk relies on it.
TEST(Encode, GivesTheSameBitsEverywhere) {
    std::uint64_t fingerprint = 0xcbf29ce484222325;
    std::uint32_t state = 1;
    for (const std::size_t n : coded_lengths()) {
        Floats floats(n);
        for (float &x : floats) {
            state = state * 1664525 + 1013904223;
            x = static_cast<float>(static_cast<std::int32_t>(state)) * 0x1p-31F + 0.1F;
        }
        for (const unsigned char byte : code_of(floats)) {
            fingerprint = (fingerprint ^ byte) * 0x100000001b3;
        }
    }
    EXPECT_EQ(fingerprint, 0x95335ec4285e2b3aULL);
}

TEST(Encode, DoesNotDependOnTheAddressAndTouchesNothingElse) {
    for (std::size_t n = 1; n <= 40; ++n) {
        const Floats floats = random_floats(n, std::normal_distribution<double>(), 13);
        const Code expected = code_of(floats);
        for (std::size_t shift = 0; shift < 17; ++shift) {
            Floats moved(n + shift);
            std::ranges::copy(floats, moved.begin() + static_cast<std::ptrdiff_t>(shift));
            Code written(expected.size() + 32, 0xee);
            encode(moved.data() + shift, n, written.data() + shift);
            const auto begin = written.begin() + static_cast<std::ptrdiff_t>(shift);
            const auto end = begin + static_cast<std::ptrdiff_t>(expected.size());
            EXPECT_TRUE(std::equal(begin, end, expected.begin()));
            EXPECT_EQ(std::count(written.begin(), begin, 0xee), begin - written.begin());
            EXPECT_EQ(std::count(end, written.end(), 0xee), written.end() - end);
        }
    }
}

TEST(Encode, ReadsTheVectorOnly) {
    const Fenced<float> floats(2000, 1.0F);
    for (std::size_t n = 1; n <= 40; ++n) {
        Code code(code_bytes(n));
        encode(floats.first(), n, code.data());
        encode(floats.last(n), n, code.data());
        EXPECT_EQ(code, code_of(Floats(n, 1.0F)));
    }
}

// --- Kernels ---

const Kernel &row_of(Metric metric) { return *find_kernel(Element::float32, metric); }

TEST_P(Codes, AreMeasuredByBothMetrics) {
    for (const Metric metric : coded_metrics) {
        EXPECT_NE(row_of(metric).code_distance, nullptr);
        EXPECT_NE(row_of(metric).four_code_distances, nullptr);
    }
}

// No sum is rounded, hence no element may be lost, doubled or misplaced.
TEST_P(Codes, WholeNumbersAreSummedExactly) {
    for (const std::size_t n : coded_lengths()) {
        const Floats query = random_floats(n, std::uniform_int_distribution<int>(1, 16), 14);
        const Floats steps = random_floats(n, std::uniform_int_distribution<int>(0, 7), 15);
        const Code code = code_of(CodeHeader{-3, 2, 0, 0}, steps);
        double squares = 0, product = 0;
        for (std::size_t i = 0; i < n; ++i) {
            const double element = -3 + 2 * steps[i];
            squares += (query[i] - element) * (query[i] - element);
            product += query[i] * element;
        }
        EXPECT_EQ(row_of(Metric::l2_squared).code_distance(query.data(), code.data(), n), squares);
        EXPECT_EQ(row_of(Metric::inner_product).code_distance(query.data(), code.data(), n),
                  -product);
    }
}

TEST_P(Codes, EveryByteIsDecoded) {
    Floats bytes(256);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<float>(i);
    }
    const Code code = code_of(CodeHeader{-128, 0.5F, 0, 0}, bytes);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        Floats query(bytes.size(), 0.0F);
        query[i] = 1;
        EXPECT_EQ(row_of(Metric::inner_product).code_distance(query.data(), code.data(), 256),
                  128 - 0.5F * bytes[i]);
    }
}

// Beside the rounding of sums, that of each element.
TEST_P(Codes, DistancesStayWithinTheBound) {
    for_each_sample([](const Sample &sample, std::size_t n) {
        const Floats query = random_floats(n, std::normal_distribution<double>(), 16);
        const Code code = code_of(sample.vector);
        if (sample.coded == Coded::otherwise) {
            return;
        }
        const std::vector<double> decoded = decode(code);
        double squares = 0, product = 0, magnitude = 0, off_squares = 0, off_product = 0;
        for (std::size_t i = 0; i < n; ++i) {
            const double difference = query[i] - decoded[i];
            const double off =
                unit * (std::abs(double{header_of(code).low}) + 3 * std::abs(decoded[i])) +
                0x1p-149;
            squares += difference * difference;
            off_squares += (2 * std::abs(difference) + off) * off;
            product += query[i] * decoded[i];
            magnitude += std::abs(query[i] * decoded[i]);
            off_product += std::abs(query[i]) * off;
        }
        EXPECT_NEAR(row_of(Metric::l2_squared).code_distance(query.data(), code.data(), n), squares,
                    1.001 * (allowed_error(squares, n) + off_squares));
        EXPECT_NEAR(row_of(Metric::inner_product).code_distance(query.data(), code.data(), n),
                    -product, 1.001 * (allowed_error(magnitude, n) + off_product));
    });
}

TEST_P(Codes, FourDistancesHaveTheBitsOfFourCalls) {
    const std::normal_distribution<double> normal;
    for (const Metric metric : coded_metrics) {
        const Kernel &row = row_of(metric);
        for (const std::size_t n : coded_lengths()) {
            const Floats query = random_floats(n, normal, 17);
            Code codes[4];
            const void *addresses[4];
            for (unsigned i = 0; i < 4; ++i) {
                codes[i] = code_of(random_floats(n, normal, 18 + i));
                addresses[i] = codes[i].data();
            }
            float distances[6] = {-1, -1, -1, -1, -1, -1};
            row.four_code_distances(query.data(), addresses, n, distances + 1);
            for (std::size_t i = 0; i < 4; ++i) {
                const float alone = row.code_distance(query.data(), addresses[i], n);
                EXPECT_EQ(std::bit_cast<std::uint32_t>(distances[i + 1]),
                          std::bit_cast<std::uint32_t>(alone))
                    << row.name << ", code " << i << " of " << n << " dimensions";
            }
            EXPECT_EQ(distances[0], -1);
            EXPECT_EQ(distances[5], -1);
        }
    }
}

TEST_P(Codes, DistancesDoNotDependOnTheAddress) {
    for (const std::size_t n : coded_lengths()) {
        const Floats query = random_floats(n, std::normal_distribution<double>(), 22);
        const Code code = code_of(random_floats(n, std::normal_distribution<double>(), 23));
        for (const Metric metric : coded_metrics) {
            const float expected = row_of(metric).code_distance(query.data(), code.data(), n);
            for (std::size_t shift = 1; shift < 17; ++shift) {
                Code moved(code.size() + shift);
                std::ranges::copy(code, moved.begin() + static_cast<std::ptrdiff_t>(shift));
                EXPECT_EQ(row_of(metric).code_distance(query.data(), moved.data() + shift, n),
                          expected);
            }
        }
    }
}

TEST_P(Codes, NaNAndInfinitiesFollowArithmetic) {
    for (std::size_t n = 1; n <= 67; ++n) {
        const Code code = code_of(CodeHeader{1, 1, 0, 0}, Floats(n, 1.0F));
        for (std::size_t place = 0; place < n; ++place) {
            Floats query(n, 1.0F);
            query[place] = not_a_number;
            for (const Metric metric : coded_metrics) {
                EXPECT_TRUE(std::isnan(row_of(metric).code_distance(query.data(), code.data(), n)));
            }
            query[place] = infinity;
            EXPECT_EQ(row_of(Metric::l2_squared).code_distance(query.data(), code.data(), n),
                      infinity);
            EXPECT_EQ(row_of(Metric::inner_product).code_distance(query.data(), code.data(), n),
                      -infinity);
        }
        const Floats zeros(n, 0.0F);
        const Code endless = code_of(CodeHeader{infinity, 0, 0, 0}, zeros);
        EXPECT_EQ(row_of(Metric::l2_squared).code_distance(zeros.data(), endless.data(), n),
                  infinity);
        EXPECT_TRUE(std::isnan(
            row_of(Metric::inner_product).code_distance(zeros.data(), endless.data(), n)));
    }
}

// --- Both ---

// Queries for which bounds are tight: seen from them the code lies right behind its vector, or
// they have the direction of the difference; and some where rounding is most of the error.
std::vector<Floats> queries(const Floats &vector, const std::vector<double> &decoded) {
    const std::size_t n = vector.size();
    std::vector<Floats> queries = {
        random_floats(n, std::normal_distribution<double>(), 24),
        vector,
        Floats(n, 0.0F),
        Floats(n, 1.0F),
        shifted(n, 1000, std::normal_distribution<double>(), 25),
        random_floats(n, std::normal_distribution<double>(0, 1e15), 26),
    };
    for (const double times : {1.0, 10.0, 1000.0}) {
        Floats beyond(n), along(n), around(n);
        for (std::size_t i = 0; i < n; ++i) {
            const double difference = vector[i] - decoded[i];
            beyond[i] = static_cast<float>(vector[i] + times * difference);
            along[i] = static_cast<float>(times * difference);
            around[i] = static_cast<float>(vector[i] + times * std::abs(difference));
        }
        queries.insert(queries.end(), {beyond, along, around});
    }
    return queries;
}

void expect_bounds(const Floats &vector, const Floats &query) {
    const std::size_t n = vector.size();
    const Code code = code_of(vector);
    for (const Metric metric : coded_metrics) {
        const Kernel &row = row_of(metric);
        const graph::CodeJudge judge(row, query.data(), n);
        const double distance = row.whole_distance(query.data(), vector.data(), n);
        const CodeHeader header = code_header(code.data());
        const float estimate =
            judge.distance(row.code_distance(query.data(), code.data(), n), header);
        if (!std::isnan(distance)) {
            EXPECT_LE(judge.bound(estimate, judge.error(header)), distance) << row.name;
        } else if (metric == Metric::cosine) {
            EXPECT_FALSE(judge.reliable(estimate, judge.error(header))) << row.name;
        }
    }
}

TEST_P(Codes, BoundsAreNeverAboveTheDistance) {
    for_each_sample([](const Sample &sample, std::size_t) {
        for (const Floats &query : queries(sample.vector, decode(code_of(sample.vector)))) {
            expect_bounds(sample.vector, query);
        }
    });
}

// The squares of its elements say nothing of the length of such a query, but a product does of it.
TEST_P(Codes, BoundsHoldForQueriesWhoseSquaresUnderflow) {
    for_each_sample([](const Sample &sample, std::size_t n) {
        for (const double size : {1e-20, 1e-23, 1e-30, 1e-40}) {
            const std::uniform_real_distribution<double> uniform(-size, size);
            expect_bounds(sample.vector, random_floats(n, uniform, 27));
        }
    });
}

// The distance to one of vector and code may be infinite when the other is not.
TEST_P(Codes, BoundsHoldAtTheEndOfTheRange) {
    constexpr std::size_t n = 128;
    const double most = std::sqrt(double{std::numeric_limits<float>::max()});
    for (unsigned seed = 28; seed < 128; ++seed) {
        Floats vector = random_floats(n, std::normal_distribution<double>(), seed);
        const double scale = most / length_of(vector) * (1 - 1e-6);
        std::ranges::transform(vector, vector.begin(),
                               [=](float x) { return static_cast<float>(scale * x); });
        EXPECT_TRUE(std::isfinite(header_of(code_of(vector)).error));
        expect_bounds(vector, Floats(n, 0.0F));
        expect_bounds(vector, vector);
        Floats opposite = vector;
        std::ranges::transform(opposite, opposite.begin(), std::negate<>());
        expect_bounds(vector, opposite);
    }
}

}  // namespace
}  // namespace dvec::distance
