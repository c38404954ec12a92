// Random histories of inserts, removals, links, checkpoints and crashes against a model: after each
// start, searches to the end return exactly the rows that the model has, each at its exact
// distance.
#include <algorithm>
#include <random>

#include "store_fixture.hpp"

namespace dvec::test {
namespace {

using store::CheckpointKind;
using store::Start;

// What PostgreSQL and its table would know. LSNs are positions in its WAL; what lies behind
// `flushed` when everything dies may be lost, and then its LSNs are used again.
struct Table {
    struct Entry {
        graph::NodeId id;
        std::uint64_t lsn;
    };
    std::map<Row, Entry> rows;
    std::uint64_t wal_head = 1000;
    FakeWal wal;

    // The end of recovery after a crash; rows behind it never existed.
    std::uint64_t crash(std::mt19937 &random) {
        const std::uint64_t first = std::max<std::uint64_t>(wal.flushed, 1);
        const std::uint64_t end = first + random() % (std::max(wal_head, first) - first + 1);
        std::erase_if(rows, [end](const auto &entry) { return entry.second.lsn > end; });
        wal_head = end;
        wal.flushed = end;
        return end;
    }
    std::set<Row> row_set() const {
        std::set<Row> set;
        for (const auto &entry : rows)
            set.insert(set.end(), entry.first);
        return set;
    }
};

struct HistoryKind {
    unsigned seed;
    std::uint32_t columns;
};

class StoreHistory : public testing::TestWithParam<HistoryKind> {
  protected:
    StoreHistory() : random_(GetParam().seed) { store_.description.columns = GetParam().columns; }

    void open() {
        for (auto &index : indexes_)
            index = store_.open();
        maintainer_ = store_.maintainer(1 + random_() % 2);
    }
    void close() {
        for (auto &index : indexes_)
            index.reset();
        maintainer_.reset();
    }
    store::Index &any_index() { return *indexes_[random_() % indexes_.size()]; }

    // Some rows at once, by backends that come to the index in another order than to WAL.
    void insert() {
        std::vector<std::pair<Row, std::uint64_t>> rows(1 + random_() % 4);
        for (auto &[row, lsn] : rows) {
            row = next_row_++;
            lsn = table_.wal_head += 1 + random_() % 20;
        }
        std::shuffle(rows.begin(), rows.end(), random_);
        for (const auto &[row, lsn] : rows)
            table_.rows[row] = {store_.insert(any_index(), row, lsn), lsn};
    }

    void remove() {
        if (table_.rows.empty())
            return;
        auto victim = table_.rows.begin();
        std::advance(victim, random_() % table_.rows.size());
        // WAL first, then the removal: no row can be removed that recovery might drop.
        table_.wal.flushed = table_.wal_head;
        const base::Status status = any_index().remove(victim->second.id, table_.wal_head);
        ASSERT_TRUE(status.ok()) << status.message();
        table_.rows.erase(victim);
    }

    void checkpoint(CheckpointKind kind) {
        const base::Status status = maintainer_->checkpoint(table_.wal, kind);
        ASSERT_TRUE(status.ok()) << status.message();
    }

    void link() {
        const std::atomic<bool> stop{random_() % 5 == 0};
        const base::Status status = maintainer_->link(1 + random_() % 40, stop);
        ASSERT_TRUE(status.ok() || status.code() == base::Code::interrupted) << status.message();
    }

    void step() {
        switch (random_() % 16) {
            case 0:
            case 1:
                return remove();
            case 2:
                return link();
            case 3:
                if (random_() % 3 == 0)
                    return checkpoint(CheckpointKind::running);
                return static_cast<void>(any_index().sync_log().ok());
            case 4:
                if (random_() % 4 == 0)
                    maintainer_->relax();
                return;
            default:
                if (table_.rows.size() < 300)
                    return insert();
                return remove();
        }
    }

    void check() {
        const std::set<Row> rows = table_.row_set();
        ASSERT_NO_FATAL_FAILURE(expect_rows(any_index(), rows, random_() % 1000));
        // Every id is a row of the table or counted as gone.
        store::Index &index = any_index();
        const std::uint32_t allocated = index.refresh().value();
        ASSERT_EQ(allocated - store_.state->graph.deleted.load(), rows.size());
        ASSERT_LE(store_.state->graph.linked.load(), allocated);
        for (const auto &[row, entry] : table_.rows) {
            ASSERT_LT(entry.id, allocated);
            ASSERT_EQ(graph::state_tid(index.nodes().state(entry.id)), tid_of(row));
            ASSERT_TRUE(index.nodes().payload_intact(entry.id));
        }
    }

    void shut_down_and_start() {
        checkpoint(CheckpointKind::clean);
        close();
        const auto report = store_.recover();
        ASSERT_EQ(report.start, Start::clean) << report.reason;
        ++clean_starts_;
    }

    void crash_and_start() {
        // Most crashes come while rows are on their way that PostgreSQL has not flushed.
        for (unsigned left = random_() % 6; left > 0; --left)
            insert();
        const bool was_clean = store_.state->clean.load() != 0;
        close();
        // Sometimes PostgreSQL went down in order and only the sidecar's worker did not; sometimes
        // it starts, writes WAL and crashes again before anybody opens the index.
        std::uint64_t end = store::WalHistory::nothing_lost;
        if (random_() % 4 != 0) {
            end = table_.crash(random_);
            if (random_() % 3 == 0) {
                store_.history.begin_start(end);
                table_.wal_head += random_() % 200;
                end = table_.crash(random_);
            }
        }
        const auto report = store_.recover(end);
        ASSERT_EQ(report.start, was_clean ? Start::clean : Start::replayed) << report.reason;
        dropped_ += report.dropped;
        holes_ += report.holes;
    }

    StoreUnderTest store_;
    std::mt19937 random_;
    Table table_;
    std::array<std::unique_ptr<store::Index>, 3> indexes_;
    std::unique_ptr<store::Maintainer> maintainer_;
    Row next_row_ = 0;
    std::uint64_t dropped_ = 0, holes_ = 0;
    int clean_starts_ = 0;
};

TEST_P(StoreHistory, AgreesWithTheModelAfterEveryStart) {
    constexpr int cycles = 80;
    const Row built = random_() % 60;
    ASSERT_NO_FATAL_FAILURE(store_.build(built));
    for (; next_row_ < built; ++next_row_)
        table_.rows[next_row_] = {next_row_, 0};
    ASSERT_EQ(store_.recover().start, Start::clean);
    for (int cycle = 0; cycle < cycles; ++cycle) {
        SCOPED_TRACE(cycle);
        open();
        for (unsigned left = random_() % 60; left > 0; --left)
            ASSERT_NO_FATAL_FAILURE(step());
        ASSERT_NO_FATAL_FAILURE(check());
        if (random_() % 6 == 0)
            ASSERT_NO_FATAL_FAILURE(shut_down_and_start());
        else
            ASSERT_NO_FATAL_FAILURE(crash_and_start());
        open();
        ASSERT_NO_FATAL_FAILURE(check());
        close();
        if (HasFailure())
            return;
    }
    // The history had what it is meant to have.
    EXPECT_GT(dropped_, 20u);
    EXPECT_GT(holes_, 5u);
    EXPECT_GT(clean_starts_, 3);
    EXPECT_GT(next_row_, 500u);
}

INSTANTIATE_TEST_SUITE_P(Store, StoreHistory,
                         testing::Values(HistoryKind{1, 0}, HistoryKind{20, 0}, HistoryKind{300, 3},
                                         HistoryKind{4000, 8}));

}  // namespace
}  // namespace dvec::test
