// A table as PostgreSQL would keep it under an index: rows in line pointers of blocks, one WAL
// position for everything that happens, and what of all this a crash leaves. The truth that an
// index is compared with.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <vector>

#include "store_fixture.hpp"

namespace dvec::test {

class HeapModel {
  public:
    enum class State : std::uint8_t {
        begun,    // in the heap; not yet, or not surely, in the index; its transaction is running
        present,  // acknowledged
        going     // dead, and being removed from the index
    };
    struct Line {
        Row version = 0;  // says which vector: line pointers are used again
        std::uint64_t lsn = 0;
        State state = State::begun;
        graph::NodeId id = 0;
    };
    using Lines = std::map<std::uint64_t, Line>;  // by key()

    static std::uint64_t key(graph::Tid tid) { return std::uint64_t{tid.block} << 16 | tid.offset; }
    static graph::Tid tid(std::uint64_t key) {
        return {static_cast<std::uint32_t>(key >> 16), static_cast<std::uint16_t>(key)};
    }

    Lines lines;
    std::uint64_t wal_head = 1000;
    FakeWal wal;  // `flushed`: what no crash takes back

    // Whether a row's insert is in the WAL and so raises the LSN of its page.
    enum class Wal : std::uint8_t { written, skipped };

    // A new row, where there is room: freed line pointers first.
    std::uint64_t begin_row(Wal logged = Wal::written) {
        std::uint64_t place = 0;
        if (!free_.empty()) {
            place = free_.back();
            free_.pop_back();
        } else {
            place = key(
                {next_ / lines_per_block, static_cast<std::uint16_t>(next_ % lines_per_block + 1)});
            ++next_;
        }
        const std::uint64_t lsn = logged == Wal::written ? log_change(place) : 0;
        lines[place] = {.version = next_version_++, .lsn = lsn, .state = {}, .id = 0};
        return place;
    }
    // A row is dead and vacuum has come to it: the WAL is flushed before the index hears of it.
    void begin_removal(std::uint64_t place) {
        log_change(place);
        wal.flushed = wal_head;
        lines.at(place).state = State::going;
    }
    void free_line(std::uint64_t place) {
        log_change(place);
        lines.erase(place);
        free_.push_back(place);
    }

    // The server goes down and recovers its WAL to some position that was flushed or more. What
    // was begun there is dead, but may stand in the index until vacuum comes to it.
    std::uint64_t crash(std::mt19937 &random) {
        const std::uint64_t first = std::min(wal.flushed, wal_head);
        const std::uint64_t end = first + random() % (wal_head - first + 1);
        std::erase_if(lines, [end](const auto &line) { return line.second.lsn > end; });
        std::erase_if(changes_, [end](const Change &change) { return change.lsn > end; });
        wal_head = wal.flushed = end;
        return end;
    }

    std::uint32_t blocks() const { return (next_ + lines_per_block - 1) / lines_per_block; }
    // The LSN on a block's page.
    std::uint64_t block_lsn(std::uint32_t block) const {
        std::uint64_t lsn = 0;
        for (const Change &change : changes_)
            if (change.block == block)
                lsn = std::max(lsn, change.lsn);
        return lsn;
    }

  private:
    static constexpr std::uint32_t lines_per_block = 6;

    struct Change {
        std::uint64_t lsn;
        std::uint32_t block;
    };

    std::uint64_t log_change(std::uint64_t place) {
        wal_head += 1 + place % 7;
        changes_.push_back({wal_head, tid(place).block});
        return wal_head;
    }

    std::vector<Change> changes_;
    std::vector<std::uint64_t> free_;
    std::uint32_t next_ = 0;
    Row next_version_ = 0;
};

// Searches to the end: every acknowledged row is there, once, at its exact distance and with its
// keys; what else is there is a row that the model does not exclude.
inline void expect_agrees(store::Index &index, const HeapModel &heap) {
    const std::uint32_t dimensions = index.description().dimensions;
    const auto query = vector_of(7, dimensions);
    std::map<std::uint64_t, double> found;
    std::map<graph::NodeId, Row> ids;
    for (const graph::Hit &hit : all_hits(index, query)) {
        if (const auto line = heap.lines.find(HeapModel::key(hit.tid)); line != heap.lines.end())
            ids.emplace(hit.id, line->second.version);
        ASSERT_TRUE(found.emplace(HeapModel::key(hit.tid), hit.distance).second)
            << "found twice: block " << hit.tid.block << " line " << hit.tid.offset;
    }
    for (const auto &[place, distance] : found) {
        const auto line = heap.lines.find(place);
        ASSERT_NE(line, heap.lines.end())
            << "should not be there: block " << HeapModel::tid(place).block << " line "
            << HeapModel::tid(place).offset;
        const RowData data(index.description(), line->second.version);
        ASSERT_EQ(distance, distance_between(index, query, data.vector))
            << "row " << line->second.version;
    }
    ASSERT_NO_FATAL_FAILURE(expect_columns(index, ids));
    for (const auto &[place, line] : heap.lines) {
        if (line.state == HeapModel::State::present) {
            ASSERT_TRUE(found.contains(place))
                << "row " << line.version << " is lost: block " << HeapModel::tid(place).block
                << " line " << HeapModel::tid(place).offset;
        }
    }
}

}  // namespace dvec::test
