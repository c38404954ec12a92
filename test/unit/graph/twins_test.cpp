// Rows with equal vectors share one place in the graph: none is lost by it, and nobody else.
#include "engine/graph/twins.hpp"

#include <thread>

#include "engine/graph/reachability.hpp"
#include "engine/graph/sanitize.hpp"
#include "engine/graph/twin_table.hpp"
#include "test/unit/graph/graph_fixture.hpp"
#include "test/unit/graph/rows_among_copies.hpp"

namespace dvec::graph {
namespace {

constexpr std::size_t dimensions = 16;

// Vectors of which some are repeated.
struct Repeated {
    std::size_t kinds;
    std::size_t copies;
    Place place = Place::mixed;
};

class TwinsTest : public GraphTest {
  protected:
    // The rows that are not repeated keep their order; `unrepeated_` has their ids.
    std::vector<float> make(const Repeated &shape) {
        std::mt19937_64 random(11);
        std::normal_distribution<float> number;
        const auto draw = [&] {
            std::vector<float> vector(dimensions);
            for (float &x : vector)
                x = number(random);
            return vector;
        };
        std::vector<std::vector<float>> rows;
        std::vector<bool> repeated;
        const auto put = [&](const std::vector<float> &vector, bool is_repeated) {
            rows.push_back(vector);
            repeated.push_back(is_repeated);
        };
        std::vector<std::vector<float>> singles(others);
        for (auto &vector : singles)
            vector = draw();
        std::vector<std::vector<float>> copies;
        for (std::size_t kind = 0; kind < shape.kinds; ++kind)
            copies.insert(copies.end(), shape.copies, draw());
        std::shuffle(copies.begin(), copies.end(), random);
        std::size_t next = 0;
        if (shape.place == Place::first)
            for (; next < copies.size(); ++next)
                put(copies[next], true);
        for (std::size_t i = 0; i < others; ++i) {
            put(singles[i], false);
            if (shape.place == Place::mixed)
                for (; next < copies.size() * (i + 1) / others; ++next)
                    put(copies[next], true);
        }
        for (; next < copies.size(); ++next)
            put(copies[next], true);
        std::vector<float> values;
        unrepeated_.clear();
        repeated_.clear();
        for (std::size_t i = 0; i < rows.size(); ++i) {
            values.insert(values.end(), rows[i].begin(), rows[i].end());
            (repeated[i] ? repeated_ : unrepeated_).push_back(static_cast<NodeId>(i));
        }
        return values;
    }

    const float *vector(NodeId id) const {
        return reinterpret_cast<const float *>(nodes_->vector(id));
    }
    // Of the live rows that are not repeated, the share found first by their own vector.
    double found_by_own_vector() {
        std::size_t asked = 0;
        std::size_t found = 0;
        for (std::size_t i = 0; i < unrepeated_.size(); i += 4) {
            const NodeId id = unrepeated_[i];
            const auto hits = search(vector(id), 200, 1);
            ++asked;
            found += hits.size() == 1 && hits[0].id == id;
        }
        return static_cast<double>(found) / static_cast<double>(asked);
    }
    std::vector<float> queries() const {
        std::mt19937_64 random(12);
        std::normal_distribution<float> number;
        std::vector<float> values(100 * dimensions);
        for (float &x : values)
            x = number(random);
        return values;
    }
    double recall_without_copies() {
        create(dimensions);
        add(make({0, 0}));
        link_in_batches();
        const double found = recall(queries(), 100, 10);
        forget();
        return found;
    }
    void link_in_batches() {
        const auto linker = make_linker();
        while (state_.linked.load() < state_.allocated.load()) {
            const NodeId linked = state_.linked.load();
            ASSERT_TRUE(linker
                            ->link(std::min(state_.allocated.load(),
                                            linked + Linker::batch_of_build(linked)),
                                   never_stop)
                            .ok());
        }
        connect();
    }
    void connect() {
        ASSERT_TRUE(connect_unreachable(*nodes_, {kernel_, dimensions_, 64}, never_stop).ok());
    }
    std::size_t unreachable() {
        return count_unreachable(*nodes_, {kernel_, dimensions_, 64}, never_interrupted).value();
    }
    std::size_t twins() const {
        std::size_t count = 0;
        for (NodeId id = 0; id < state_.linked.load(); ++id)
            count += is_twin(*nodes_, id);
        return count;
    }
    std::size_t chain_length(NodeId node) const {
        std::size_t length = 0;
        for (NodeId id = node; (id = next_twin(*nodes_, node, id, state_.linked.load())) != nobody;)
            ++length;
        return length;
    }
    // Every copy of this row's vector comes, in order of ids, before anything else.
    void expect_all_copies(NodeId id, std::uint32_t ef) {
        std::vector<NodeId> copies;
        for (NodeId other = 0; other < state_.allocated.load(); ++other)
            if (live(other) && std::memcmp(vector(other), vector(id), dimensions * 4) == 0)
                copies.push_back(other);
        std::vector<NodeId> found;
        Search one_round;
        for (const Hit &hit : search_with(one_round, vector(id), search_params(ef), copies.size()))
            found.push_back(hit.id);
        EXPECT_EQ(found, copies);
        EXPECT_FALSE(one_round.statistics().exact);
    }

