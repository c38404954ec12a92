// The order and the distances of hits are those of the SQL operators, to the last bit: for every
// element type and metric, instruction set, and vectors of any length, whose squares overflow or
// vanish.
#include <bit>
#include <cmath>
#include <limits>
#include <string>

#include "engine/distance/bits.hpp"
#include "engine/distance/float16.hpp"
#include "engine/distance/float32.hpp"
#include "engine/distance/isa.hpp"
#include "engine/distance/sparse.hpp"
#include "engine/graph/ranked.hpp"
#include "test/unit/graph/graph_fixture.hpp"
#include "test/unit/support/sanitized.hpp"

namespace dvec::graph {
namespace {

using distance::Element;
using distance::Half;
using distance::Isa;
using distance::Metric;
using distance::SparseView;

using Bytes = std::vector<std::byte>;

struct Case {
    Element element;
    Metric metric;
    std::uint32_t dimensions;
};
constexpr Case cases[] = {
    {Element::float32, Metric::l2_squared, 7},
    {Element::float32, Metric::l2_squared, 130},
    {Element::float32, Metric::inner_product, 7},
    {Element::float32, Metric::inner_product, 130},
    {Element::float32, Metric::cosine, 2},
    {Element::float32, Metric::cosine, 7},
    {Element::float32, Metric::cosine, 130},
    {Element::float32, Metric::l1, 7},
    {Element::float16, Metric::l2_squared, 7},
    {Element::float16, Metric::inner_product, 7},
    {Element::float16, Metric::cosine, 2},
    {Element::float16, Metric::cosine, 600},
    {Element::float16, Metric::l1, 7},
    {Element::sparse_float32, Metric::l2_squared, 20},
    {Element::sparse_float32, Metric::cosine, 3},
    {Element::sparse_float32, Metric::cosine, 20},
    {Element::sparse_float32, Metric::l1, 20},
    {Element::sparse_float32, Metric::inner_product, 20},
    {Element::bit, Metric::hamming, 70},
    {Element::bit, Metric::jaccard, 70},
    {Element::bit, Metric::jaccard, 6000},
};

// How long drawn vectors are.
enum class Drawn { usual, tiny, huge, mixed };
constexpr Drawn every_length[] = {Drawn::usual, Drawn::tiny, Drawn::huge, Drawn::mixed};

class Drawing {
  public:
    Drawing(const Case &drawn, Drawn lengths, unsigned seed)
        : case_(drawn), lengths_(lengths), random_(seed) {}

    // Some are equal to an earlier one, or that times a number: ties, and distances that differ in
    // their last bits.
    Bytes vector() {
        if (case_.element == Element::bit)
            return bits();
        std::vector<float> floats(case_.dimensions);
        const auto kind = random_() % 8;
        if (kind < 2 && !earlier_.empty()) {
            floats = earlier_[random_() % earlier_.size()];
            if (kind == 1)
                for (float &x : floats)
                    x *= 1.0f / 3;
        } else {
            // Few directions, near to each other.
            std::normal_distribution<float> normal(1, 0.3f);
            for (float &x : floats)
                x = finite(normal(random_) * (random_() % 4 == 0 ? -1.0f : 1.0f), exponent());
        }
        for (float &x : floats)
            x = std::isfinite(x) ? x : 1e38f;
        if (case_.metric == Metric::cosine &&
            std::all_of(floats.begin(), floats.end(), [](float x) { return x == 0; }))
            floats[0] = 1;
        earlier_.push_back(floats);
        return encoded(floats);
    }

  private:
    // A vector keeps to one for a while.
    int exponent() {
        if (left_-- == 0) {
            left_ = static_cast<int>(case_.dimensions * (random_() % 3));
            const auto of = [&](int from, int to) {
                return from + static_cast<int>(random_() % static_cast<unsigned>(to - from + 1));
            };
            switch (lengths_) {
                case Drawn::usual:
                    exponent_ = of(-3, 3);
                    break;
                case Drawn::tiny:
                    exponent_ = of(-148, -60);
                    break;
                case Drawn::huge:
                    exponent_ = of(55, 126);
                    break;
                case Drawn::mixed:
                    exponent_ = of(-148, 126);
                    break;
            }
        }
        return exponent_;
    }

    float finite(float x, int exponent) const {
        if (case_.element != Element::float16)
            return std::ldexp(x, exponent);
        const float half = std::ldexp(x, std::clamp(exponent / 10, -14, 14));
        return distance::widen(distance::narrow(half));
    }

    Bytes bits() {
        Bytes bytes((case_.dimensions + 7) / 8);
        const unsigned dense = random_() % 8;
        for (std::size_t bit = 0; bit < case_.dimensions; ++bit)
            if (random_() % 8 < dense)
                bytes[bit / 8] |= std::byte{1} << (7 - bit % 8);
        return bytes;
    }

