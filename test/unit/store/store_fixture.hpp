// What the tests of the store share: rows whose vector is a function of their number, an index in a
// folder of its own with everything that its users share, and the comparison of complete search
// results with the rows that must be there.
#pragma once

#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "../support/temp_directory.hpp"
#include "engine/base/file.hpp"
#include "engine/graph/row_filter.hpp"
#include "engine/graph/twins.hpp"
#include "engine/store/builder.hpp"
#include "engine/store/checkpoint.hpp"
#include "engine/store/index.hpp"
#include "engine/store/maintainer.hpp"
#include "engine/store/reconciler.hpp"
#include "engine/store/recovery.hpp"
#include "engine/store/wal_history.hpp"

namespace dvec::test {

// A row of the imagined table. Its TID and its vector follow from its number.
using Row = std::uint32_t;

inline graph::Tid tid_of(Row row) { return {row / 50, static_cast<std::uint16_t>(row % 50 + 1)}; }
inline Row row_of(graph::Tid tid) { return tid.block * 50 + tid.offset - 1u; }

// Clustered: one of 16 centres and a small deviation.
inline std::vector<float> vector_of(Row row, std::uint32_t dimensions) {
    std::minstd_rand centre(row % 16 + 1);
    std::minstd_rand random(row + 1000);
    random.discard(3);
    std::uniform_real_distribution<float> wide(-1, 1);
    std::uniform_real_distribution<float> narrow(-0.3f, 0.3f);
    std::vector<float> vector(dimensions);
    for (float &x : vector)
        x = wide(centre) + narrow(random);
    return vector;
}

// Its keys, where the index has columns: few different ones, many, and bits; NULL now and then.
inline std::vector<std::uint64_t> keys_of(Row row, std::uint32_t columns) {
    std::vector<std::uint64_t> keys(columns);
    for (std::uint32_t column = 0; column < columns; ++column) {
        const std::uint64_t word = (std::uint64_t{row} + 1 + column) * 0x9E3779B97F4A7C15u;
        keys[column] = row % 13 == column ? graph::RowFilter::null_key
                       : column % 3 == 0  ? word >> 61
                       : column % 3 == 1  ? word >> 8
                                          : word & word >> 17 & 0xFFFF;
    }
    return keys;
}

// What an index of some shape holds of a row. With columns every fourth vector is a copy of the one
// before, under other keys.
struct RowData {
    std::vector<float> vector;
    std::vector<std::uint64_t> keys;

    RowData(const store::Shape &shape, Row row)
        : vector(vector_of(shape.columns > 0 && row % 4 == 3 ? row - 1 : row, shape.dimensions)),
          keys(keys_of(row, shape.columns)) {}
    operator graph::Row() const { return {vector.data(), keys.data()}; }
};

// PostgreSQL's side of a checkpoint.
class FakeWal final : public store::WalFlusher {
  public:
    base::Status flush(std::uint64_t lsn) override {
        if (failing)
            return base::Status(base::Code::io_error, "the WAL cannot be flushed");
        flushed = std::max(flushed, lsn);
        return {};
    }
    std::uint64_t flushed = 0;
    bool failing = false;
};

// The starts of the imagined server, numbered from 1, and where each one's recovery ended.
class FakeWalHistory final : public store::WalHistory {
  public:
    // The start during which indexes are built.
    FakeWalHistory() { begin_start(); }

    std::uint64_t current_start() const noexcept override {
        return forgetful ? ~ends_.size() : ends_.size();
    }
    std::optional<std::uint64_t> surviving_end(std::uint64_t start) const noexcept override {
        if (start < oldest || start > ends_.size())
            return std::nullopt;
        std::uint64_t end = nothing_lost;
        for (std::size_t i = start; i < ends_.size(); ++i)
            end = std::min(end, ends_[i]);
        return end;
    }
    Foreign foreign_recovery_since(std::uint64_t start) const noexcept override {
        if (start == current_start())
            return Foreign::none;
        if (start < oldest || start > ends_.size())
            return Foreign::unknown;
        return start < last_foreign_start ? foreign : Foreign::none;
    }
    bool file_system_held_since(std::uint64_t start) const noexcept override {
        return held && start <= ends_.size();
    }
    // A start whose recovery ended at `end`, or one after a clean shutdown.
    void begin_start(std::uint64_t end = nothing_lost) { ends_.push_back(end); }

