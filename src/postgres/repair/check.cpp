// dvec_check(): looks an index over and compares it with its table. What it finds is returned, and
// what can be repaired is handed to those who repair.
//
// The comparison goes from the table to the index: each row that a snapshot sees must have exactly
// one entry with its vector and keys. The snapshot comes first and the entries are read after, so a
// row that it sees has its entry, and an entry that was removed meanwhile belongs to a row it does
// not see. The other direction proves nothing: until the next vacuum an index rightly has entries
// of rows that are dead or were never committed.
#include <cstring>
#include <string>
#include <vector>

#include "engine/store/file_check.hpp"
#include "engine/store/tid_map.hpp"
#include "postgres/bridge/access_method.hpp"
#include "postgres/bridge/catalog.hpp"
#include "postgres/bridge/errors.hpp"
#include "postgres/bridge/executor.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/relation/item_pointer.hpp"
#include "postgres/relation/options.hpp"
#include "postgres/relation/own_index.hpp"
#include "postgres/relation/owner_rights.hpp"
#include "postgres/relation/row_reader.hpp"
#include "postgres/repair/open_relation.hpp"
#include "postgres/runtime/repair_state.hpp"

namespace dvec::postgres {

namespace {

// Enough to describe a file; one that is damaged everywhere need not be listed node by node.
constexpr std::size_t most_findings = 1000;

// Owned by the function's memory context.
struct Check {
    std::vector<store::Finding> findings;
    store::TidMap entries;
    OpenIndex *open = nullptr;  // pinned
    RowReader reader{};
    char *table_file = nullptr;
    bool payload_damaged = false;
    bool links_damaged = false;
    bool log_damaged = false;

    ~Check() {
        if (open != nullptr)
            unpin(open);
    }