    Bytes encoded(const std::vector<float> &floats) const {
        const std::size_t n = floats.size();
        if (case_.element == Element::float32) {
            Bytes bytes(n * sizeof(float));
            std::memcpy(bytes.data(), floats.data(), bytes.size());
            return bytes;
        }
        if (case_.element == Element::float16) {
            Bytes bytes(n * sizeof(Half));
            for (std::size_t i = 0; i < n; ++i) {
                const Half half = distance::narrow(std::clamp(floats[i], -65504.0f, 65504.0f));
                std::memcpy(bytes.data() + i * sizeof(Half), &half, sizeof(half));
            }
            return bytes;
        }
        Bytes bytes(distance::sparse_bytes(
                        distance::indexed_capacity(distance::Element::sparse_float32, n)),
                    std::byte{0});
        std::vector<std::int32_t> indices;
        std::vector<float> values;
        for (std::size_t i = 0; i < n; ++i)
            if (floats[i] != 0) {
                indices.push_back(static_cast<std::int32_t>(i));
                values.push_back(floats[i]);
            }
        distance::SparseHead head{static_cast<std::uint32_t>(indices.size()), 0};
        if (case_.metric == Metric::cosine)
            head.norm = distance::squared_norm({indices.data(), values.data(), values.size()});
        std::memcpy(bytes.data(), &head, sizeof(head));
        std::memcpy(bytes.data() + sizeof(head), indices.data(), 4 * indices.size());
        std::memcpy(bytes.data() + sizeof(head) + 4 * indices.size(), values.data(),
                    4 * values.size());
        return bytes;
    }

    Case case_;
    Drawn lengths_;
    std::mt19937 random_;
    std::vector<std::vector<float>> earlier_;
    int exponent_ = 0;
    int left_ = 0;
};

double cosine_of(const distance::CosineParts &parts) {
    const double cosine =
        parts.dot / std::sqrt(double{parts.squared_norm_a} * double{parts.squared_norm_b});
    return std::isnan(cosine) ? cosine : 1 - std::clamp(cosine, -1.0, 1.0);
}

template <class Vector>
double of_dense(Metric metric, Vector a, Vector b, std::size_t n) {
    switch (metric) {
        case Metric::l2_squared:
            return std::sqrt(double{distance::l2_squared(a, b, n)});
        case Metric::inner_product:
            return -double{distance::inner_product(a, b, n)};
        case Metric::l1:
            return distance::l1(a, b, n);
        default:
            return cosine_of(distance::cosine_parts(a, b, n));
    }
}

// What the operator makes of two values, written out once more.
double by_operator(const Case &of, const void *a, const void *b) {
    const std::size_t n = of.dimensions;
    if (of.element == Element::float32)
        return of_dense(of.metric, static_cast<const float *>(a), static_cast<const float *>(b), n);
    if (of.element == Element::float16)
        return of_dense(of.metric, static_cast<const Half *>(a), static_cast<const Half *>(b), n);
    if (of.element == Element::bit) {
        if (of.metric == Metric::hamming)
            return static_cast<double>(distance::hamming_distance(a, b, n));
        const auto overlap = distance::bit_overlap(a, b, n);
        return overlap.both == 0
                   ? 1
                   : 1 - static_cast<double>(overlap.both) / static_cast<double>(overlap.either);
    }
    const auto left = SparseView::of(a, n), right = SparseView::of(b, n);
    switch (of.metric) {
        case Metric::l2_squared:
            return std::sqrt(double{distance::l2_squared(left, right)});
        case Metric::inner_product:
            return -double{distance::inner_product(left, right)};
        case Metric::l1:
            return distance::l1(left, right);
        default:
            return cosine_of({distance::inner_product(left, right),
                              distance::inner_product(left, left),
                              distance::inner_product(right, right)});
    }
}

bool same_distance(double one, double other) {
    return one == other || (std::isnan(one) && std::isnan(other));
}

class OperatorOrderTest : public GraphTest {
  protected:
    static constexpr NodeId count = test::sanitized ? 100 : 300;

    ~OperatorOrderTest() override { distance::select_isa(usual_); }

    void create_for(const Case &of) {
        case_ = of;
        dimensions_ = of.dimensions;
        kernel_ = *distance::find_kernel(of.element, of.metric);
        params_ = {directory_.path(), identity, layout_of(kernel_, dimensions_, 16)};
        ASSERT_TRUE(NodeStore::create_files(files_, params_).ok());
        nodes_ = open_store(state_);
        ASSERT_TRUE(nodes_->reserve_slots(count).ok());
        ASSERT_TRUE(nodes_->refresh().ok());
    }

