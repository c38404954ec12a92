// What the graph's tests share: an index's two files in a folder of their own, nodes with known
// vectors, and the plain truth to compare with.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "engine/distance/kernel.hpp"
#include "engine/graph/linker.hpp"
#include "engine/graph/node_store.hpp"
#include "engine/graph/search.hpp"
#include "engine/graph/twins.hpp"
#include "test/unit/graph/clustered_data.hpp"
#include "test/unit/support/faulty_file_system.hpp"
#include "test/unit/support/temp_directory.hpp"

namespace dvec::graph {

inline const std::atomic<bool> never_stop{false};
inline bool never_interrupted() { return false; }

// Whether vectors get codes where an index of the server would give them some.
enum class Codes { as_usual, none };

class GraphTest : public ::testing::Test {
  protected:
    static constexpr std::uint64_t identity = 0x1234567890ABCDEF;

    // Files for float vectors, with columns_ keys; `dimensions`, `m` and the rest hold for the
    // test.
    void create(std::uint32_t dimensions, std::uint32_t m = 16, Codes codes = Codes::as_usual,
                distance::Metric metric = distance::Metric::l2_squared) {
        dimensions_ = dimensions;
        kernel_ = *distance::find_kernel(distance::Element::float32, metric);
        params_ = {directory_.path(), identity, layout_of(kernel_, dimensions, m)};
        if (codes == Codes::none)
            params_.layout = Layout::make(m, params_.layout.vector_bytes);
        params_.layout.columns = columns_;
        const base::Status status = NodeStore::create_files(files_, params_);
        ASSERT_TRUE(status.ok()) << status.message();
        nodes_ = open_store(state_);
    }

    // As the first party where the state is new.
    std::unique_ptr<NodeStore> open_store(SharedState &state) {
        auto opened = state.capacity.load() == 0 ? NodeStore::open_first(files_, params_, state)
                                                 : NodeStore::open(files_, params_, state);
        EXPECT_TRUE(opened.ok()) << opened.status().message();
        return opened.ok() ? std::move(opened).value() : nullptr;
    }

    // Adds ready nodes with these vectors, and columns_ keys for each, one after another; TIDs
    // follow the ids.
    void add(const std::vector<float> &vectors, const std::vector<std::uint64_t> &keys = {}) {
        const auto count = static_cast<std::uint32_t>(vectors.size() / dimensions_);
        ASSERT_TRUE(nodes_->reserve_slots(count).ok());
        ASSERT_TRUE(nodes_->refresh().ok());
        for (std::uint32_t i = 0; i < count; ++i) {
            const NodeId id = state_.allocated.load();
            nodes_->write_payload(
                id, tid_of(id),
                {&vectors[std::size_t{i} * dimensions_], keys.data() + std::size_t{i} * columns_});
            nodes_->publish(id);
            state_.allocated.store(id + 1);
        }
    }

    // Back to before create().
    void forget() {
        nodes_.reset();
        ASSERT_TRUE(NodeStore::remove_files(files_, params_).ok());
        std::memset(static_cast<void *>(&state_), 0, sizeof(state_));
    }

    static Tid tid_of(NodeId id) { return {id / 7, static_cast<std::uint16_t>(id % 7 + 1)}; }

    std::unique_ptr<Linker> make_linker(unsigned threads = 2, std::uint32_t ef_construction = 64) {
        auto linker = Linker::create(*nodes_, {kernel_, dimensions_, ef_construction, threads});
        EXPECT_TRUE(linker.ok()) << linker.status().message();
        return linker.ok() ? std::move(linker).value() : nullptr;
    }

    void link_all(unsigned threads = 2) {
        const auto linker = make_linker(threads);
        ASSERT_NE(linker, nullptr);
        const base::Status status = linker->link(state_.allocated.load(), never_stop);
        ASSERT_TRUE(status.ok()) << status.message();
    }

    void link_first(NodeId end) {
        const auto linker = make_linker();
        ASSERT_TRUE(linker->link(end, never_stop).ok());
    }

    Search::Params search_params(std::uint32_t ef) const {
        Search::Params params;
        params.kernel = kernel_;
        params.dimensions = dimensions_;
        params.ef = ef;
        return params;
    }

    // The first `count` hits, or all there are.
    std::vector<Hit> search(const float *query, std::uint32_t ef, std::size_t count) {
        Search search;
        return search_with(search, query, search_params(ef), count);
    }

