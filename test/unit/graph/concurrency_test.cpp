// Everything at once, as in a server: inserters, one linker with its threads, deletions, and
// searches that take no lock. Once with a mapping per party, as processes have; once all on one
// mapping, where the thread sanitizer can see a race.
#include <thread>

#include "engine/graph/row_filter.hpp"
#include "test/unit/graph/graph_fixture.hpp"
#include "test/unit/support/sanitized.hpp"

namespace dvec::graph {
namespace {

constexpr std::uint32_t many = test::sanitized ? 2500 : 12000;
constexpr std::uint32_t fewer = test::sanitized ? 1500 : 4000;

constexpr std::uint32_t batch = 97;  // nodes linked at once

class ConcurrencyTest : public GraphTest {
  protected:
    void create_for(std::size_t dimensions, std::uint32_t nodes) {
        shape_.dimensions = dimensions;
        total_ = nodes;
        create(static_cast<std::uint32_t>(dimensions));
    }
    // Every second search finds rows by a pass over their keys, the others by the walk.
    void create_with_filters(std::size_t dimensions, std::uint32_t nodes) {
        columns_ = 1;
        create_for(dimensions, nodes);
        for (const std::uint64_t share : {4, 400}) {
            filters_.emplace_back().add(
                {0, RowFilter::Condition::Kind::within_ranges, {{0, share}}, {}});
        }
    }
    static std::uint64_t key_of(NodeId id) { return id * 0x9E3779B1u % 1000; }
    const RowFilter *filter_of(std::size_t search) const {
        return filters_.empty() ? nullptr : &filters_[search % filters_.size()];
    }

    void run_on_mappings_of_their_own() {
        const auto inserting = open_store(state_);
        const auto linking = open_store(state_);
        const auto searching = open_store(state_);
        const auto searching_too = open_store(state_);
        run(*inserting, *linking, *searching, *searching_too);
    }
    void run_on_one_mapping() {
        ASSERT_TRUE(nodes_->reserve_slots(total_).ok());
        ASSERT_TRUE(nodes_->reserve_upper_blocks(total_).ok());
        ASSERT_TRUE(nodes_->refresh().ok());
        capacity_is_fixed_ = true;
        run(*nodes_, *nodes_, *nodes_, *nodes_);
    }

    // Searches until all is linked, comparing each answer with the exact scan of the same ids.
    struct Searcher {
        std::size_t wanted = 0;
        std::size_t found = 0;
        std::size_t searches = 0;
        std::size_t wrong = 0;  // hits out of order, twice, or beyond the watermarks

        double recall() const { return static_cast<double>(found) / static_cast<double>(wanted); }
    };

    void insert_all(NodeStore &nodes, const std::vector<float> &data) {
        for (NodeId id = 0; id < total_; ++id) {
            if (!capacity_is_fixed_) {
                ASSERT_TRUE(nodes.reserve_slots(1).ok());
                ASSERT_TRUE(nodes.refresh().ok());
            }
            // As several inserters would leave it: the id is given out before the slot is ready.
            state_.allocated.store(id + 1, std::memory_order_release);
            if (id % 64 == 0)
                std::this_thread::yield();
            const std::uint64_t key = key_of(id);
            nodes.write_payload(id, tid_of(id), {&data[std::size_t{id} * shape_.dimensions], &key});
            nodes.publish(id);
            if (id % 50 == 49)
                nodes.mark_deleted(id - 7);
            // Not so fast that there is nothing left to link meanwhile.
            while (id - std::min(id, state_.linked.load()) > 600)
                std::this_thread::yield();
        }
    }

    void link_until_done(NodeStore &nodes) {
        auto linker = Linker::create(nodes, {kernel_, dimensions_, 64, 2});
        ASSERT_TRUE(linker.ok());
        while (state_.linked.load() < total_) {
            const NodeId end = std::min(state_.allocated.load(std::memory_order_acquire),
                                        state_.linked.load() + batch);
            const base::Status status = linker.value()->link(end, never_stop);
            ASSERT_TRUE(status.ok()) << status.message();
        }
    }

