// Rows whose vectors are nearly equal share a place in the graph, too: clumps of them cut nobody
// off, whenever they come, and each comes at its own distance.
#include "engine/graph/near_copies.hpp"

#include <array>
#include <cmath>
#include <span>
#include <string>
#include <thread>

#include "engine/graph/hidden_nodes.hpp"
#include "engine/graph/reachability.hpp"
#include "engine/graph/sanitize.hpp"
#include "test/unit/graph/graph_fixture.hpp"
#include "test/unit/graph/rows_among_copies.hpp"

namespace dvec::graph {
namespace {

constexpr std::uint32_t dimensions = 16;

constexpr Place every_place[] = {Place::first, Place::last, Place::mixed};
// When copies come decides whom they might crowd out, which sanitizers do not see.
constexpr std::span<const Place> places = std::span(every_place).last(test::sanitized ? 1 : 3);
constexpr const char *name_of(Place place) {
    return place == Place::first ? "first" : place == Place::last ? "last" : "mixed";
}

// Clumps of near copies among other rows.
struct Clumps {
    std::size_t kinds;
    std::size_t copies;
    float noise;  // per element, which are of the order of 1
    Place place = Place::mixed;
};

class NearCopiesTest : public GraphTest {
  protected:
    // The others are the same and in the same order whatever the clumps; `others_` has their ids,
    // `clumps_` those of the copies.
    std::vector<float> make(const Clumps &shape, std::uint32_t width = dimensions) {
        std::mt19937_64 random(11), clump_random(12);
        std::normal_distribution<float> number;
        std::vector<std::vector<float>> copies;
        for (std::size_t kind = 0; kind < shape.kinds; ++kind) {
            std::vector<float> center(width);
            for (float &x : center)
                x = number(clump_random);
            for (std::size_t i = 0; i < shape.copies; ++i) {
                std::vector<float> copy = center;
                for (float &x : copy)
                    x += shape.noise * number(clump_random);
                copies.push_back(copy);
            }
        }
        if (shape.place == Place::mixed)
            std::shuffle(copies.begin(), copies.end(), clump_random);
        std::vector<float> values;
        others_.clear();
        clumps_.clear();
        std::size_t next = 0;
        const auto put_copies = [&](std::size_t end) {
            for (; next < end; ++next) {
                clumps_.push_back(static_cast<NodeId>(values.size() / width));
                values.insert(values.end(), copies[next].begin(), copies[next].end());
            }
        };
        for (std::size_t i = 0; i < others; ++i) {
            if (shape.place != Place::last)
                put_copies(shape.place == Place::first ? copies.size()
                                                       : copies.size() * i / others);
            others_.push_back(static_cast<NodeId>(values.size() / width));
            for (std::uint32_t d = 0; d < width; ++d)
                values.push_back(number(random));
        }
        put_copies(copies.size());
        return values;
    }

    const float *vector(NodeId id) const {
        return reinterpret_cast<const float *>(nodes_->vector(id));
    }
    double found_by_own_vector(const std::vector<NodeId> &ids) {
        std::size_t asked = 0, found = 0;
        for (std::size_t i = 0; i < ids.size(); i += 8) {
            if (!live(ids[i]))
                continue;
            const auto hits = search(vector(ids[i]), 200, 1);
            ++asked;
            found += hits.size() == 1 && hits[0].id == ids[i];
        }
        return static_cast<double>(found) / static_cast<double>(asked);
    }
    std::vector<float> queries(std::size_t count = 100) const {
        std::mt19937_64 random(13);
        std::normal_distribution<float> number;
        std::vector<float> values(count * dimensions_);
        for (float &x : values)
            x = number(random);
        return values;
    }
    // By one thread: by several, the first of a clump may get several places, now these, now those.
    void link_in_batches(unsigned threads = 1) {
        const auto linker = make_linker(threads);
        while (state_.linked.load() < state_.allocated.load()) {
            const NodeId linked = state_.linked.load();
            const NodeId end =
                std::min(state_.allocated.load(), linked + Linker::batch_of_build(linked));
            ASSERT_TRUE(linker->link(end, never_stop).ok());
        }
        connect();
    }
    void connect() {
        ASSERT_TRUE(connect_unreachable(*nodes_, {kernel_, dimensions_, 64}, never_stop).ok());
        EXPECT_EQ(count_unreachable(*nodes_, {kernel_, dimensions_, 64}, never_interrupted).value(),
                  0u);
    }
    std::size_t near_twins() const {
        std::size_t count = 0;
        for (NodeId id = 0; id < state_.linked.load(); ++id)
            count += is_twin(*nodes_, id) && is_near_twin(*nodes_, id);
        return count;
    }
    // The nearest `count` by a walk alone are those of the exact scan, in their order.
    void expect_exact_beginning(const float *query, std::uint32_t ef, std::size_t count) {
        const auto truth = exact(query, 0, state_.allocated.load());
        Search walk;
        const auto hits = search_with(walk, query, search_params(ef), count);
        ASSERT_EQ(hits.size(), count);
        EXPECT_FALSE(walk.statistics().exact);
        for (std::size_t i = 0; i < count; ++i)
            EXPECT_EQ(hits[i].distance, truth[i].first) << i;
    }
    void expect_nobody_missed(double without) {
        EXPECT_GE(found_by_own_vector(others_), 0.999);
        EXPECT_GE(found_by_own_vector(clumps_), 0.999);
        EXPECT_GE(recall(queries(), 100, 10), without - 0.005);
    }