    std::uint64_t oldest = 1;  // what happened before is not known any more
    bool forgetful = false;    // the running start cannot be noted down
    std::uint64_t last_foreign_start = 0;
    Foreign foreign = Foreign::unknown;  // that start's recovery
    bool held = false;                   // by one process through all starts

  private:
    std::vector<std::uint64_t> ends_;
};

class ThreadLock final : public base::Mutex {
  public:
    // std::mutex ends without a word to the thread sanitizer, which would take the next lock at
    // this place, perhaps of another kind, for the same one.
    ~ThreadLock() { pthread_mutex_destroy(mutex_.native_handle()); }

    void lock() override { mutex_.lock(); }
    void unlock() override { mutex_.unlock(); }

  private:
    std::mutex mutex_;
};

inline store::Description small_description(const std::string &directory) {
    store::Description description;
    description.owner = {.identity = 0xD1CE, .system = 77, .database = 5, .relation = 16385};
    description.dimensions = 8;
    description.m = 4;
    description.ef_construction = 24;
    description.segment_bytes = 4096;
    description.directory = directory;
    return description;
}

// One index and what its users share. Dropping the users and calling recover() again is a crash of
// all processes: files and page cache stay, nothing else does.
class StoreUnderTest {
  public:
    explicit StoreUnderTest(base::FileSystem &file_system = base::posix_file_system())
        : files(file_system), description(small_description(directory_.file("index"))) {}

    const std::string &folder() const { return description.directory; }
    std::string path(const std::string &name) const { return folder() + "/" + name; }
    std::string scratch(const std::string &name) const { return directory_.file(name); }
    RowData data(Row row) const { return {description, row}; }
    std::vector<float> vector(Row row) const { return data(row).vector; }
    store::Locks locks() { return {append_, grow_, sync_}; }

    // Builds the index with rows [0, rows).
    void build(Row rows, unsigned threads = 1) {
        auto builder = store::Builder::create(files, description, threads);
        ASSERT_TRUE(builder.ok()) << builder.status().message();
        for (Row row = 0; row < rows; ++row) {
            const base::Status added = builder.value()->add(tid_of(row), data(row));
            ASSERT_TRUE(added.ok()) << added.message();
        }
        builder.value()->finish_adding();
        while (!builder.value()->done())
            std::this_thread::yield();
        FakeWal wal;
        const base::Status completed =
            builder.value()->complete(wal, {.server_start = history.current_start()});
        ASSERT_TRUE(completed.ok()) << completed.message();
    }

    // The server starts, with a recovery of its own up to `wal_end`, and the index is opened.
    // Everybody who used the former state must be gone.
    store::StartReport recover(std::uint64_t wal_end = store::WalHistory::nothing_lost) {
        history.begin_start(wal_end);
        state = std::make_unique<store::SharedState>();
        auto report = store::recover(files, description, *state, locks(), history);
        EXPECT_TRUE(report.ok()) << report.status().message();
        return report.ok() ? std::move(report).value() : store::StartReport();
    }

    std::unique_ptr<store::Index> open() {
        auto index = store::Index::open(files, description, *state, locks());
        EXPECT_TRUE(index.ok()) << index.status().message();
        return std::move(index).value();
    }
    std::unique_ptr<store::Maintainer> maintainer(unsigned threads = 1) {
        auto opened = store::Maintainer::open(files, description, *state, locks(), threads);
        EXPECT_TRUE(opened.ok()) << opened.status().message();
        return std::move(opened).value();
    }

    // What the checkpoint file says now.
    store::CheckpointRecord checkpoint() {
        auto file = store::CheckpointFile::open(base::posix_file_system(), folder());
        EXPECT_TRUE(file.ok()) << file.status().message();
        auto record = file.value().read();
        EXPECT_TRUE(record.ok()) << record.status().message();
        return record.ok() ? record.value() : store::CheckpointRecord();
    }

