// Makes an index agree with its table. The table is the truth: the caller reads its pages, all of
// them or those that may have something new, and says which rows are there; here entries are kept,
// added and removed until the index has the same rows. This knows nothing of how a table is read.
//
// For every row there is to be one entry with its TID, its vector and its keys. An entry whose row
// the caller did not find, or found with another vector or key, is removed; a row without an entry
// gets one.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/store/checkpointer.hpp"
#include "engine/store/index.hpp"
#include "engine/store/page_rows.hpp"
#include "engine/store/repair.hpp"
#include "engine/store/tid_map.hpp"

namespace dvec::store {

class Reconciler {
  public:
    struct Report {
        std::uint64_t kept = 0;
        std::uint64_t added = 0;
        std::uint64_t removed = 0;
        std::uint64_t damaged = 0;  // nodes whose payload was not sound
    };

    // Walks all nodes. Repair::every_page verifies each payload; a damaged one becomes a hole,
    // since neither its TID nor its vector can be believed. Until the end nobody else may use
    // `index`, except to sync its log, and it must outlive the reconciler. `interrupted` is polled;
    // Code::interrupted then. Memory: 16 bytes per live node.
    static base::Result<std::unique_ptr<Reconciler>> begin(Index &index, Repair repair,
                                                           bool (*interrupted)());

    // A row of the table, in any order within its block, blocks ascending. `row` as for
    // Index::insert, `lsn` is a WAL position behind the row's insert. A TID may be given more than
    // once, by versions of one row that share it: they also share all that is indexed.
    base::Status row(graph::Tid tid, std::uint64_t lsn, const graph::Row &row);

    // Says that every row on the blocks [first, end) was given: other entries that the index has
    // there are removed.
    base::Status finish_blocks(std::uint32_t first, std::uint32_t end, std::uint64_t lsn);

    // The table has `blocks` blocks: entries beyond are removed. Makes all durable and takes the
    // checkpoint that says so. `reconcile_lsn`: where WAL ended before the first page was read.
    // Nobody may be linking. All may use the index when this returns.
    base::Status complete(std::uint32_t blocks, WalFlusher &wal, std::uint64_t reconcile_lsn);

    const Report &report() const noexcept { return report_; }

  private:
    explicit Reconciler(Index &index) : index_(index) {}

    Index &index_;
    TidMap entries_;  // of the nodes that were live at the beginning; marked: the row was found
    PageRows added_;
    Report report_;
};

}  // namespace dvec::store
