// Many at work on one index, each through its own Index with its own mappings: some insert, some
// remove, one links and takes checkpoints, some search. Every search must hold all that was there
// when it began.
#include <atomic>
#include <latch>
#include <thread>

#include "store_fixture.hpp"

namespace dvec::test {
namespace {

using store::Start;

constexpr Row row_limit = 1 << 14;

// What each row has been through, as far as its inserter or remover knows.
enum RowFate : std::uint8_t { row_unknown, row_begun, row_present, row_going, row_gone };

class StoreConcurrency : public testing::Test {
  protected:
    void SetUp() override {
        store_.description.segment_bytes = 8192;
        ASSERT_NO_FATAL_FAILURE(store_.build(100));
        ASSERT_EQ(store_.recover().start, Start::clean);
        for (Row row = 0; row < 100; ++row)
            fates_[row] = row_present;
    }

    // Inserts the rows of [100, end) that are its own; every tenth is removed again soon.
    void insert_rows(unsigned inserter, unsigned inserters, Row end) {
        auto index = store_.open();
        for (Row row = 100 + inserter; row < end; row += inserters) {
            wait_for_the_others(row);
            fates_[row] = row_begun;
            const graph::NodeId id = store_.insert(*index, row, row);
            fates_[row] = row_present;
            if (row % 10 != 0)
                continue;
            fates_[row] = row_going;
            const base::Status removed = index->remove(id, 0);
            EXPECT_TRUE(removed.ok()) << removed.message();
            fates_[row] = row_gone;
        }
    }

    // Keeps the inserters from being done before anybody else had a turn.
    void wait_for_the_others(Row row) {
        while (paced_ && !HasFailure() &&
               (complete_searches_ < row / 150 || checkpoints_ < row / 50))
            std::this_thread::yield();
    }

    // Links in small steps; now and then a checkpoint, each of which cuts the log.
    void maintain() {
        auto maintainer = store_.maintainer(2);
        const std::atomic<bool> go{false};
        FakeWal wal;
        for (unsigned turn = 0; !finished_; ++turn) {
            const base::Status linked = maintainer->link(37, go);
            EXPECT_TRUE(linked.ok()) << linked.message();
            if (turn % 2 == 0) {
                EXPECT_TRUE(maintainer->sync_log().ok());
            }
            if (turn % 3 == 0) {
                const base::Status taken =
                    maintainer->checkpoint(wal, store::CheckpointKind::running);
                EXPECT_TRUE(taken.ok()) << taken.message();
                ++checkpoints_;
            }
            if (turn % 16 == 15)
                maintainer->relax();
            std::this_thread::yield();
        }
    }

    // A search to the end finds all that was present when it began and nothing that was gone by
    // then.
    void search_completely(store::Index &index, Row query_row) {
        std::vector<RowFate> before(row_limit);
        for (Row row = 0; row < row_limit; ++row)
            before[row] = fates_[row];
        const auto query = store_.vector(query_row);
        std::vector<bool> found(row_limit, false);
        for (const graph::Hit &hit : all_hits(index, query)) {
            const Row row = row_of(hit.tid);
            ASSERT_LT(row, row_limit);
            ASSERT_FALSE(found[row]) << "row " << row << " is found twice";
            found[row] = true;
            ASSERT_EQ(hit.distance, distance_between(index, query, store_.vector(row)));
        }
        for (Row row = 0; row < row_limit; ++row) {
            const RowFate now = fates_[row];
            if (before[row] == row_present && now == row_present) {
                ASSERT_TRUE(found[row]) << "row " << row << " is missing";
            }
            if (before[row] == row_gone || now == row_unknown) {
                ASSERT_FALSE(found[row]) << "row " << row << " is not there";
            }
        }
        ++complete_searches_;
    }

