// Differences between the PostgreSQL major versions dvec builds on (15 to 18), and the only place
// where a version is asked for. Reached through bridge/postgres.hpp, after postgres.h.
#pragma once

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "dvec builds on PostgreSQL 15 to 18"
#endif

// The VARDATA family of macros lived in postgres.h before it got a header of its own.
#if PG_VERSION_NUM >= 160000
extern "C" {
#include "varatt.h"
}
#endif

// Marks what the server looks up by name, so that it stays visible when everything else is hidden.
// Before version 16 it was empty outside Windows.
#if PG_VERSION_NUM < 160000
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))
#endif

// Which file a relation is stored in. From version 16 on the parts and their names differ.
extern "C" {
#include "access/heapam_xlog.h"
#include "access/xlogreader.h"
#include "catalog/pg_attribute.h"
#include "commands/vacuum.h"
#include "common/relpath.h"
#include "nodes/pathnodes.h"
#include "optimizer/paths.h"
#include "parser/parsetree.h"
#if PG_VERSION_NUM >= 170000
#include "storage/procnumber.h"
#else
#include "storage/backendid.h"
#endif
#include "access/genam.h"
#include "commands/explain.h"
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif
#include "nodes/execnodes.h"
#include "nodes/nodeFuncs.h"
#include "utils/guc_tables.h"
#include "utils/wait_event.h"
#include "optimizer/cost.h"
#include "utils/lsyscache.h"
#include "utils/pg_locale.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#if PG_VERSION_NUM >= 160000
#include "utils/relfilenumbermap.h"
#else
#include "utils/relfilenodemap.h"
#endif
}

// Stands for no session where a file belongs to everybody. Version 17 renamed it.
#if PG_VERSION_NUM >= 170000
inline constexpr int InvalidBackendId = INVALID_PROC_NUMBER;
#endif

namespace dvec::postgres::compat {

struct FileName {
    Oid tablespace;
    Oid database;
    Oid number;
    int backend;  // of the session a temporary relation belongs to, else InvalidBackendId