    std::unique_ptr<graph::NodeStore> nodes() {
        auto opened = graph::NodeStore::open(
            files, store::node_store_params(description, *description.kernel(), state->generation),
            state->graph);
        EXPECT_TRUE(opened.ok()) << opened.status().message();
        return std::move(opened).value();
    }

    // As if the last crash had struck while the linker's progress was being noted: only what the
    // checkpoint says is known.
    void damage_noted_progress() { flip_bits(path("nodes.1"), graph::linking_progress_offset, 1); }

    graph::NodeId insert(store::Index &index, Row row, std::uint64_t lsn = 0) {
        auto id = index.insert(tid_of(row), lsn, data(row));
        EXPECT_TRUE(id.ok()) << id.status().message();
        return id.ok() ? id.value() : graph::max_nodes;
    }

  private:
    TempDirectory directory_;
    ThreadLock append_;
    ThreadLock grow_;
    ThreadLock sync_;

  public:
    base::FileSystem &files;
    store::Description description;
    FakeWalHistory history;
    std::unique_ptr<store::SharedState> state;
};

inline std::vector<graph::Hit> all_hits(store::Index &index, const std::vector<float> &query,
                                        std::uint32_t ef = 40) {
    graph::Search search;
    store::Index::SearchParams params;
    params.ef = ef;
    const base::Status started = index.search(search, query.data(), params);
    EXPECT_TRUE(started.ok()) << started.message();
    std::vector<graph::Hit> hits;
    while (started.ok()) {
        auto hit = search.next();
        EXPECT_TRUE(hit.ok()) << hit.status().message();
        if (!hit.ok() || !hit.value())
            break;
        hits.push_back(*hit.value());
    }
    return hits;
}

inline double distance_between(const store::Index &index, const std::vector<float> &a,
                               const std::vector<float> &b) {
    const distance::Kernel &kernel = *index.description().kernel();
    return kernel.operator_value(kernel.whole_distance(a.data(), b.data(), a.size()));
}

// What columns.hpp and row_filter.hpp promise about the rows that are there, by their ids.
inline void expect_columns(store::Index &index, const std::map<graph::NodeId, Row> &rows) {
    const std::uint32_t columns = index.description().columns;
    if (columns == 0)
        return;
    const graph::NodeStore &nodes = index.nodes();
    const auto allocated = index.refresh();
    ASSERT_TRUE(allocated.ok());
    graph::RowFilter filter;
    filter.add({0, graph::RowFilter::Condition::Kind::within_ranges, {{1, 3}, {5, 6}}, {}});
    std::uint64_t passing = 0;
    for (const auto &[id, row] : rows) {
        const auto keys = keys_of(row, columns);
        ASSERT_TRUE(nodes.same_keys(id, keys.data())) << "row " << row;
        ASSERT_FALSE(nodes.is_gone(id)) << "row " << row;
        const bool passes = (1 <= keys[0] && keys[0] <= 3) || keys[0] == 5 || keys[0] == 6;
        ASSERT_EQ(filter.admits(nodes, id), passes) << "row " << row;
        std::uint64_t bit;
        filter.admit_chunk(nodes, id, id + 1, &bit);
        ASSERT_EQ(bit, passes) << "row " << row;
        passing += passes;
    }
    // The mark that a row is gone may be missing.
    ASSERT_GE(filter.count(nodes, allocated.value()), passing);
    for (graph::NodeId id = 0; id < index.state().graph.linked.load(); ++id)
        if (graph::next_twin(nodes, id, id, allocated.value()) != graph::nobody &&
            !graph::is_twin(nodes, id)) {
            ASSERT_TRUE(nodes.is_shared(id)) << id;
        }
}

// Searches to the end and compares with `rows`: each once, at its exact distance, and no others.
inline void expect_rows(store::Index &index, const std::set<Row> &rows, Row query_row = 7) {
    const std::uint32_t dimensions = index.description().dimensions;
    const auto query = vector_of(query_row, dimensions);
    std::set<Row> found;
    std::map<graph::NodeId, Row> ids;
    for (const graph::Hit &hit : all_hits(index, query)) {
        const Row row = row_of(hit.tid);
        EXPECT_TRUE(found.insert(row).second) << "row " << row << " is found twice";
        const RowData data(index.description(), row);
        EXPECT_EQ(hit.distance, distance_between(index, query, data.vector)) << "row " << row;
        ids.emplace(hit.id, row);
    }
    ASSERT_NO_FATAL_FAILURE(expect_columns(index, ids));
    std::vector<Row> missing, extra;
    std::set_difference(rows.begin(), rows.end(), found.begin(), found.end(),
                        std::back_inserter(missing));
    std::set_difference(found.begin(), found.end(), rows.begin(), rows.end(),
                        std::back_inserter(extra));
    EXPECT_EQ(missing, std::vector<Row>());
    EXPECT_EQ(extra, std::vector<Row>());
}

// Repairs the index from a table that has `rows`, reading every page.
inline store::Reconciler::Report repair(store::Index &index, const std::set<Row> &rows) {
    auto reconciler = store::Reconciler::begin(index, index.state().repair.load(), nullptr);
    EXPECT_TRUE(reconciler.ok()) << reconciler.status().message();
    if (!reconciler.ok())
        return {};
    std::uint32_t blocks = 0;
    for (const Row row : rows) {
        const std::uint32_t block = tid_of(row).block;
        EXPECT_TRUE(reconciler.value()->finish_blocks(blocks, block, 0).ok());
        blocks = block;
        const RowData data(index.description(), row);
        const base::Status status = reconciler.value()->row(tid_of(row), 0, data);
        EXPECT_TRUE(status.ok()) << status.message();
    }
    EXPECT_TRUE(reconciler.value()->finish_blocks(blocks, blocks + 1, 0).ok());
    FakeWal wal;
    const base::Status status = reconciler.value()->complete(blocks + 1, wal, 0);
    EXPECT_TRUE(status.ok()) << status.message();
    return reconciler.value()->report();
}

inline std::set<Row> row_range(Row begin, Row end) {
    std::set<Row> rows;
    for (Row row = begin; row < end; ++row)
        rows.insert(rows.end(), row);
    return rows;
}

// The average share of the exact nearest `k` that a search with `ef` returns among its first `k`.
inline double recall(store::Index &index, const std::set<Row> &rows, std::uint32_t ef,
                     std::size_t k = 10) {
    const std::uint32_t dimensions = index.description().dimensions;
    constexpr int queries = 50;
    std::size_t right = 0;
    for (int q = 0; q < queries; ++q) {
        const auto query = vector_of(1'000'000u + static_cast<Row>(q), dimensions);
        std::vector<std::pair<double, Row>> exact;
        for (const Row row : rows)
            exact.emplace_back(distance_between(index, query, vector_of(row, dimensions)), row);
        std::sort(exact.begin(), exact.end());
        graph::Search search;
        store::Index::SearchParams params;
        params.ef = ef;
        EXPECT_TRUE(index.search(search, query.data(), params).ok());
        for (std::size_t i = 0; i < k; ++i) {
            auto hit = search.next();
            EXPECT_TRUE(hit.ok() && hit.value());
            if (!hit.ok() || !hit.value())
                break;
            right += hit.value()->distance <= exact[k - 1].first;
        }
    }
    return static_cast<double>(right) / (queries * static_cast<double>(k));
}

// Links all that is allocated.
inline void link_all(store::Maintainer &maintainer) {
    const std::atomic<bool> stop{false};
    while (maintainer.has_tail()) {
        const base::Status linked = maintainer.link(50, stop);
        ASSERT_TRUE(linked.ok()) << linked.message();
    }
}

inline const char *name_of(store::Start start) {
    switch (start) {
        case store::Start::clean:
            return "clean";
        case store::Start::replayed:
            return "replayed";
        case store::Start::repair:
            return "repair";
        case store::Start::rebuild:
            return "rebuild";
    }
    return "?";
}

}  // namespace dvec::test

namespace dvec::store {
inline void PrintTo(Start start, std::ostream *out) { *out << test::name_of(start); }
}  // namespace dvec::store