    void add_drawn(Drawing &drawing, NodeId rows) {
        for (NodeId i = 0; i < rows; ++i) {
            const NodeId id = state_.allocated.load();
            const Bytes vector = drawing.vector();
            ASSERT_EQ(vector.size(), params_.layout.vector_bytes);
            nodes_->write_payload(id, tid_of(id), vector.data());
            nodes_->publish(id);
            state_.allocated.store(id + 1);
        }
    }

    std::vector<Hit> hits_of(const Bytes &query, std::uint64_t exact_after) {
        Search search;
        auto params = search_params(20);
        params.exact_after = exact_after;
        // As floats only in name.
        return search_with(search, query.data(), params, 10000);
    }

    // Each row once, at the operator's distance.
    void expect_distances(const std::vector<Hit> &hits, const Bytes &query) {
        std::vector<bool> seen(count, false);
        ASSERT_EQ(hits.size(), count);
        for (const Hit &hit : hits) {
            EXPECT_FALSE(seen[hit.id]) << hit.id << " came twice";
            seen[hit.id] = true;
            const double expected = by_operator(case_, query.data(), nodes_->vector(hit.id));
            EXPECT_TRUE(same_distance(hit.distance, expected)) << hit.distance << " " << expected;
        }
    }

    static std::size_t descents(const std::vector<Hit> &hits) {
        std::size_t descents = 0;
        for (std::size_t i = 1; i < hits.size(); ++i)
            descents += comes_before(hits[i].distance, hits[i - 1].distance);
        return descents;
    }

    void expect_order(const Bytes &query) {
        const auto all = hits_of(query, 0);
        expect_distances(all, query);
        EXPECT_EQ(descents(all), 0u) << "measured all";
        const auto walked = hits_of(query, 20000);
        expect_distances(walked, query);
        EXPECT_LE(descents(walked), 1u) << "walked";
    }