    bool operator==(const FileName &) const = default;
};

inline FileName file_name(Relation relation) {
#if PG_VERSION_NUM >= 160000
    return {relation->rd_locator.spcOid, relation->rd_locator.dbOid, relation->rd_locator.relNumber,
            relation->rd_backend};
#else
    return {relation->rd_node.spcNode, relation->rd_node.dbNode, relation->rd_node.relNode,
            relation->rd_backend};
#endif
}

// The path of the main fork's first segment, relative to the data directory, in palloc'd memory.
inline char *relation_path(const FileName &file) {
#if PG_VERSION_NUM >= 180000
    return pstrdup(
        GetRelationPath(file.database, file.tablespace, file.number, file.backend, MAIN_FORKNUM)
            .str);
#else
    return GetRelationPath(file.database, file.tablespace, file.number, file.backend, MAIN_FORKNUM);
#endif
}

// The relation of the current database that is stored in a file, as far as committed transactions
// say; InvalidOid when there is none. Not for temporary relations.
inline Oid relation_in(const FileName &file) {
#if PG_VERSION_NUM >= 160000
    return RelidByRelfilenumber(file.tablespace, file.number);
#else
    return RelidByRelfilenode(file.tablespace, file.number);
#endif
}

// Whether a WAL record's block reference leads to a page of a main fork, of which file and to
// which.
inline bool names_page(XLogReaderState *record, uint8 block, FileName *file, BlockNumber *page) {
    ForkNumber fork;
#if PG_VERSION_NUM >= 160000
    RelFileLocator named;
    if (!XLogRecGetBlockTagExtended(record, block, &named, &fork, page, nullptr))
        return false;
    *file = {named.spcOid, named.dbOid, named.relNumber, InvalidBackendId};
#else
    RelFileNode named;
    if (!XLogRecGetBlockTagExtended(record, block, &named, &fork, page, nullptr))
        return false;
    *file = {named.spcNode, named.dbNode, named.relNode, InvalidBackendId};
#endif
    return fork == MAIN_FORKNUM;
}

// The kind of WAL record by which VACUUM frees line pointers.
#if PG_VERSION_NUM >= 170000
inline constexpr uint8 heap_vacuumed = XLOG_HEAP2_PRUNE_VACUUM_CLEANUP;
#else
inline constexpr uint8 heap_vacuumed = XLOG_HEAP2_VACUUM;
#endif

// A scan of an index that returns line pointers, without an order.
inline IndexScanDesc begin_index_scan(Relation table, Relation index, Snapshot snapshot,
                                      int key_count) {
#if PG_VERSION_NUM >= 180000
    return index_beginscan(table, index, snapshot, nullptr, key_count, 0);
#else
    return index_beginscan(table, index, snapshot, key_count, 0);
#endif
}

// Looks for interrupts and sleeps as the cost of VACUUM so far demands.
inline void vacuum_delay() {
#if PG_VERSION_NUM >= 180000
    vacuum_delay_point(false);
#else
    vacuum_delay_point();
#endif
}

// Makes the planner prefer every other path to one that cannot be executed; its cost is infinite as
// well. Version 18 looks at the number of disabled nodes before it looks at costs, so this number
// is larger than what any other plan adds up to, and small enough to be added up itself. To be
// called by amcostestimate, since the server sets the number just before.
inline void exclude([[maybe_unused]] Path *path) {
#if PG_VERSION_NUM >= 180000
    path->disabled_nodes = 1 << 16;
#endif
}

// The way an order goes, as a strategy number of btree. Version 18 says it in numbers of its own,
// of which those that btree knows are the same.
inline int strategy(const PathKey *key) {
#if PG_VERSION_NUM >= 180000
    return static_cast<int>(key->pk_cmptype);
#else
    return key->pk_strategy;
#endif
}

inline void set_strategy(PathKey *key, int strategy) {
#if PG_VERSION_NUM >= 180000
    key->pk_cmptype = static_cast<CompareType>(strategy);
#else
    key->pk_strategy = strategy;
#endif
}

// What an operator means to btree; InvalidStrategy (0) when nothing.
inline int btree_strategy(Oid comparison) {
    int strategy = 0;
#if PG_VERSION_NUM >= 180000
    List *meanings = get_op_index_interpretation(comparison);
    if (meanings != NIL)
        strategy =
            static_cast<int>(static_cast<OpIndexInterpretation *>(linitial(meanings))->cmptype);
#else
    List *meanings = get_op_btree_interpretation(comparison);
    if (meanings != NIL)
        strategy = static_cast<OpBtreeInterpretation *>(linitial(meanings))->strategy;
#endif
    list_free_deep(meanings);
    return strategy;
}

// Whether the session has switched off a path or a part of it (enable_seqscan and its like), what
// the path costs all the same, and what has to be added to the costs of a path made from it. Before
// version 18 a huge cost says so; since then a number does that such a path takes over.
inline bool is_disabled(const Path *path) {
#if PG_VERSION_NUM >= 180000
    return path->disabled_nodes > 0;
#else
    return path->total_cost >= disable_cost;
#endif
}

inline Cost cost_without_penalty(const Path *path) {
#if PG_VERSION_NUM >= 180000
    return path->total_cost;
#else
    return std::fmod(path->total_cost, disable_cost);
#endif
}

inline Cost penalty([[maybe_unused]] const Path *path) {
#if PG_VERSION_NUM >= 180000
    return 0;
#else
    return is_disabled(path) ? disable_cost : 0;
#endif
}

// expression_tree_walker, whose type of a walker version 16 has put right.
inline bool walk_expression(Node *node, bool (*walker)(Node *, void *), void *context) {
#if PG_VERSION_NUM >= 160000
    return expression_tree_walker_impl(node, walker, context);
#else
    return expression_tree_walker(
        node, reinterpret_cast<bool (*)()>(reinterpret_cast<void (*)()>(walker)), context);
#endif
}

// planstate_tree_walker, likewise.
inline bool walk_plan_states(PlanState *node, bool (*walker)(PlanState *, void *), void *context) {
#if PG_VERSION_NUM >= 160000
    return planstate_tree_walker_impl(node, walker, context);
#else
    return planstate_tree_walker(
        node, reinterpret_cast<bool (*)()>(reinterpret_cast<void (*)()>(walker)), context);
#endif
}

// The members of a class, those for children of a partitioned table included.
inline List *class_members(EquivalenceClass *order, Relids children) {
#if PG_VERSION_NUM >= 180000
    EquivalenceMemberIterator members;
    setup_eclass_member_iterator(&members, order, children);
    List *result = NIL;
    while (EquivalenceMember *member = eclass_member_iterator_next(&members))
        result = lappend(result, member);
    return result;
#else
    return order->ec_members;
#endif
}

// Whether no row of a table that is scanned, and has no tables below it, has a NULL in a column.
// From version 18 on a column may be declared NOT NULL while former rows are not (NOT VALID).
inline bool is_never_null([[maybe_unused]] const PlannerInfo *root, const RelOptInfo *rel,
                          AttrNumber column) {
#if PG_VERSION_NUM >= 170000
    return bms_is_member(column, rel->notnullattnums);
#else
    HeapTuple tuple = SearchSysCache2(
        ATTNUM, ObjectIdGetDatum(planner_rt_fetch(rel->relid, root)->relid), Int16GetDatum(column));
    if (!HeapTupleIsValid(tuple))
        return false;
    const bool not_null = reinterpret_cast<Form_pg_attribute>(GETSTRUCT(tuple))->attnotnull;
    ReleaseSysCache(tuple);
    return not_null;
#endif
}

// Where the value of a setting comes from: a session, a role or database, a file; PGC_S_DEFAULT
// when nobody has set it.
inline GucSource source_of(const char *setting) {
#if PG_VERSION_NUM >= 160000
    const config_generic *found = find_option(setting, false, true, DEBUG5);
#else
    // In the order of their names. Custom settings have ASCII names.
    config_generic **settings = get_guc_variables();
    int begin = 0;
    int end = GetNumConfigOptions();
    while (begin < end) {
        const int middle = begin + (end - begin) / 2;
        if (pg_strcasecmp(settings[middle]->name, setting) < 0)
            begin = middle + 1;
        else
            end = middle;
    }
    const bool is_found =
        begin < GetNumConfigOptions() && pg_strcasecmp(settings[begin]->name, setting) == 0;
    const config_generic *found = is_found ? settings[begin] : nullptr;
#endif
    return found == nullptr ? PGC_S_DEFAULT : found->source;
}

// A number for something that only an extension waits for, under a name that pg_stat_activity
// shows; before version 17 that of all extensions. Raises an ERROR when the server has no room for
// more.
inline uint32 new_wait_event([[maybe_unused]] const char *name) {
#if PG_VERSION_NUM >= 170000
    return WaitEventExtensionNew(name);
#else
    return PG_WAIT_EXTENSION;
#endif
}

// Has names without a schema found only where nobody but a superuser makes them, until the end of
// the present level of settings (NewGUCNestLevel).
inline void restrict_search_path() {
#if PG_VERSION_NUM >= 170000
    RestrictSearchPath();
#else
    (void)set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
                            GUC_ACTION_SAVE, true, 0, false);
#endif
}

// Whether a collation orders text by its bytes.
inline bool compares_bytes(Oid collation) {
#if PG_VERSION_NUM >= 180000
    return pg_newlocale_from_collation(collation)->collate_is_c;
#else
    return lc_collate_is_c(collation);
#endif
}

// As index_beginscan(), for the scan that an executor node of the index has not begun yet.
inline IndexScanDesc begin_index_scan(IndexScanState *node, Snapshot snapshot) {
#if PG_VERSION_NUM >= 180000
    return index_beginscan(node->ss.ss_currentRelation, node->iss_RelationDesc, snapshot,
                           &node->iss_Instrument, node->iss_NumScanKeys, node->iss_NumOrderByKeys);
#else
    return index_beginscan(node->ss.ss_currentRelation, node->iss_RelationDesc, snapshot,
                           node->iss_NumScanKeys, node->iss_NumOrderByKeys);
#endif
}

}  // namespace dvec::postgres::compat