    // The first hits, against the exact scan of the same ids: what is in the tail must be right,
    // and of the linked ones most.
    void search_first(store::Index &index, Row query_row) {
        constexpr std::size_t k = 10;
        const auto marks = graph::Watermarks::load(store_.state->graph);
        ASSERT_TRUE(index.refresh().ok());
        const auto query = store_.vector(query_row);
        graph::Search search;
        graph::Search::Params params;
        params.kernel = *store_.description.kernel();
        params.dimensions = store_.description.dimensions;
        params.ef = 100;
        std::vector<std::uint64_t> states(marks.allocated);
        for (graph::NodeId id = 0; id < marks.allocated; ++id)
            states[id] = index.nodes().state(id);
        ASSERT_TRUE(search.start(index.nodes(), marks, query.data(), params).ok());
        std::set<graph::NodeId> first;
        for (std::size_t i = 0; i < k; ++i) {
            auto hit = search.next();
            ASSERT_TRUE(hit.ok() && hit.value());
            EXPECT_LT(hit.value()->id, marks.allocated);
            first.insert(hit.value()->id);
        }
        std::vector<std::pair<float, graph::NodeId>> exact;
        for (graph::NodeId id = 0; id < marks.allocated; ++id)
            if (graph::is_live(states[id]) && graph::is_live(index.nodes().state(id)))
                exact.emplace_back(
                    params.kernel.distance(query.data(), index.nodes().vector(id), query.size()),
                    id);
        std::sort(exact.begin(), exact.end());
        for (std::size_t i = 0; i < std::min(k, exact.size()); ++i) {
            const graph::NodeId id = exact[i].second;
            ++expected_;
            right_ += first.contains(id);
            if (id >= marks.linked && !first.contains(id) && exact[i].first < exact[k - 1].first)
                ADD_FAILURE() << "tail node " << id << " is missed among the nearest";
        }
    }

    void search_all_the_while(unsigned searcher) {
        auto index = store_.open();
        Row query = searcher * 1000;
        do {
            search_first(*index, ++query);
            search_completely(*index, ++query);
        } while (!finished_ && !HasFatalFailure());
    }

    StoreUnderTest store_;
    std::vector<std::atomic<RowFate>> fates_ = std::vector<std::atomic<RowFate>>(row_limit);
    std::atomic<bool> finished_{false};
    bool paced_ = false;
    std::atomic<unsigned> complete_searches_{0};
    std::atomic<unsigned> checkpoints_{0};
    std::atomic<unsigned> expected_{0};
    std::atomic<unsigned> right_{0};
};

TEST_F(StoreConcurrency, SearchesHoldWhatWasThereWhileOthersInsertRemoveAndLink) {
    constexpr unsigned inserters = 3, searchers = 2;
    constexpr Row end = 2000;
    paced_ = true;
    std::vector<std::thread> writing, behind;
    for (unsigned i = 0; i < inserters; ++i)
        writing.emplace_back([this, i] { insert_rows(i, inserters, end); });
    behind.emplace_back([this] { maintain(); });
    for (unsigned i = 0; i < searchers; ++i)
        behind.emplace_back([this, i] { search_all_the_while(i); });
    for (std::thread &thread : writing)
        thread.join();
    finished_ = true;
    for (std::thread &thread : behind)
        thread.join();

    EXPECT_GE(static_cast<double>(right_), 0.97 * expected_) << expected_;

    std::set<Row> rows = row_range(0, end);
    for (Row row = 100; row < end; row += 10)
        rows.erase(row);
    auto index = store_.open();
    EXPECT_EQ(index->refresh().value(), end);
    EXPECT_EQ(store_.state->graph.deleted.load(), (end - 100) / 10);
    expect_rows(*index, rows);
    index.reset();

    // And all of it survives.
    const auto report = store_.recover();
    ASSERT_EQ(report.start, Start::replayed) << report.reason;
    index = store_.open();
    expect_rows(*index, rows);
    EXPECT_EQ(store_.state->graph.deleted.load(), (end - 100) / 10);
}

// Ids follow the order of the log whoever inserts, and none is left out.
TEST_F(StoreConcurrency, IdsAreInTheOrderOfTheLog) {
    constexpr Row end = 12000;
    std::vector<std::thread> threads;
    std::latch together(4);
    for (unsigned i = 0; i < 4; ++i)
        threads.emplace_back([this, i, &together] {
            together.arrive_and_wait();
            insert_rows(i, 4, end);
        });
    for (std::thread &thread : threads)
        thread.join();
    graph::NodeId next = 100;
    auto report = log::replay(store_.files, store::log_geometry(store_.description), 0,
                              [&](const log::Record &record) -> base::Status {
                                  if (record.type == log::RecordType::insert) {
                                      EXPECT_EQ(record.node, next++);
                                  }
                                  return {};
                              });
    ASSERT_TRUE(report.ok());
    EXPECT_EQ(next, end);
    auto index = store_.open();
    std::set<Row> rows = row_range(0, end);
    for (Row row = 100; row < end; row += 10)
        rows.erase(row);
    expect_rows(*index, rows);
}

}  // namespace
}  // namespace dvec::test