    std::vector<NodeId> unrepeated_;
    std::vector<NodeId> repeated_;
};

TEST_F(TwinsTest, TheTableKnowsEveryVector) {
    TwinTable table;
    std::mt19937 random(3);
    std::vector<std::uint32_t> vectors;
    std::vector<NodeId> first;
    for (NodeId id = 0; id < 20000; ++id) {
        vectors.push_back(random() % 5000);
        const auto same = std::find(vectors.begin(), vectors.end() - 1, vectors.back());
        first.push_back(static_cast<NodeId>(same - vectors.begin()));
        // Hashes collide a lot.
        const NodeId found = table.find_or_enter(
            vectors[id] % 700, id, [&](NodeId other) { return vectors[other] == vectors[id]; },
            [](NodeId) { return true; });
        ASSERT_EQ(found, first[id]);
    }
    const auto same = [&](NodeId other) { return vectors[other] == vectors[0]; };
    EXPECT_EQ(table.find_or_enter(vectors[0] % 700, 20001, same, [](NodeId) { return false; }),
              20001u);
}

TEST_F(TwinsTest, TheTableTakesLittleMoreThanItsEntries) {
    TwinTable table;
    std::mt19937 random(4);
    for (NodeId id = 0; id < 300000; ++id) {
        ASSERT_EQ(table.find_or_enter(
                      random(), id, [](NodeId) { return false; }, [](NodeId) { return true; }),
                  id);
        if (id >= 100000)
            ASSERT_LE(table.bytes(), std::size_t{id} * 23 / 2);
    }
}

TEST_F(TwinsTest, CopiesShareAPlaceAndAllAreFound) {
    create(dimensions);
    add(make({50, 20}));
    link_all();
    EXPECT_EQ(twins(), 50u * 19);
    for (NodeId id = 0; id < state_.linked.load(); ++id)
        if (is_twin(*nodes_, id)) {
            EXPECT_TRUE(links(id).empty());
            EXPECT_LT(named_node(*nodes_, id), id);
        }
    expect_sound_links();
    expect_reachable(state_.linked.load());
    for (std::size_t i = 0; i < repeated_.size(); i += 97)
        expect_all_copies(repeated_[i], 40);
    const auto query = queries();
    expect_complete(search(query.data(), 40, 100000), query.data(), 30);
    expect_complete(search(vector(repeated_[0]), 40, 100000), vector(repeated_[0]), 30);
}

TEST_F(TwinsTest, MoreCopiesThanEfWantAllCome) {
    create(dimensions);
    add(make({1, most_copies}));
    link_all();
    expect_all_copies(repeated_[0], 10);
}

TEST_F(TwinsTest, NobodyIsCrowdedOut) {
    const double without = recall_without_copies();
    for (const Repeated shape :
         {Repeated{100, 33}, Repeated{1, most_copies, Place::first},
          Repeated{1, most_copies, Place::last}, Repeated{20, 200}, Repeated{1000, 2}}) {
        SCOPED_TRACE(std::to_string(shape.kinds) + " x " + std::to_string(shape.copies));
        create(dimensions);
        add(make(shape));
        link_in_batches();
        EXPECT_EQ(unreachable(), 0u);
        EXPECT_GE(found_by_own_vector(), 0.999);
        EXPECT_GE(recall(queries(), 100, 10), without - 0.005);
        forget();
    }
}

TEST_F(TwinsTest, LinkedOneByOneTheyAreTwinsAsWell) {
    create(dimensions);
    const auto values = make({10, 30});
    add(values);
    const auto linker = make_linker(1);
    for (NodeId id = 0; id < state_.allocated.load(); ++id)
        ASSERT_TRUE(linker->link(id + 1, never_stop).ok());
    EXPECT_EQ(twins(), 10u * 29);
    EXPECT_GE(found_by_own_vector(), 0.999);
    expect_all_copies(repeated_[0], 40);
}

// The graph of another process, by a linker of its own.
TEST_F(TwinsTest, ALaterLinkerKnowsTheVectors) {
    create(dimensions);
    const auto values = make({10, 30});
    add(values);
    link_all();
    add(values);
    link_all();
    EXPECT_EQ(twins(), 10u * 29 + values.size() / dimensions);
    for (std::size_t i = 0; i < repeated_.size(); i += 50)
        expect_all_copies(repeated_[i], 40);
    expect_all_copies(unrepeated_[0], 40);
    expect_sound_links();
}

TEST_F(TwinsTest, ByInnerProductShortVectorsShareAPlaceToo) {
    create(dimensions, 16, Codes::as_usual, distance::Metric::inner_product);
    auto values = make({1, 500});
    for (const NodeId id : repeated_)
        for (std::size_t d = 0; d < dimensions; ++d)
            values[id * dimensions + d] *= 1e-3f;
    add(values);
    link_in_batches();
    EXPECT_EQ(twins(), 499u);
    expect_complete(search(queries().data(), 40, 100000), queries().data(), 1000);
}

TEST_F(TwinsTest, ARowThatIsGoneGoesOnLeadingToItsTwins) {
    create(dimensions);
    add(make({10, 30}));
    link_all();
    for (const NodeId id : repeated_)
        if (!is_twin(*nodes_, id))
            nodes_->mark_deleted(id);
    for (std::size_t i = 0; i < repeated_.size(); i += 31)
        expect_all_copies(repeated_[i], 40);
    expect_complete(search(vector(0), 40, 100000), vector(0), 30);
    EXPECT_EQ(unreachable(), 0u);
}

TEST_F(TwinsTest, CopiesThatAreGoneCostNothing) {
    const double without = recall_without_copies();
    create(dimensions);
    add(make({20, 200}));
    link_in_batches();
    for (const NodeId id : repeated_)
        nodes_->mark_deleted(id);
    const auto report = tidy_twins(*nodes_, TwinCheck::membership, never_stop);
    ASSERT_TRUE(report.ok());
    EXPECT_EQ(report.value().twins, 0u);
    for (const NodeId id : repeated_)
        if (!is_twin(*nodes_, id)) {
            EXPECT_EQ(chain_length(id), 0u);
        }
    EXPECT_GE(found_by_own_vector(), 0.999);
    EXPECT_GE(recall(queries(), 100, 10), without - 0.005);
}

TEST_F(TwinsTest, TidyingLeavesTheLiveAndMoreMayCome) {
    create(dimensions);
    const auto values = make({10, 60});
    add(values);
    const auto linker = make_linker();
    ASSERT_TRUE(linker->link(state_.allocated.load(), never_stop).ok());
    std::mt19937 random(5);
    for (int round = 0; round < 6; ++round) {
        for (const NodeId id : repeated_)
            if (random() % 3 == 0)
                nodes_->mark_deleted(id);
        ASSERT_TRUE(tidy_twins(*nodes_, TwinCheck::vectors, never_stop).ok());
        add(std::vector<float>(&values[repeated_[7] * dimensions],
                               &values[(repeated_[7] + 1) * dimensions]));
        ASSERT_TRUE(linker->link(state_.allocated.load(), never_stop).ok());
        for (std::size_t i = 0; i < repeated_.size(); i += 53)
            expect_all_copies(repeated_[i], 40);
    }
    // The last copies go, and yet others come.
    for (NodeId id = 0; id < state_.allocated.load(); ++id)
        nodes_->mark_deleted(id);
    ASSERT_TRUE(tidy_twins(*nodes_, TwinCheck::vectors, never_stop).ok());
    add(values);
    ASSERT_TRUE(linker->link(state_.allocated.load(), never_stop).ok());
    EXPECT_EQ(unreachable(), 0u);
    expect_all_copies(static_cast<NodeId>(state_.allocated.load() - 1), 40);
}

// After a crash ids are linked again, some with other vectors: what chains and lists say of them is
// of no meaning.
TEST_F(TwinsTest, IdsThatACrashTookBackLeaveTheirChains) {
    create(dimensions);
    const auto values = make({10, 60, Place::last});
    const auto rows = static_cast<NodeId>(values.size() / dimensions);
    add(values);
    const NodeId kept = rows - 300;
    link_first(kept);
    const auto entry = state_.entry_point.load();
    link_all();
    state_.linked.store(kept);
    state_.entry_point.store(entry);
    // Copies become single rows, and others copies.
    std::mt19937 random(9);
    for (NodeId id = kept; id < rows; ++id) {
        const float *from = vector(static_cast<NodeId>(random() % rows));
        std::vector<float> other(from, from + dimensions);
        if (random() % 3 == 0)
            other[0] += 1;
        nodes_->write_payload(id, tid_of(id), other.data());
        nodes_->publish(id);
    }
    expect_complete(search(vector(0), 40, 100000), vector(0), 30);
    link_all();
    for (NodeId id = kept; id < rows; id += 23)
        expect_all_copies(id, 40);
    for (NodeId id = kept; id < rows; id += 41)
        expect_complete(search(vector(id), 40, 100000), vector(id), 60);
    connect();
    EXPECT_EQ(unreachable(), 0u);
}

// Chains as a power loss leaves them, or worse: all comes back.
TEST_F(TwinsTest, AnyDamageOfChainsIsMended) {
    std::mt19937 random(21);
    create(dimensions);
    add(make({20, 40}));
    link_all();
    const NodeId end = state_.linked.load();
    for (int round = 0; round < 8; ++round) {
        for (int i = 0; i < 200; ++i) {
            const NodeId id = repeated_[random() % repeated_.size()];
            switch (random() % 4) {
                case 0:
                    nodes_->slot(id)->twin.store(static_cast<std::uint32_t>(random()));
                    break;
                case 1:
                    nodes_->slot(id)->twin.store(random() % 2 == 0 ? 0
                                                                   : twin_mark | random() % end);
                    break;
                case 2:
                    if (is_twin(*nodes_, id))
                        nodes_->links(id)[0].store(random() % 2 == 0 ? random() % end : nobody);
                    break;
                default:
                    if (is_twin(*nodes_, id))
                        nodes_->slot(id)->link_count.store(static_cast<std::uint32_t>(random()));
            }
        }
        // Whatever stands there, searches give every row once.
        expect_complete(search(vector(repeated_[0]), 40, 100000), vector(repeated_[0]), 2000);
        if (round % 2 == 0) {
            ASSERT_TRUE(sanitize_links(*nodes_, never_stop).ok());
            EXPECT_EQ(sanitize_links(*nodes_, never_stop).value().repairs, 0u);
        }
        connect();
        EXPECT_EQ(unreachable(), 0u);
        for (std::size_t i = 0; i < repeated_.size(); i += 101)
            expect_all_copies(repeated_[i], 200);
    }
}

// A vector that was lost takes no copies with it.
TEST_F(TwinsTest, TwinsOfAHoleGetAPlaceOfTheirOwn) {
    create(dimensions);
    add(make({20, 40}));
    link_all();
    for (const NodeId id : repeated_)
        if (!is_twin(*nodes_, id))
            nodes_->mark_hole(id);
    EXPECT_GT(unreachable(), 0u);
    connect();
    EXPECT_EQ(unreachable(), 0u);
    EXPECT_EQ(twins(), 20u * 38);
    for (std::size_t i = 0; i < repeated_.size(); i += 31)
        if (live(repeated_[i]))
            expect_all_copies(repeated_[i], 200);
}

// Readers step through chains that one party lengthens and tidies meanwhile.
TEST_F(TwinsTest, SearchesGoOnWhileChainsChange) {
    create(dimensions);
    const auto values = make({4, 100});
    add(values);
    link_all();
    ASSERT_TRUE(nodes_->reserve_slots(8000).ok());
    ASSERT_TRUE(nodes_->reserve_upper_blocks(8000).ok());
    ASSERT_TRUE(nodes_->refresh().ok());
    const auto linker = make_linker();
    std::atomic<bool> stop{false};
    std::atomic<std::size_t> searches{0};
    std::vector<std::thread> readers;
    for (int reader = 0; reader < 2; ++reader)
        readers.emplace_back([&, reader] {
            Search search;
            std::mt19937 random(static_cast<unsigned>(reader));
            while (!stop.load()) {
                const NodeId id = repeated_[random() % repeated_.size()];
                if (!search.start(*nodes_, Watermarks::load(state_), vector(id), search_params(40))
                         .ok())
                    continue;
                std::set<NodeId> seen;
                for (std::size_t i = 0; i < 150; ++i) {
                    const auto hit = search.next();
                    if (!hit.ok() || !hit.value())
                        break;
                    EXPECT_TRUE(seen.insert(hit.value()->id).second);
                }
                searches.fetch_add(1);
            }
        });
    std::mt19937 random(31);
    std::size_t seen = 0;
    for (int round = 0; round < 30 || seen < 20; seen = searches.load(), ++round) {
        if (round >= 30) {
            std::this_thread::yield();
            continue;
        }
        for (int i = 0; i < 20; ++i) {
            const NodeId from = repeated_[random() % repeated_.size()];
            const NodeId id = state_.allocated.load();
            nodes_->write_payload(id, tid_of(id), vector(from));
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
    for (NodeId id = 0; id < state_.allocated.load(); id += 61)
        if (live(id))
            expect_all_copies(id, 200);
}

// No byte of what lies in the files makes the linker read where nothing is.
TEST_F(TwinsTest, TheLinkerSurvivesAnyLinks) {
    std::mt19937 random(77);
    create(dimensions);
    add(make({10, 20}));
    link_all();
    const NodeId end = state_.linked.load();
    const auto linker = make_linker();
    for (int round = 0; round < 20; ++round) {
        for (int i = 0; i < 300; ++i) {
            const auto id = static_cast<NodeId>(random() % end);
            const std::uint32_t level = random() % 4 == 0 ? 1 : 0;
            auto *words = list_words(id, static_cast<int>(level));
            if (words == nullptr)
                continue;
            auto &word = words[random() % (level == 0 ? 33 : 17)];
            word.store(random() % 2 == 0 ? word.load() ^ 1u << random() % 32
                                         : static_cast<std::uint32_t>(random()));
            if (random() % 8 == 0)
                nodes_->slot(id)->twin.store(static_cast<std::uint32_t>(random()));
        }
        std::vector<float> more;
        for (int i = 0; i < 40; ++i) {
            const float *near = vector(static_cast<NodeId>(random() % end));
            more.insert(more.end(), near, near + dimensions);
            if (i % 2 == 0)
                more.back() += 0.01f;
        }
        add(more);
        EXPECT_TRUE(linker->link(state_.allocated.load(), never_stop).ok());
        const float *query = vector(state_.allocated.load() - 1);
        search(query, 100, 100);
    }
    ASSERT_TRUE(sanitize_links(*nodes_, never_stop).ok());
    connect();
    EXPECT_EQ(unreachable(), 0u);
    expect_complete(search(vector(3), 40, 100000), vector(3), 500);
}

TEST_F(TwinsTest, ImpossibleWatermarksAreRefused) {
    create(dimensions);
    add(make({1, 2}));
    const NodeId end = state_.allocated.load(), linked = end - 100;
    const auto linker = make_linker();
    ASSERT_TRUE(linker->link(linked, never_stop).ok());
    const auto entry = state_.entry_point.load();
    state_.entry_point.store(EntryPoint::pack({4000000, 2}));
    EXPECT_EQ(linker->link(end, never_stop).code(), base::Code::corrupt);
    state_.entry_point.store(entry);
    state_.linked.store(linked + 50);
    EXPECT_EQ(linker->link(end, never_stop).code(), base::Code::corrupt);
    state_.linked.store(linked);
    EXPECT_TRUE(linker->link(end, never_stop).ok());
}

// Codes of eight bits are the same for vectors that are nearly equal: only the vectors decide which
// twins are equal and which are near.
TEST_F(TwinsTest, CodesDoNotMakeTwins) {
    create(128);
    ASSERT_TRUE(nodes_->layout().coded());
    std::vector<float> values = ClusteredData(1, {128, 10, 8, 0.1f}).make(500);
    for (int i = 0; i < 100; ++i) {
        std::vector<float> copy(values.begin(), values.begin() + 128);
        if (i % 2 == 0)
            copy[5] += static_cast<float>(i + 1) * 1e-6f;
        values.insert(values.end(), copy.begin(), copy.end());
    }
    add(values);
    link_all();
    EXPECT_EQ(twins(), 100u);
    std::size_t near = 0;
    for (NodeId id = 0; id < 600; ++id)
        near += is_twin(*nodes_, id) && is_near_twin(*nodes_, id);
    EXPECT_EQ(near, 50u);
}

}  // namespace
}  // namespace dvec::graph