    void search_until_done(NodeStore &nodes, const std::vector<float> &queries, Searcher &result) {
        Search search;
        const std::size_t query_count = queries.size() / shape_.dimensions;
        while (state_.linked.load() < total_ || result.searches < 20) {
            const float *query = &queries[result.searches % query_count * shape_.dimensions];
            const Watermarks marks = Watermarks::load(state_);
            if (!capacity_is_fixed_) {
                ASSERT_TRUE(nodes.refresh().ok());
            }
            auto params = search_params(100);
            params.filter = filter_of(result.searches);
            ASSERT_TRUE(search.start(nodes, marks, query, params).ok());
            std::vector<Hit> hits;
            while (hits.size() < 10) {
                auto hit = search.next();
                ASSERT_TRUE(hit.ok());
                if (!hit.value())
                    break;
                if (hit.value()->id >= marks.allocated ||
                    (params.filter != nullptr && !params.filter->admits(nodes, hit.value()->id)) ||
                    (!hits.empty() && hit.value()->distance < hits.back().distance))
                    ++result.wrong;
                hits.push_back(*hit.value());
            }
            compare(nodes, marks, query, hits, result);
            ++result.searches;
        }
    }

    // Against what is live now: a node that became ready or deleted since then may differ, so only
    // nodes below the watermarks that the search could have seen are demanded.
    void compare(const NodeStore &nodes, const Watermarks &marks, const float *query,
                 const std::vector<Hit> &hits, Searcher &result) const {
        const RowFilter *filter = filter_of(result.searches);
        std::vector<std::pair<double, NodeId>> truth;
        for (NodeId id = 0; id < marks.linked; ++id)
            if ((nodes.state(id) & (slot_ready | slot_deleted)) == slot_ready &&
                (filter == nullptr || filter->admits(nodes, id)))
                truth.emplace_back(kernel_.operator_value(kernel_.whole_distance(
                                       query, nodes.vector(id), shape_.dimensions)),
                                   id);
        std::sort(truth.begin(), truth.end());
        // In a graph smaller than the batches that are added to it most links lead beyond the
        // watermark for a while.
        if (marks.linked < 3 * batch || hits.empty())
            return;
        for (const auto &[distance, id] : truth) {
            if (hits.size() == 10 && distance > hits.back().distance)
                break;
            ++result.wanted;
            result.found += std::any_of(hits.begin(), hits.end(),
                                        [wanted = id](const Hit &hit) { return hit.id == wanted; });
        }
    }

    void run(NodeStore &inserting, NodeStore &linking, NodeStore &searching,
             NodeStore &searching_too) {
        const auto data = ClusteredData(1, shape_).make(total_);
        const auto queries = ClusteredData(2, shape_).make(100);
        Searcher one, two;
        std::thread inserter([&] { insert_all(inserting, data); });
        std::thread linker([&] { link_until_done(linking); });
        std::thread searcher([&] { search_until_done(searching, queries, one); });
        search_until_done(searching_too, queries, two);
        inserter.join();
        linker.join();
        searcher.join();
        for (const Searcher &result : {one, two}) {
            EXPECT_GE(result.recall(), 0.98) << result.wanted << " wanted";
            EXPECT_EQ(result.wrong, 0u);
            EXPECT_GE(result.searches, 20u);
        }
        EXPECT_EQ(state_.linked.load(), total_);
        ASSERT_TRUE(nodes_->refresh().ok());
        expect_sound_links();
    }

    ClusteredShape shape_{32, 20, 8, 0.05f};
    std::uint32_t total_ = 0;
    std::vector<RowFilter> filters_;
    bool capacity_is_fixed_ = false;
};

TEST_F(ConcurrencyTest, EachPartyWithAMappingOfItsOwn) {
    create_for(32, many);
    run_on_mappings_of_their_own();
}

TEST_F(ConcurrencyTest, AllOnOneMapping) {
    create_for(32, many);
    run_on_one_mapping();
}

TEST_F(ConcurrencyTest, CodesWithAMappingForEach) {
    create_for(128, fewer);
    run_on_mappings_of_their_own();
}

TEST_F(ConcurrencyTest, FiltersOnOneMapping) {
    create_with_filters(32, fewer);
    run_on_one_mapping();
}

TEST_F(ConcurrencyTest, CodesOnOneMapping) {
    create_for(128, fewer);
    run_on_one_mapping();
}

}  // namespace
}  // namespace dvec::graph
