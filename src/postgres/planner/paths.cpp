// The planner makes an index path of ours wherever a query wants rows in order of distance, and
// believes that the scan returns all of them, in that order. A scan of the graph does less: it may
// miss a near row. For a plain ORDER BY … LIMIT k that is acceptable, and it keeps its Index Scan.
// All other queries get a VectorSearch:
//
//   with conditions, or a join, below the LIMIT    as found, until it has cost too much
//   with a LIMIT that is a large part of the       exact
//   table, or without one
//   grouping, DISTINCT, windows, WITH TIES, …      exact, whatever the settings say
//
// A LIMIT whose value is not known to the planner is examined by the executor.
#include "postgres/planner/paths.hpp"

#include "postgres/bridge/guard.hpp"
#include "postgres/planner/explain_search.hpp"
#include "postgres/planner/index_conditions.hpp"
#include "postgres/planner/orders.hpp"
#include "postgres/planner/query_level.hpp"
#include "postgres/planner/ranges.hpp"
#include "postgres/planner/partition_merge_path.hpp"
#include "postgres/planner/unread_distance.hpp"
#include "postgres/planner/vector_search_path.hpp"
#include "postgres/planner/vector_search_plan.hpp"
#include "postgres/relation/own_method.hpp"

namespace dvec::postgres {

namespace {

set_rel_pathlist_hook_type previous_pathlist_hook = nullptr;

bool orders_by_distance(const Path *path) {
    if (!IsA(path, IndexPath))
        return false;
    const auto *index_path = reinterpret_cast<const IndexPath *>(path);
    return index_path->indexorderbys != NIL && is_own_method(index_path->indexinfo->amcostestimate);
}

// The distance as the query writes it, so that sorting by it computes it once.
Expr *distance_of(PlannerInfo *root, const RelOptInfo *rel, const IndexPath *path) {
    EquivalenceClass *order = linitial_node(PathKey, path->path.pathkeys)->pk_eclass;
    const EquivalenceMember *member =
        find_computable_ec_member(root, order, rel->reltarget->exprs, rel->relids, false);
    auto *distance = static_cast<Expr *>(linitial(path->indexorderbys));
    return member != nullptr && equal(member->em_expr, distance) ? member->em_expr : distance;
}

// The number of rows of a partial index is not known here, only the number that the query selects
// from it.
double rows_of(const IndexPath *path) {
    const IndexOptInfo *index = path->indexinfo;
    return index->indpred == NIL ? index->rel->tuples : path->path.rows;
}

// Whether an index scan is all that is needed.
bool is_plain(const QueryLevel &level, const IndexPath *path) {
    return level.order == QueryLevel::Order::nearest && level.alone && level.limit >= 0 &&
           !is_large_limit(level.limit, rows_of(path)) && path->indexinfo->indrestrictinfo == NIL &&
           path->path.param_info == nullptr;
}

SearchOrder order_for(const QueryLevel &level, const IndexPath *path) {
    if (level.order != QueryLevel::Order::nearest)
        return SearchOrder::exact;
    return level.limit >= 0 && is_large_limit(level.limit, rows_of(path)) ? SearchOrder::exact
                                                                          : SearchOrder::as_found;
}

// The conditions on the path's rows: the relation's own, and for a parameterized path the join
// clauses that it enforces.
List *conditions_of(const IndexPath *path) {
    List *conditions = list_copy(path->path.parent->baserestrictinfo);
    if (path->path.param_info != nullptr)
        conditions = list_concat(conditions, path->path.param_info->ppi_clauses);
    return conditions;
}

int conditions_behind_the_vector(const List *clauses) {
    int count = 0;
    const ListCell *cell;
    foreach (cell, clauses)
        count += lfirst_node(IndexClause, cell)->indexcol > 0;
    return count;
}

// With all conditions that the index can check, should the server have left some out.
IndexPath *with_all_conditions(PlannerInfo *root, IndexPath *path) {
    List *clauses = index_conditions(root, path->indexinfo, conditions_of(path));
    if (list_length(clauses) <= conditions_behind_the_vector(path->indexclauses))
        return path;
    return create_index_path(root, path->indexinfo, clauses, path->indexorderbys,
                             path->indexorderbycols, path->path.pathkeys, ForwardScanDirection,
                             false, PATH_REQ_OUTER(&path->path), 1.0, false);
}

CustomPath *search_path(PlannerInfo *root, RelOptInfo *rel, const ReorderedPath &ordered,
                        const QueryLevel &level) {
    OpExpr *distance = linitial_node(OpExpr, ordered.path->indexorderbys);
    const Bounds bounds =
        bounds_of(root, ordered.path->indexinfo, conditions_of(ordered.path), &distance);
    const UnusualRows unusual = level.grouped_above ? UnusualRows::anywhere : ordered.unusual;
    return make_vector_search_path(
        root, rel,
        {ordered.path, ordered.pathkeys, distance_of(root, rel, ordered.path),
         order_for(level, ordered.path), level, bounds, unusual});
}

List *indexes_of_others(const RelOptInfo *rel) {
    List *others = NIL;
    const ListCell *cell;
    foreach (cell, rel->indexlist) {
        auto *index = lfirst_node(IndexOptInfo, cell);
        if (!is_own_method(index->amcostestimate))
            others = lappend(others, index);
    }
    return others;
}

// The paths of a table without our indexes: add_path may have dropped any of them in favour of one
// that was removed since. They are wanted in any case, to read what an exact search measures.
void add_other_paths(PlannerInfo *root, RelOptInfo *rel) {
    add_path(rel, create_seqscan_path(root, rel, rel->lateral_relids, 0));
    List *all = rel->indexlist;
    rel->indexlist = indexes_of_others(rel);
    create_index_paths(root, rel);
    rel->indexlist = all;
}

// Whether the path may be taken for a join of partitions with partitions. There the other table's
// partition stands for that table, and the server puts it in its place in the expressions of the
// paths that it knows: not in what a VectorSearch measures to, nor in its bounds.
bool may_join_partitions(const PlannerInfo *root, const Path *path) {
    if (path->parent->reloptkind != RELOPT_OTHER_MEMBER_REL)
        return false;
    for (int table = -1; (table = bms_next_member(PATH_REQ_OUTER(path), table)) >= 0;) {
        const RelOptInfo *other = root->simple_rel_array[table];
        if (other != nullptr && other->consider_partitionwise_join)
            return true;
    }
    return false;
}

void add_search(const PlannerInfo *root, RelOptInfo *rel, Path *path) {
    if (!may_join_partitions(root, path))
        add_path(rel, path);
}

Path *replacement(PlannerInfo *root, RelOptInfo *rel, IndexPath *path) {
    const QueryLevel level = query_level(root, path->path.pathkeys);
    if (is_plain(level, path))
        return &path->path;
    const ReorderedPath as_known{path, path->path.pathkeys, UnusualRows::last, true};
    return &search_path(root, rel, as_known, level)->path;
}

void replace_index_paths(PlannerInfo *root, RelOptInfo *rel) {
    List *full_paths = NIL;
    bool removed = false;
    ListCell *cell;
    foreach (cell, rel->pathlist) {
        auto *path = static_cast<IndexPath *>(lfirst(cell));
        if (!orders_by_distance(&path->path) || path->path.pathkeys == NIL)
            continue;
        // An infinite cost says that the index cannot be searched now. The planner would turn it
        // into NaN, which no comparison rejects, so the path is removed.
        if (std::isfinite(path->path.total_cost)) {
            IndexPath *full = with_all_conditions(root, path);
            if (full == path && is_plain(query_level(root, path->path.pathkeys), path))
                continue;
            full_paths = lappend(full_paths, full);
        }
        rel->pathlist = foreach_delete_current(rel->pathlist, cell);
        removed = true;
    }
    if (!removed)
        return;
    add_other_paths(root, rel);
    foreach (cell, full_paths)
        add_search(root, rel, replacement(root, rel, static_cast<IndexPath *>(lfirst(cell))));
}

void add_reordered_paths(PlannerInfo *root, RelOptInfo *rel) {
    ListCell *cell;
    foreach (cell, reordered_paths(root, rel)) {
        const auto *ordered = static_cast<const ReorderedPath *>(lfirst(cell));
        const QueryLevel level = query_level(root, ordered->pathkeys);
        Path *path = ordered->stands_alone && is_plain(level, ordered->path)
                         ? &ordered->path->path
                         : &search_path(root, rel, *ordered, level)->path;
        add_search(root, rel, path);
    }
}

void add_range_paths(PlannerInfo *root, RelOptInfo *rel) {
    ListCell *cell;
    foreach (cell, range_paths(root, rel))
        add_search(root, rel, static_cast<Path *>(lfirst(cell)));
}

void add_paths(PlannerInfo *root, RelOptInfo *rel, Index number, RangeTblEntry *entry) {
    if (previous_pathlist_hook)
        previous_pathlist_hook(root, rel, number, entry);
    if (entry->rtekind != RTE_RELATION || rel->indexlist == NIL)
        return;
    guarded([=] {
        replace_index_paths(root, rel);
        if (entry->inh || entry->tablesample != nullptr || IS_DUMMY_REL(rel))
            return;
        add_reordered_paths(root, rel);
        add_range_paths(root, rel);
    });
}

}  // namespace

void paths_init() {
    previous_pathlist_hook = set_rel_pathlist_hook;
    set_rel_pathlist_hook = add_paths;
    RegisterCustomScanMethods(&vector_search_methods);
    partition_merge_init();
    unread_distance_init();
    explain_search_init();
}

}  // namespace dvec::postgres