    void add(const store::Finding &finding) {
        payload_damaged |= finding.part == store::DamagedPart::payload;
        links_damaged |= finding.part == store::DamagedPart::links;
        log_damaged |= finding.part == store::DamagedPart::log ||
                       finding.part == store::DamagedPart::checkpoint;
        if (findings.size() < most_findings)
            findings.push_back(finding);
    }
};

void destroy_check(void *check) { delete static_cast<Check *>(check); }

Check *new_check() {
    auto *callback = static_cast<MemoryContextCallback *>(palloc0(sizeof(MemoryContextCallback)));
    auto *check = new Check;
    callback->func = destroy_check;
    callback->arg = check;
    MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
    return check;
}

// Checks the files and reads the entries, repeating both if the files were replaced in between.
void check_files(Check *check, Relation index) {
    for (;;) {
        check->findings.clear();
        check->open = open_relation(index);
        pin(check->open);
        const bool current = value_or_raise([&]() -> base::Result<bool> {
            return base::guarded([&]() -> base::Result<bool> {
                store::Index &files = *check->open->index;
                base::Status status = store::check_files(
                    files, {[check](const store::Finding &finding) { check->add(finding); },
                            interruption_pending});
                auto end = files.refresh();
                if (status.ok() && !end.ok())
                    status = std::move(end).status();
                if (status.ok())
                    status = check->entries.fill(files.nodes(), end.value(), interruption_pending);
                if (status.code() == base::Code::stale)
                    return false;
                DVEC_TRY(status);
                return true;
            });
        });
        if (current)
            return;
        unpin(check->open);
        check->open = nullptr;
        CHECK_FOR_INTERRUPTS();
    }
}

// Whether an entry holds what the table says.
bool holds(const store::Index &index, graph::NodeId node, const RowEncoder::Row &row) {
    const graph::NodeStore &nodes = index.nodes();
    if (std::memcmp(nodes.vector(node), row.bytes, index.vector_bytes()) != 0)
        return false;
    for (std::uint32_t column = 0; column < nodes.layout().columns; ++column)
        if (nodes.key(node, column) != row.keys[column])
            return false;
    return true;
}

void compare_row(Check *check, graph::Tid tid, const RowEncoder::Row &row) {
    int equal = 0;
    const store::Index &index = *check->open->index;
    for (const store::TidMap::Entry &entry : check->entries.at(tid))
        equal += holds(index, entry.node, row);
    if (equal == 1)
        return;
    check->add({store::DamagedPart::payload, check->table_file,
                static_cast<std::uint64_t>(tid.block) * BLCKSZ,
                "row (" + std::to_string(tid.block) + "," + std::to_string(tid.offset) + ") " +
                    (equal == 0 ? "is not in the index" : "is in the index more than once")});
}

void take_row(Relation, ItemPointer tid, Datum *values, bool *isnull, bool, void *state) {
    auto *check = static_cast<Check *>(state);
    check->reader.read(values, isnull, [=](const RowEncoder::Row &row) {
        ok_or_raise([&] {
            return base::guarded([&]() -> base::Status {
                compare_row(check, engine_tid(tid), row);
                return {};
            });
        });
    });
}

void compare_with_table(Check *check, Relation heap, Relation index, Snapshot snapshot) {
    check->reader = row_reader(index, check->open->entry->shape);
    check->table_file = compat::relation_path(compat::file_name(heap));

    IndexInfo *info = BuildIndexInfo(index);
    // Reads the rows that the snapshot sees, as CREATE INDEX CONCURRENTLY does, while others write.
    info->ii_Concurrent = true;
    TableScanDesc scan = table_beginscan_strat(heap, snapshot, 0, nullptr, true, true);
    (void)table_index_build_scan(heap, index, info, true, false, take_row, check, scan);
}

// Reports findings to the server's log as well, for administrators who did not run the check.
void tell_log(const Check &check, Relation index) {
    const store::Finding &first = check.findings.front();
    ereport(LOG, (errcode(ERRCODE_DATA_CORRUPTED),
                  errmsg("dvec: index \"%s\" is damaged in %zu places",
                         RelationGetRelationName(index), check.findings.size()),
                  errdetail("At offset %llu of file \"%s\": %s.",
                            static_cast<unsigned long long>(first.offset), first.file.c_str(),
                            first.problem.c_str())));
}

// Requests the repairs that the findings call for.
void have_it_mended(const Check &check) {
    IndexEntry *entry = check.open->entry;
    entry->damage.fetch_add(check.findings.size());
    if (check.links_damaged)
        entry->shared.links_unsound.store(1);
    // The next two checkpoints overwrite both checkpoint records, and make the log before them
    // unnecessary.
    if (check.log_damaged)
        entry->checkpoints_wanted.store(2);
    if (check.payload_damaged)
        request_repair(entry, check.open->incarnation, Repair::every_page,
                       "dvec_check found damage");
    wake_worker();
}

void put(ReturnSetInfo *result, const store::Finding &finding) {
    Datum values[3] = {CStringGetTextDatum(finding.file.c_str()),
                       Int64GetDatum(static_cast<int64>(finding.offset)),
                       CStringGetTextDatum(finding.problem.c_str())};
    bool nulls[3] = {};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

}  // namespace

DVEC_COMMON_FUNCTION(check) {
    require_registry();
    const bool with_heap = PG_GETARG_BOOL(1);
    InitMaterializedSRF(fcinfo, 0);
    auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    const OwnIndex own = open_own_index(PG_GETARG_OID(0));

    Snapshot snapshot = RegisterSnapshot(GetTransactionSnapshot());
    Check *check = new_check();
    check_files(check, own.index);
    if (with_heap && own.heap != nullptr)
        with_owner_rights(own.heap, own.index,
                          [=] { compare_with_table(check, own.heap, own.index, snapshot); });
    UnregisterSnapshot(snapshot);
    if (!check->findings.empty()) {
        tell_log(*check, own.index);
        have_it_mended(*check);
    }
    for (std::size_t i = 0; i < check->findings.size(); ++i)
        put(result, check->findings[i]);

    close_own_index(own);
    return Datum{0};
}

}  // namespace dvec::postgres
