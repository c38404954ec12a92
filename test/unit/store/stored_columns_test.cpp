// Keys of columns behind the vector through everything that happens to an index: damage of their
// file, repairs, compaction, and use by several at once. (Crashes: crash_point_test, history_test.)
#include <atomic>
#include <filesystem>
#include <thread>

#include "engine/store/compactor.hpp"
#include "engine/store/file_check.hpp"
#include "store_fixture.hpp"

namespace dvec::test {
namespace {

namespace fs = std::filesystem;
using graph::NodeId;
using store::CheckpointKind;
using store::DamagedPart;
using store::Finding;
using store::Repair;
using store::Start;

class StoreColumns : public testing::Test {
  protected:
    StoreColumns() { store_.description.columns = 3; }

    // Linked, checkpointed and merely logged rows, some removed.
    void make() {
        ASSERT_NO_FATAL_FAILURE(store_.build(600));
        ASSERT_EQ(store_.recover().start, Start::clean);
        open();
        for (Row row = 600; row < 640; ++row)
            store_.insert(*index_, row);
        ASSERT_NO_FATAL_FAILURE(link_all(*maintainer_));
        ASSERT_TRUE(maintainer_->checkpoint(wal_, CheckpointKind::running).ok());
        for (Row row = 640; row < 660; ++row)
            store_.insert(*index_, row);
        rows_ = row_range(0, 660);
        for (const Row row : {3u, 70u, 611u, 650u})
            remove(row);
        ASSERT_NO_FATAL_FAILURE(expect_rows(*index_, rows_));
    }
    void open() {
        index_ = store_.open();
        maintainer_ = store_.maintainer();
    }
    void close() {
        index_.reset();
        maintainer_.reset();
    }
    // Rows were given their own numbers as ids.
    void remove(Row row) {
        ASSERT_TRUE(index_->remove(row, 0).ok());
        rows_.erase(row);
    }
    void sanitize() {
        store_.state->links_unsound.store(1);
        const std::atomic<bool> stop{false};
        ASSERT_TRUE(maintainer_->sanitize_links(stop).ok());
    }
    std::vector<Finding> check() {
        std::vector<Finding> findings;
        store::FileCheckCalls calls;
        calls.report = [&](const Finding &finding) { findings.push_back(finding); };
        const base::Status status = store::check_files(*index_, calls);
        EXPECT_TRUE(status.ok()) << status.message();
        return findings;
    }
    std::string columns_path() const { return store_.path("columns.1"); }