    std::vector<NodeId> others_;
    std::vector<NodeId> clumps_;
};

TEST_F(NearCopiesTest, NobodyIsCrowdedOut) {
    create(dimensions);
    add(make({0, 0, 0}));
    link_in_batches();
    const double without = recall(queries(), 100, 10);
    forget();
    for (const Clumps shape : {Clumps{40, 100, 1e-4f}, Clumps{40, 100, 1e-2f},
                               Clumps{1, most_copies, 1e-3f}, Clumps{500, 4, 1e-3f}})
        for (const Place place : places) {
            SCOPED_TRACE(std::to_string(shape.kinds) + " x " + std::to_string(shape.copies) +
                         " of noise " + std::to_string(shape.noise) + ", " + name_of(place));
            create(dimensions);
            add(make({shape.kinds, shape.copies, shape.noise, place}));
            link_in_batches();
            expect_nobody_missed(without);
            forget();
        }
}

TEST_F(NearCopiesTest, LinkedOneByOneTheyShareAPlaceToo) {
    for (const Place place : places) {
        SCOPED_TRACE(name_of(place));
        create(dimensions);
        add(make({10, 50, 1e-3f, place}));
        const auto linker = make_linker(1);
        for (NodeId id = 0; id < state_.allocated.load(); ++id)
            ASSERT_TRUE(linker->link(id + 1, never_stop).ok());
        EXPECT_EQ(near_twins(), 10u * 49);
        EXPECT_GE(found_by_own_vector(others_), 0.999);
        forget();
    }
}

TEST_F(NearCopiesTest, EachComesAtItsOwnDistance) {
    create(dimensions);
    add(make({20, 60, 1e-2f}));
    link_in_batches();
    EXPECT_GT(near_twins(), 20u * 50);
    // Within a clump, and from outside; more than ef.
    for (std::size_t i = 0; i < clumps_.size(); i += 67)
        expect_exact_beginning(vector(clumps_[i]), 40, 60);
    const auto asked = queries(20);
    for (std::size_t q = 0; q < 20; ++q)
        expect_complete(search(&asked[q * dimensions], 40, 100000), &asked[q * dimensions], 100);
    expect_complete(search(vector(clumps_[5]), 40, 100000), vector(clumps_[5]), 100);
    for (const std::uint64_t exact_after : {0, 1, 30, 200}) {
        Search::Params params = search_params(40);
        params.exact_after = exact_after;
        Search search;
        expect_complete(search_with(search, vector(clumps_[9]), params, 100000), vector(clumps_[9]),
                        100);
    }
}

// Vectors around the origin, up to those whose squares floats do not hold: to all others they are
// one, more of them than a beam holds. The exact scan tells them apart, as far as floats do.
TEST_F(NearCopiesTest, ThoseTooShortForOthersToTell) {
    using distance::Metric;
    constexpr std::uint32_t width = 128;
    constexpr std::size_t short_ones = 50;
    const std::size_t others = test::sanitized ? 600 : 2500;
    std::mt19937_64 random(13);
    std::normal_distribution<double> number;
    const auto drawn = [&](std::size_t count, double length) {
        std::vector<float> values(count * width);
        for (std::size_t at = 0; at < values.size(); at += width) {
            std::array<double, width> row;
            double square = 0;
            for (double &x : row) {
                x = number(random);
                square += x * x;
            }
            for (std::size_t i = 0; i < width; ++i)
                values[at + i] = static_cast<float>(row[i] * length / std::sqrt(square));
        }
        return values;
    };
    for (const auto &[metric, length] :
         {std::pair(Metric::l2_squared, 1e-21), std::pair(Metric::l2_squared, 1e-10),
          std::pair(Metric::l1, 1e-11)}) {
        SCOPED_TRACE(length);
        create(width, 16, Codes::as_usual, metric);
        add(drawn(others, 1));
        const NodeId first = state_.allocated.load();
        add(drawn(short_ones, length));
        const NodeId end = state_.allocated.load();
        add(drawn(others, 1));
        link_all(1);
        ASSERT_TRUE(make_findable(*nodes_, {kernel_, width, 64}, {}, never_stop).ok());
        for (NodeId id = first; id < end; ++id) {
            const auto hits = search(vector(id), 40, 1);
            ASSERT_EQ(hits.size(), 1u);
            EXPECT_EQ(hits[0].distance, exact(vector(id), first, end)[0].first) << id;
            EXPECT_EQ(hits[0].id, id);
        }
        // Nor do they hide the others.
        const auto queries = drawn(30, 1);
        EXPECT_GE(recall(queries, 100, 60), 0.8);
        forget();
    }
}

// Then they are all there is.
TEST_F(NearCopiesTest, AllTooShortForFloats) {
    create(dimensions);
    std::mt19937_64 random(14);
    std::normal_distribution<float> number(0, 1e-21f);
    std::vector<float> values(500 * dimensions);
    for (float &x : values)
        x = number(random);
    add(values);
    link_all(1);
    for (NodeId id = 0; id < 500; id += 7) {
        const auto truth = exact(vector(id), 0, 500);
        const auto hits = search(vector(id), 40, 20);
        ASSERT_EQ(hits.size(), 20u);
        for (std::size_t i = 0; i < hits.size(); ++i)
            EXPECT_EQ(hits[i].distance, truth[i].first);
    }
}

TEST_F(NearCopiesTest, ByEveryMetric) {
    using distance::Metric;
    for (const Metric metric : {Metric::l1, Metric::inner_product, Metric::cosine})
        for (const std::uint32_t width : {dimensions, test::sanitized ? 32u : 128u}) {
            SCOPED_TRACE(std::to_string(static_cast<int>(metric)) + " of " + std::to_string(width));
            create(width, 16, Codes::as_usual, metric);
            add(make({20, 60, 1e-3f, Place::first}, width));
            link_in_batches(1);
            EXPECT_EQ(near_twins(), 20u * 59);
            if (metric != Metric::inner_product) {
                EXPECT_GE(found_by_own_vector(clumps_), 0.999);
                EXPECT_GE(found_by_own_vector(others_), width == dimensions ? 0.999 : 0.99);
                for (std::size_t i = 0; i < clumps_.size(); i += 151)
                    expect_exact_beginning(vector(clumps_[i]), 100, 60);
            }
            const auto asked = queries(2);
            for (std::size_t q = 0; q < 2; ++q)
                expect_complete(search(&asked[q * width], 40, 100000), &asked[q * width], 2000);
            forget();
        }
}

// What a near copy is nearer than may only be a bound, for any query.
TEST_F(NearCopiesTest, NoneIsNearerThanTheBound) {
    using distance::Metric;
    std::mt19937_64 random(17);
    std::normal_distribution<float> number;
    for (const Metric metric :
         {Metric::l2_squared, Metric::l1, Metric::inner_product, Metric::cosine})
        for (int draw = 0; draw < 3000; ++draw) {
            const std::uint32_t width = 1 + static_cast<std::uint32_t>(random() % 40);
            const distance::Kernel kernel =
                *distance::find_kernel(distance::Element::float32, metric);
            const NearCopies copies(kernel, width, width * sizeof(float));
            const float scale = std::exp(8 * number(random));
            std::vector<float> node(width), copy(width), query(width);
            const float noise = std::exp(2 * number(random)) * 0.01f;
            const float away = std::exp(3 * number(random)) * 0.05f;
            for (std::uint32_t d = 0; d < width; ++d) {
                node[d] = scale * number(random);
                copy[d] = node[d] + scale * noise * number(random);
                query[d] = node[d] + scale * away * number(random);
            }
            if (!copies.is_near(node.data(), copy.data()))
                continue;
            const double to_node = kernel.whole_distance(query.data(), node.data(), width);
            EXPECT_GE(kernel.whole_distance(query.data(), copy.data(), width),
                      copies.least(to_node, node.data(), query.data()))
                << static_cast<int>(metric) << ", draw " << draw;
        }
}

// Rows as far from each other as near copies may be: some share a place and others do not, until
// there are too many and all have places of their own.
TEST_F(NearCopiesTest, AClusterIsNoHeap) {
    for (const float noise : {0.04f, 0.06f, 0.1f}) {
        SCOPED_TRACE(noise);
        create(dimensions);
        add(make({4, most_copies / 10, noise, Place::mixed}));
        link_in_batches(1);
        EXPECT_GE(found_by_own_vector(clumps_), 0.999);
        EXPECT_GE(found_by_own_vector(others_), 0.999);
        // A copy may be nearer than its node by so much that a round has gone beyond it.
        for (std::size_t i = 0; i < clumps_.size(); i += 211)
            expect_complete(search(vector(clumps_[i]), 40, 100000), vector(clumps_[i]), 400);
        forget();
    }
}

// More than may share a place share several, each filled before there is the next, and nobody is
// crowded out by those.
TEST_F(NearCopiesTest, TooManyForOnePlaceShareSeveral) {
    constexpr std::uint32_t most = 400;
    constexpr NodeId batch = 25;
    const auto link_in_batches_of = [this](NodeId size) {
        const Linker::Params params{kernel_, dimensions_, 64, 1, most};
        const auto linker = std::move(Linker::create(*nodes_, params)).value();
        for (NodeId linked; (linked = state_.linked.load()) < state_.allocated.load();)
            ASSERT_TRUE(
                linker->link(std::min(state_.allocated.load(), linked + size), never_stop).ok());
        connect();
    };
    create(dimensions);
    add(make({0, 0, 0}));
    link_in_batches_of(batch);
    const double without = recall(queries(), 100, 10);
    forget();
    for (const Place place : places) {
        SCOPED_TRACE(name_of(place));
        create(dimensions);
        const auto values = make({1, most_copies, 1e-2f, place});
        add(values);
        link_in_batches_of(batch);
        const std::size_t nodes_of_heap = most_copies - near_twins();
        EXPECT_GE(nodes_of_heap, most_copies / (most + batch));
        EXPECT_LE(nodes_of_heap, most_copies / most + 1);
        expect_nobody_missed(without);
        for (std::size_t i = 0; i < clumps_.size(); i += most_copies / 3)
            expect_exact_beginning(vector(clumps_[i]), 40, 60);
        // A later linker knows which are full.
        std::vector<float> more;
        for (std::size_t i = 0; i < most; ++i) {
            more.insert(more.end(), vector(clumps_[i]), vector(clumps_[i]) + dimensions);
            more.back() += 1e-3f;
        }
        add(more);
        const std::size_t before = near_twins();
        link_in_batches_of(batch);
        EXPECT_LE(near_twins(), before + most - 1);
        EXPECT_GE(near_twins(), before + most - 2);
        expect_complete(search(vector(clumps_[7]), 40, 100000), vector(clumps_[7]), 100);
        forget();
    }
}

TEST_F(NearCopiesTest, ThoseThatAreGoneLeaveTheChain) {
    create(dimensions);
    const auto values = make({10, 60, 1e-3f, Place::first});
    add(values);
    const auto linker = make_linker(1);
    ASSERT_TRUE(linker->link(state_.allocated.load(), never_stop).ok());
    std::mt19937 random(5);
    for (int round = 0; round < 5; ++round) {
        for (const NodeId id : clumps_)
            if (random() % 3 == 0)
                nodes_->mark_deleted(id);
        const auto check = round % 2 == 0 ? TwinCheck::vectors : TwinCheck::membership;
        ASSERT_TRUE(tidy_twins(*nodes_, check, never_stop).ok());
        const auto again = tidy_twins(*nodes_, TwinCheck::vectors, never_stop);
        ASSERT_TRUE(again.ok());
        EXPECT_EQ(again.value().repaired + again.value().parted, 0u);
        add(std::vector<float>(values.begin(), values.begin() + dimensions));
        ASSERT_TRUE(linker->link(state_.allocated.load(), never_stop).ok());
        EXPECT_GE(found_by_own_vector(others_), 0.999);
        expect_complete(search(vector(clumps_[7]), 40, 100000), vector(clumps_[7]), 100);
    }
    for (const NodeId id : clumps_)
        nodes_->mark_deleted(id);
    ASSERT_TRUE(tidy_twins(*nodes_, TwinCheck::membership, never_stop).ok());
    EXPECT_GE(found_by_own_vector(others_), 0.999);
}

// By another process's linker, and after a crash that took ids back.
TEST_F(NearCopiesTest, ALaterLinkerGoesOn) {
    create(dimensions);
    const auto values = make({10, 60, 1e-3f, Place::last});
    const auto rows = static_cast<NodeId>(values.size() / dimensions);
    add(values);
    const auto link_by_another = [&](NodeId end) {
        ASSERT_TRUE(make_linker(1)->link(end, never_stop).ok());
    };
    link_by_another(rows - 300);
    const auto entry = state_.entry_point.load();
    link_by_another(rows);
    state_.linked.store(rows - 300);
    state_.entry_point.store(entry);
    ASSERT_TRUE(sanitize_links(*nodes_, never_stop).ok());
    EXPECT_EQ(sanitize_links(*nodes_, never_stop).value().repairs, 0u);
    link_by_another(rows);
    EXPECT_EQ(near_twins(), 10u * 59);
    add(values);
    link_by_another(2 * rows);
    // All are equal twins, but some of near twins.
    EXPECT_EQ(near_twins(), 2 * 10u * 59);
    connect();
    expect_complete(search(vector(clumps_[7]), 40, 100000), vector(clumps_[7]), 100);
}

TEST_F(NearCopiesTest, AnyDamageOfChainsIsMended) {
    std::mt19937 random(21);
    create(dimensions);
    add(make({20, 40, 1e-3f}));
    link_all();
    const NodeId end = state_.linked.load();
    for (int round = 0; round < 6; ++round) {
        for (int i = 0; i < 200; ++i) {
            const NodeId id = clumps_[random() % clumps_.size()];
            if (!is_twin(*nodes_, id))
                nodes_->slot(id)->twin.store(random() % 2 == 0 ? 0 : random() % end);
            else if (random() % 4 == 0)
                nodes_->slot(id)->twin.store(twin_mark | random() % end);
            else
                nodes_->links(id)[random() % 3].store(
                    random() % 2 == 0 ? random() % end : static_cast<std::uint32_t>(random()));
        }
        std::vector<bool> seen(end);
        for (const Hit &hit : search(vector(clumps_[0]), 40, 100000)) {
            EXPECT_FALSE(seen[hit.id]);
            seen[hit.id] = true;
        }
        EXPECT_EQ(std::count(seen.begin(), seen.end(), true), static_cast<std::ptrdiff_t>(end));
        ASSERT_TRUE(sanitize_links(*nodes_, never_stop).ok());
        EXPECT_EQ(sanitize_links(*nodes_, never_stop).value().repairs, 0u);
        connect();
        expect_complete(search(vector(clumps_[0]), 40, 100000), vector(clumps_[0]), 200);
    }
}

// Blank pictures' hashes, nearly blank ones, and others.
TEST_F(NearCopiesTest, BitsOneApart) {
    constexpr std::size_t blank = 1500, nearly = 1000, pictures = 300;
    std::mt19937_64 random(23);
    for (const Place place : places) {
        SCOPED_TRACE(name_of(place));
        dimensions_ = 64;
        kernel_ = *distance::find_kernel(distance::Element::bit, distance::Metric::hamming);
        params_ = {directory_.path(), identity, layout_of(kernel_, 64, 16)};
        ASSERT_TRUE(NodeStore::create_files(files_, params_).ok());
        nodes_ = open_store(state_);
        std::vector<std::uint64_t> rows, pictured;
        rows.insert(rows.end(), blank, 0);
        for (std::size_t i = 0; i < nearly; ++i)
            rows.push_back(std::uint64_t{1} << random() % 64);
        std::shuffle(rows.begin(), rows.end(), random);
        for (std::size_t i = 0; i < pictures; ++i)
            pictured.push_back(random());
        rows.insert(place == Place::first ? rows.end() : rows.begin(), pictured.begin(),
                    pictured.end());
        if (place == Place::mixed)
            std::shuffle(rows.begin(), rows.end(), random);
        ASSERT_TRUE(nodes_->reserve_slots(static_cast<std::uint32_t>(rows.size())).ok());
        ASSERT_TRUE(nodes_->refresh().ok());
        for (NodeId id = 0; id < rows.size(); ++id) {
            nodes_->write_payload(id, tid_of(id), &rows[id]);
            nodes_->publish(id);
            state_.allocated.store(id + 1);
        }
        link_in_batches();
        alignas(cache_line) std::uint64_t query[8] = {};
        const auto *asked = reinterpret_cast<const float *>(query);
        std::size_t found = 0;
        for (const std::uint64_t picture : pictured) {
            query[0] = picture;
            const auto hits = search(asked, 40, 1);
            found += hits.size() == 1 && hits[0].distance == 0;
        }
        EXPECT_EQ(found, pictures);
        query[0] = std::uint64_t{1} << 17;
        expect_exact_beginning(asked, 40, 30);
        expect_complete(search(asked, 40, 100000), asked, 100);
        forget();
    }
}

// Readers go through chains that are lengthened, broken up and tidied meanwhile.
TEST_F(NearCopiesTest, SearchesGoOnWhileChainsChange) {
    create(dimensions);
    add(make({4, 100, 1e-3f}));
    link_all();
    ASSERT_TRUE(nodes_->reserve_slots(3000).ok());
    ASSERT_TRUE(nodes_->reserve_upper_blocks(3000).ok());
    ASSERT_TRUE(nodes_->refresh().ok());
    const auto linker = make_linker();
    std::atomic<bool> stop{false};
    std::atomic<std::size_t> searches{0};
    std::vector<std::thread> readers;
    for (unsigned reader = 0; reader < 2; ++reader)
        readers.emplace_back([&, reader] {
            Search search;
            std::mt19937 random(reader);
            for (; !stop.load(); searches.fetch_add(1)) {
                const NodeId id = clumps_[random() % clumps_.size()];
                EXPECT_TRUE(
                    search.start(*nodes_, Watermarks::load(state_), vector(id), search_params(40))
                        .ok());
                std::set<NodeId> seen;
                for (std::size_t i = 0; i < 150; ++i) {
                    const auto hit = search.next();
                    if (!hit.ok() || !hit.value())
                        break;
                    EXPECT_TRUE(seen.insert(hit.value()->id).second);
                }
            }
        });
    std::mt19937 random(31);
    std::normal_distribution<float> number;
    std::size_t seen = 0;
    for (int round = 0; round < 30 || seen < 20; seen = searches.load(), ++round) {
        if (round >= 30) {
            std::this_thread::yield();
            continue;
        }
        for (int i = 0; i < 40; ++i) {
            const NodeId from = clumps_[random() % clumps_.size()];
            std::vector<float> copy(vector(from), vector(from) + dimensions);
            // From the tenth round on they lie too far apart for one place, and one is broken up.
            for (float &x : copy)
                x += (round < 10 ? 1e-3f : 5e-2f) * number(random);
            const NodeId id = state_.allocated.load();
            nodes_->write_payload(id, tid_of(id), copy.data());
            nodes_->publish(id);
            state_.allocated.store(id + 1);
            nodes_->mark_deleted(static_cast<NodeId>(random() % id));
        }
        EXPECT_TRUE(linker->link(state_.allocated.load(), never_stop).ok());
        EXPECT_TRUE(tidy_twins(*nodes_, TwinCheck::membership, never_stop).ok());
    }
    stop.store(true);
    for (std::thread &reader : readers)
        reader.join();
    connect();
    expect_complete(search(vector(clumps_[0]), 40, 100000), vector(clumps_[0]), 200);
}

}  // namespace
}  // namespace dvec::graph
