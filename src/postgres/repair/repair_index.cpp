// The steps of a repair that concern all processes, the same whichever process does it.
#include "postgres/repair/repair_index.hpp"

#include "postgres/bridge/cleanup.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/bridge/transactions.hpp"
#include "postgres/repair/relation_source.hpp"
#include "postgres/runtime/entry_recovery.hpp"
#include "postgres/runtime/folder_sweep.hpp"
#include "postgres/runtime/open_index.hpp"

namespace dvec::postgres {

namespace {

// Waits for the worker, which may be linking or syncing. It does not start again, since the entry
// is not ready. Sessions that are about to write are refused when they try.
void make_others_let_go(IndexEntry *entry) {
    { const Holding maintenance(entry->maintenance_lock); }
    end_incarnation(entry);
}

void rebuild(IndexEntry *entry, RelationSource &source, RepairResult *result) {
    ereport(
        LOG,
        (errmsg("dvec: rebuilding the files of index %s from its table", name_of(entry).text),
         errdetail_internal("%s.", entry->repair.reason), errhidestmt(true), errhidecontext(true)));
    // A database that moves to another tablespace leaves its folders behind. They must be gone
    // before it moves back with rows that were added meanwhile.
    sweep();
    *result = source.rebuild(entry);
    reset_shared_state(entry);
    const StartSummary summary = recover_files(entry);
    if (summary.start != store::Start::clean)
        ereport(ERROR,
                (errcode(ERRCODE_INTERNAL_ERROR), errmsg("rebuilt index files cannot be opened"),
                 errdetail_internal("%s", summary.reason)));
}

void run_repair(IndexEntry *entry, RelationSource &source, RepairResult *result) {
    const TimestampTz begin = GetCurrentTimestamp();
    OpeningRecord opening = entry->opening;
    make_others_let_go(entry);
    rebuild_after_former_life(entry, source.life());
    set_shape(entry, source.shape(), source.life());
    if (entry->repair.kind == Repair::rebuild) {
        opening.kind = OpeningRecord::Kind::rebuilt;
        rebuild(entry, source, result);
    } else {
        opening.kind = OpeningRecord::Kind::reconciled;
        *result = source.reconcile(entry);
    }
    entry->rebuilt_nodes.store(entry->shared.graph.allocated.load());
    // The repair may have read rows of any transaction that has an ID by now.
    entry->rebuilt_before_xid.store(U64FromFullTransactionId(ReadNextFullTransactionId()));
    opening.milliseconds += TimestampDifferenceMilliseconds(begin, GetCurrentTimestamp());
    note_opening(entry, opening);
    report_opening(entry, result);
}

void abandon_repair(int, Datum entry) {
    fail_repair(static_cast<IndexEntry *>(static_cast<void *>(DatumGetPointer(entry))));
}

}  // namespace

bool repair_index(IndexEntry *entry, uint64 incarnation, RelationSource &source) {
    count_as_user();
    if (!begin_repair(entry, incarnation))
        return false;
    RepairResult result{};
    with_error_cleanup(abandon_repair, PointerGetDatum(entry),
                       [&] { run_repair(entry, source, &result); });
    end_repair(entry, result);
    source.announce();
    return true;
}

}  // namespace dvec::postgres