    const Isa usual_ = distance::active_isa();
    Case case_{};
};

TEST_F(OperatorOrderTest, HoldsForEveryMetricAndLength) {
    constexpr unsigned seed = 1;
    for (const Case &of : cases)
        for (const Drawn lengths : every_length)
            for (const NodeId linked : {NodeId{0}, count * 2 / 3, count}) {
                SCOPED_TRACE(testing::Message()
                             << "element " << int(of.element) << " metric " << int(of.metric)
                             << " dimensions " << of.dimensions << " lengths " << int(lengths)
                             << " linked " << linked << " seed " << seed);
                create_for(of);
                Drawing drawing(of, lengths, seed);
                add_drawn(drawing, count);
                if (linked > 0)
                    link_first(linked);
                for (int q = 0; q < 3; ++q)
                    expect_order(drawing.vector());
                // A row's own; none, which is as far from everything; and one like all others.
                const auto *row = nodes_->vector(17);
                expect_order(Bytes(row, row + params_.layout.vector_bytes));
                expect_order(Bytes(params_.layout.vector_bytes, std::byte{0}));
                expect_order(Drawing(of, Drawn::usual, seed + 1).vector());
                forget();
            }
}

// A graph that was made under one instruction set answers in the order of another's operators.
TEST_F(OperatorOrderTest, IsThatOfTheInstructionSetThatSearches) {
    for (const Case &of : cases) {
        SCOPED_TRACE(testing::Message()
                     << "element " << int(of.element) << " metric " << int(of.metric));
        distance::select_isa(usual_);
        create_for(of);
        Drawing drawing(of, Drawn::usual, 3);
        add_drawn(drawing, count);
        link_first(count * 2 / 3);
        for (const Isa isa : distance::every_isa)
            if (distance::select_isa(isa)) {
                kernel_ = *distance::find_kernel(of.element, of.metric);
                expect_order(drawing.vector());
            }
        forget();
    }
}

// Rows that lead nowhere by the sums of floats do not draw the links of the others to them.
TEST_F(OperatorOrderTest, AFewRowsOfExtremeLengthsLeaveTheOthersTheirNeighbours) {
    constexpr std::uint32_t n = 16;
    const auto found = [&](bool with_extremes) {
        create(n, 8, Codes::as_usual, Metric::cosine);
        const ClusteredShape shape{n, 20, 8, 0.2f};
        auto data = ClusteredData(1, shape).make(2000);
        if (with_extremes)
            for (std::size_t i = 0; i < 2000; i += 20)
                for (std::size_t d = 0; d < n; ++d)
                    data[i * n + d] *= i % 40 == 0 ? 1e-30f : 1e25f;
        add(data);
        link_all();
        std::size_t right = 0, wanted = 0;
        const auto queries = ClusteredData(2, shape).make(40);
        for (std::size_t q = 0; q < 40; ++q) {
            // Among the rows of usual lengths: those of others are where floats put them.
            std::set<NodeId> near;
            for (const auto &[distance, id] : exact(&queries[q * n], 0, 2000))
                if (id % 20 != 0 && near.size() < 10)
                    near.insert(id);
            wanted += near.size();
            for (const Hit &hit : search(&queries[q * n], 100, 200))
                right += near.contains(hit.id);
        }
        forget();
        return static_cast<double>(right) / static_cast<double>(wanted);
    };
    EXPECT_GE(found(true), found(false) - 0.01);
}

TEST_F(OperatorOrderTest, LengthsAreCoveredByTheChecksum) {
    for (const Case &of :
         {Case{Element::float32, Metric::cosine, 7}, Case{Element::float16, Metric::cosine, 9}}) {
        create_for(of);
        Drawing drawing(of, Drawn::usual, 4);
        add_drawn(drawing, 20);
        for (NodeId id = 0; id < 20; ++id) {
            double square = 0;
            const Bytes vector(nodes_->vector(id),
                               nodes_->vector(id) + params_.layout.vector_bytes);
            for (std::size_t i = 0; i < of.dimensions; ++i)
                if (of.element == Element::float32)
                    square += std::pow(reinterpret_cast<const float *>(vector.data())[i], 2.0);
                else
                    square += std::pow(
                        distance::widen(reinterpret_cast<const Half *>(vector.data())[i]), 2.0);
            EXPECT_NEAR(nodes_->inverse_length(id) * std::sqrt(square), 1, 1e-6);
            EXPECT_TRUE(nodes_->payload_intact(id));
            auto *length = const_cast<std::byte *>(nodes_->vector(id)) +
                           params_.layout.length_behind() + id % sizeof(float);
            *length ^= std::byte{1};
            EXPECT_FALSE(nodes_->payload_intact(id));
        }
        forget();
    }
}

TEST_F(OperatorOrderTest, AWalkAmongDistancesBeyondFloatsIsCompletedExactly) {
    create(16);
    auto data = ClusteredData(1, {16, 20, 8, 0.2f}).make(2000);
    for (float &x : data)
        x *= 1e25f;
    add(data);
    link_all();
    for (NodeId id = 0; id < 2000; id += 97) {
        const auto hits = search(&data[std::size_t{id} * 16], 40, 1);
        ASSERT_EQ(hits.size(), 1u);
        EXPECT_EQ(hits[0].id, id);
        EXPECT_EQ(hits[0].distance, 0);
    }
}

TEST_F(OperatorOrderTest, AQueryOfZerosIsAnsweredWithoutMeasuringEverything) {
    create(16, 16, Codes::as_usual, Metric::cosine);
    add(ClusteredData(1, {16, 20, 8, 0.2f}).make(5000));
    link_all();
    Search search;
    const std::vector<float> zeros(16, 0.0f);
    const auto hits = search_with(search, zeros.data(), search_params(40), 10);
    ASSERT_EQ(hits.size(), 10u);
    EXPECT_TRUE(std::isnan(hits[9].distance));
    EXPECT_LT(search.statistics().distances, 5000u);
    EXPECT_FALSE(search.statistics().exact);
}

TEST(RankedTest, IsOrderedAsSqlOrdersDoubles) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    const double ascending[] = {-infinity, -1e300,      -1,    -1e-320,  0,           1e-320,
                                1,         1 + 0x1p-52, 1e300, infinity, std::nan("")};
    using Kind = Ranked::Kind;
    for (std::size_t i = 0; i < std::size(ascending); ++i)
        for (std::size_t j = 0; j < std::size(ascending); ++j) {
            EXPECT_EQ(
                Ranked(ascending[i], 9, Kind::distance) < Ranked(ascending[j], 1, Kind::bound),
                i < j);
            EXPECT_EQ(comes_before(ascending[i], ascending[j]), i < j);
        }
    for (const double distance : ascending) {
        const Ranked ranked(distance, max_nodes - 1, Kind::distance);
        EXPECT_TRUE(same_distance(ranked.distance(), distance));
        EXPECT_EQ(ranked.id(), max_nodes - 1);
        EXPECT_FALSE(ranked.is_bound());
        EXPECT_LT(Ranked(distance, max_nodes - 1, Kind::bound), ranked);
        EXPECT_LT(Ranked::first(), ranked);
        EXPECT_LT(ranked, Ranked::last());
    }
    EXPECT_EQ(Ranked(-0.0, 1, Kind::bound), Ranked(0.0, 1, Kind::bound));
    EXPECT_EQ(Ranked(-std::nan(""), 1, Kind::bound), Ranked(std::nan(""), 1, Kind::bound));
}

}  // namespace
}  // namespace dvec::graph