    std::vector<Hit> search_with(Search &search, const void *query, const Search::Params &params,
                                 std::size_t count) {
        const base::Status status = search.start(*nodes_, Watermarks::load(state_), query, params);
        EXPECT_TRUE(status.ok()) << status.message();
        std::vector<Hit> hits;
        while (hits.size() < count) {
            auto hit = search.next();
            EXPECT_TRUE(hit.ok()) << hit.status().message();
            if (!hit.ok() || !hit.value())
                break;
            hits.push_back(*hit.value());
        }
        return hits;
    }

    bool live(NodeId id) const { return is_live(nodes_->state(id)); }

    // What the SQL operator returns.
    double operator_distance(const float *query, NodeId id) const {
        return kernel_.operator_value(
            kernel_.whole_distance(query, nodes_->vector(id), dimensions_));
    }

    // Every live node of [first, last) by distance, ties by id.
    std::vector<std::pair<double, NodeId>> exact(const float *query, NodeId first,
                                                 NodeId last) const {
        std::vector<std::pair<double, NodeId>> found;
        for (NodeId id = first; id < last; ++id)
            if (live(id))
                found.emplace_back(operator_distance(query, id), id);
        std::sort(found.begin(), found.end(), [](const auto &one, const auto &other) {
            return comes_before(one.first, other.first) ||
                   (!comes_before(other.first, one.first) && one.second < other.second);
        });
        return found;
    }

    // Every live node once, in order but for a last part, itself in order, of late ones.
    void expect_complete(const std::vector<Hit> &hits, const float *query, std::size_t most_late) {
        std::vector<bool> seen(state_.allocated.load(), false);
        for (const Hit &hit : hits) {
            ASSERT_LT(hit.id, seen.size());
            EXPECT_FALSE(seen[hit.id]) << hit.id << " came twice";
            seen[hit.id] = true;
            EXPECT_TRUE(live(hit.id));
            EXPECT_EQ(hit.tid, tid_of(hit.id));
            EXPECT_EQ(hit.distance, operator_distance(query, hit.id));
        }
        for (NodeId id = 0; id < seen.size(); ++id)
            EXPECT_EQ(seen[id], live(id)) << id;
        std::size_t descents = 0;
        std::size_t late = 0;
        for (std::size_t i = 1; i < hits.size(); ++i) {
            const bool ordered = std::pair(hits[i - 1].distance, hits[i - 1].id) <
                                 std::pair(hits[i].distance, hits[i].id);
            if (!ordered) {
                ++descents;
                late = hits.size() - i;
            }
        }
        EXPECT_LE(descents, 1u);
        EXPECT_LE(late, most_late);
    }

    // Some nodes everywhere are deleted, some of the tail are holes.
    void lose_some(NodeId linked) {
        const NodeId end = state_.allocated.load();
        for (NodeId id = 0; id < end; id += 13)
            nodes_->mark_deleted(id);
        for (NodeId id = linked + 1; id < end; id += 17)
            nodes_->mark_hole(id);
    }

    // Links nodes of which eight in ten are then deleted: a round finds as many of the others as it
    // would have found of all.
    void expect_deleted_take_no_place(const ClusteredShape &shape, std::uint32_t count,
                                      std::size_t most_late) {
        add(ClusteredData(1, shape).make(count));
        link_all();
        std::mt19937 random(5);
        for (NodeId id = 0; id < count; ++id)
            if (random() % 10 < 8)
                nodes_->mark_deleted(id);
        EXPECT_GE(recall(ClusteredData(2, shape).make(30), 40, 10), 0.95);
        const auto query = ClusteredData(2, shape).make(1);
        Search one_round;
        EXPECT_EQ(search_with(one_round, query.data(), search_params(40), 40).size(), 40u);
        EXPECT_EQ(one_round.statistics().rounds, 0u);
        expect_complete(search(query.data(), 40, 10000), query.data(), most_late);
    }

    // Of the k nearest, the share that a search with this ef returns first. By distance, so that
    // equal vectors count as each other.
    double recall(const std::vector<float> &queries, std::uint32_t ef, std::size_t k) {
        std::size_t wanted = 0;
        std::size_t found = 0;
        for (std::size_t q = 0; q < queries.size() / dimensions_; ++q) {
            const float *query = &queries[q * dimensions_];
            const auto truth = exact(query, 0, state_.allocated.load());
            const std::size_t count = std::min(k, truth.size());
            wanted += count;
            for (const Hit &hit : search(query, ef, count))
                if (hit.distance <= truth[count - 1].first)
                    ++found;
        }
        return static_cast<double>(found) / static_cast<double>(wanted);
    }