    StoreUnderTest store_;
    FakeWal wal_;
    std::unique_ptr<store::Index> index_;
    std::unique_ptr<store::Maintainer> maintainer_;
    std::set<Row> rows_;
};

TEST_F(StoreColumns, EveryFlippedByteIsFoundOrHarmless) {
    ASSERT_NO_FATAL_FAILURE(make());
    EXPECT_TRUE(check().empty());
    const std::uint64_t chunk = index_->nodes().layout().column_chunk_bytes();
    int damaged_rows = 0;
    int damaged_hints = 0;
    for (std::uint64_t at = 0; at < 2 * chunk; at += 37) {
        flip_bits(columns_path(), graph::file_header_bytes + at, 0xA5);
        const auto findings = check();
        if (findings.empty())
            // Only hints that say less than they could, and keys of ids that are not in use.
            ASSERT_NO_FATAL_FAILURE(expect_rows(*index_, rows_)) << at;
        else
            ++(findings[0].part == DamagedPart::payload ? damaged_rows : damaged_hints);
        flip_bits(columns_path(), graph::file_header_bytes + at, 0xA5);
        if (HasFailure())
            return;
    }
    EXPECT_GT(damaged_rows, 300);
    EXPECT_GT(damaged_hints, 1);
    EXPECT_TRUE(check().empty());
}

// What dvec_check finds wrong in hints it calls damaged links, and the worker looks at these.
TEST_F(StoreColumns, LookingAtLinksMendsHints) {
    ASSERT_NO_FATAL_FAILURE(make());
    for (const int byte : {0x00, 0xFF, 0x5A}) {
        for (NodeId chunk = 0; chunk < 2; ++chunk)
            std::memset(const_cast<std::uint64_t *>(index_->nodes().keys(chunk, 0)) - 16, byte,
                        graph::column_chunk_head_bytes);
        const auto findings = check();
        ASSERT_FALSE(findings.empty());
        EXPECT_EQ(findings[0].part, DamagedPart::links);
        EXPECT_EQ(findings[0].file, columns_path());
        ASSERT_NO_FATAL_FAILURE(sanitize());
        EXPECT_TRUE(check().empty());
        ASSERT_NO_FATAL_FAILURE(expect_rows(*index_, rows_));
    }
}

TEST_F(StoreColumns, ARepairSetsHintsRightAndReplacesRowsWhoseKeysAreDamaged) {
    ASSERT_NO_FATAL_FAILURE(make());
    for (NodeId chunk = 0; chunk < 2; ++chunk)
        std::memset(const_cast<std::uint64_t *>(index_->nodes().keys(chunk, 0)) - 16, 0xFF,
                    graph::column_chunk_head_bytes);
    for (const NodeId id : {5u, 511u, 512u, 655u})
        const_cast<std::uint64_t &>(index_->nodes().keys(id / 512, id % 3)[id % 512]) ^= 1u
                                                                                         << id % 32;
    store_.state->repair.store(Repair::every_page);
    const auto report = repair(*index_, rows_);
    EXPECT_EQ(report.damaged, 4u);
    EXPECT_EQ(report.added, 4u);
    EXPECT_EQ(report.removed, 0u);
    ASSERT_NO_FATAL_FAILURE(link_all(*maintainer_));
    ASSERT_NO_FATAL_FAILURE(expect_rows(*index_, rows_));
    // A mark is gone from where nothing needs it.
    EXPECT_FALSE(index_->nodes().is_gone(9));
    EXPECT_TRUE(index_->nodes().is_gone(70));
}

TEST_F(StoreColumns, ARowWithAnotherKeyIsAnotherRow) {
    ASSERT_NO_FATAL_FAILURE(make());
    auto begun = store::Reconciler::begin(*index_, Repair::changed_pages, nullptr);
    ASSERT_TRUE(begun.ok());
    for (Row row = 100; row < 150; ++row) {
        RowData data = store_.data(row);
        if (row == 123)
            data.keys[2] ^= 4;
        ASSERT_TRUE(begun.value()->row(tid_of(row), 0, data).ok());
    }
    ASSERT_TRUE(begun.value()->finish_blocks(2, 3, 0).ok());
    EXPECT_EQ(begun.value()->report().kept, 49u);
    EXPECT_EQ(begun.value()->report().added, 1u);
    EXPECT_EQ(begun.value()->report().removed, 1u);
    ASSERT_TRUE(begun.value()->complete(14, wal_, 0).ok());
    EXPECT_TRUE(index_->nodes().is_gone(123));
    EXPECT_EQ(index_->nodes().key(660, 2), keys_of(123, 3)[2] ^ 4);
}

TEST_F(StoreColumns, AFileThatIsMissingShortOrAnothersMeansRebuild) {
    ASSERT_NO_FATAL_FAILURE(make());
    close();
    const auto sound = read_bytes(columns_path());
    const auto start = [&] { return store_.recover().start; };
    fs::remove(columns_path());
    EXPECT_EQ(start(), Start::rebuild);
    write_bytes(columns_path(), {sound.begin(), sound.begin() + 5000});
    EXPECT_EQ(start(), Start::rebuild);
    auto other = sound;
    other[9] ^= 1;
    write_bytes(columns_path(), other);
    EXPECT_EQ(start(), Start::rebuild);
    write_bytes(columns_path(), sound);
    EXPECT_NE(start(), Start::rebuild);
    for (const std::uint32_t columns : {0u, 2u, 4u}) {
        store_.description.columns = columns;
        EXPECT_EQ(start(), Start::rebuild) << columns;
    }
    store_.description.columns = 3;
    EXPECT_NE(start(), Start::rebuild);
    open();
    ASSERT_NO_FATAL_FAILURE(expect_rows(*index_, rows_));
}

TEST_F(StoreColumns, ACompactionCarriesKeysAndHintsOver) {
    ASSERT_NO_FATAL_FAILURE(make());
    for (Row row = 10; row < 500; row += 3)
        if (rows_.contains(row))
            remove(row);
    auto begun =
        store::Compactor::begin(store_.files, store_.description, *store_.state, store_.locks(), 1);
    ASSERT_TRUE(begun.ok()) << begun.status().message();
    const std::atomic<bool> stop{false};
    for (;;) {
        auto stepped = begun.value()->step(100, stop);
        ASSERT_TRUE(stepped.ok()) << stepped.status().message();
        if (stepped.value())
            break;
    }
    // Gone after it was copied.
    remove(11);
    ASSERT_TRUE(begun.value()->finish(wal_, [] {}).ok());
    begun.value().reset();
    EXPECT_FALSE(fs::exists(columns_path()));
    EXPECT_TRUE(fs::exists(store_.path("columns.2")));
    open();
    ASSERT_NO_FATAL_FAILURE(link_all(*maintainer_));
    ASSERT_NO_FATAL_FAILURE(expect_rows(*index_, rows_));
    const NodeId allocated = store_.state->graph.allocated.load();
    EXPECT_EQ(graph::RowFilter().count(index_->nodes(), allocated), rows_.size());
    EXPECT_TRUE(check().empty());
    close();
    ASSERT_EQ(store_.recover().start, Start::replayed);
    open();
    ASSERT_NO_FATAL_FAILURE(expect_rows(*index_, rows_));
}

// A pass over keys beside inserts, removals, linking and growth: every row that was there when the
// pass began is seen, with its own keys.
TEST_F(StoreColumns, PassesBesideWritersSeeWhatWasThere) {
    constexpr Row built = 300;
    constexpr Row end = 1500;
    ASSERT_NO_FATAL_FAILURE(store_.build(built));
    ASSERT_EQ(store_.recover().start, Start::clean);
    std::atomic<Row> inserted{built};
    std::atomic<bool> done{false};
    std::thread inserter([&] {
        const auto index = store_.open();
        for (Row row = built; row < end; ++row) {
            store_.insert(*index, row);
            inserted.store(row + 1);
        }
        done.store(true);
    });
    std::thread remover([&] {
        const auto index = store_.open();
        for (Row row = 0; row < built; row += 2)
            EXPECT_TRUE(index->remove(row, 0).ok());
    });
    std::thread linker([&] {
        const auto maintainer = store_.maintainer();
        const std::atomic<bool> stop{false};
        while (!done.load() || maintainer->has_tail())
            EXPECT_TRUE(maintainer->link(50, stop).ok());
    });
    const auto index = store_.open();
    do {
        const Row sure = inserted.load();
        const auto allocated = index->refresh();
        ASSERT_TRUE(allocated.ok());
        graph::RowFilter filter;
        filter.add({0, graph::RowFilter::Condition::Kind::within_ranges, {{2, 4}}, {}});
        std::uint64_t words[graph::RowFilter::chunk_words];
        for (NodeId id = 0; id < allocated.value(); id += graph::column_chunk_ids) {
            filter.admit_chunk(index->nodes(), id,
                               std::min(allocated.value(), id + graph::column_chunk_ids), words);
            for (NodeId row = std::max(id, built);
                 row < std::min(sure, id + graph::column_chunk_ids); ++row) {
                const std::uint64_t key = keys_of(row, 3)[0];
                ASSERT_EQ(words[(row - id) / 64] >> (row - id) % 64 & 1, 2 <= key && key <= 4)
                    << row;
            }
        }
    } while (!done.load());
    inserter.join();
    remover.join();
    linker.join();
    std::set<Row> rows = row_range(built, end);
    for (Row row = 1; row < built; row += 2)
        rows.insert(row);
    ASSERT_NO_FATAL_FAILURE(expect_rows(*store_.open(), rows));
}

}  // namespace
}  // namespace dvec::test