    // A node's list on one level, as it stands.
    std::vector<NodeId> links(NodeId id, int level = 0) const {
        std::vector<NodeId> list;
        const std::atomic<std::uint32_t> *words = list_words(id, level);
        if (words == nullptr)
            return list;
        for (std::uint32_t i = 1; i <= words[0].load(); ++i)
            list.push_back(words[i].load());
        return list;
    }

    std::atomic<std::uint32_t> *list_words(NodeId id, int level) const {
        if (level == 0)
            return &nodes_->slot(id)->link_count;
        const std::uint32_t reference = nodes_->slot(id)->upper.load();
        if (reference == 0)
            return nullptr;
        return nodes_->upper_block(reference - 1 + static_cast<std::uint32_t>(level) - 1);
    }

    // What must hold for the links of every linked node, whatever happened before.
    void expect_sound_links() const {
        const NodeId linked = state_.linked.load();
        const std::uint32_t m = params_.layout.m;
        std::set<std::uint32_t> blocks_seen;
        for (NodeId id = 0; id < linked; ++id) {
            const int level = node_level(id, m);
            const std::uint32_t reference = nodes_->slot(id)->upper.load();
            if (level == 0 || reference == 0) {
                EXPECT_TRUE(level == 0 || !live(id) || is_twin(*nodes_, id))
                    << "no tower of node " << id;
                expect_sound_list(id, 0);
                continue;
            }
            for (int at = 0; at <= level; ++at)
                expect_sound_list(id, at);
            for (std::uint32_t block = reference - 1;
                 block < reference - 1 + static_cast<std::uint32_t>(level); ++block) {
                EXPECT_LT(block, state_.upper_allocated.load());
                EXPECT_TRUE(blocks_seen.insert(block).second)
                    << "block " << block << " owned twice";
            }
        }
    }

    void expect_sound_list(NodeId id, int level) const {
        const std::uint32_t m = params_.layout.m;
        std::vector<NodeId> list = links(id, level);
        EXPECT_LE(list.size(), level == 0 ? 2 * m : m);
        for (const NodeId target : list) {
            EXPECT_LT(target, state_.linked.load()) << "of node " << id;
            EXPECT_NE(target, id);
            EXPECT_FALSE(is_twin(*nodes_, target)) << "of node " << id;
            EXPECT_GE(node_level(target, m), level);
            EXPECT_EQ(state_flags(nodes_->state(target)) & slot_hole, 0);
        }
        std::sort(list.begin(), list.end());
        EXPECT_EQ(std::adjacent_find(list.begin(), list.end()), list.end())
            << "node " << id << " has a link twice on level " << level;
    }

    // Nearly all: a node that every neighbour finds crowded by others loses the links to it.
    void expect_reachable(std::size_t live_nodes) const {
        const std::size_t reached = reachable();
        EXPECT_LE(reached, live_nodes);
        EXPECT_GE(reached, live_nodes - live_nodes / 500 - 2);
    }

    // How many linked nodes the level-0 links lead to from the entry point, with their twins.
    std::size_t reachable() const {
        const auto entry = EntryPoint::unpack(state_.entry_point.load());
        if (entry.level < 0)
            return 0;
        std::vector<bool> seen(state_.linked.load(), false);
        std::vector<NodeId> open{entry.id};
        seen[entry.id] = true;
        std::size_t count = 0;
        while (!open.empty()) {
            const NodeId id = open.back();
            open.pop_back();
            ++count;
            for (NodeId twin = id;
                 (twin = next_twin(*nodes_, id, twin, state_.linked.load())) != nobody;)
                ++count;
            for (const NodeId next : links(id))
                if (!seen[next]) {
                    seen[next] = true;
                    open.push_back(next);
                }
        }
        return count;
    }

    test::TempDirectory directory_;
    test::FaultyFileSystem files_;
    SharedState state_{};
    NodeStore::Params params_;
    distance::Kernel kernel_{};
    std::uint32_t dimensions_ = 0;
    std::uint32_t columns_ = 0;
    std::unique_ptr<NodeStore> nodes_;
};

}  // namespace dvec::graph
