// From the server's MergeAppend path to a PartitionMerge path, and from that to a plan.
//
// The server makes the paths of a partitioned table again when the query's columns are known, and
// drops those that were there. So this looks at them where the query's ORDER BY has just been
// planned: each partition's path returns what the query computes of its rows by then, the distance
// included, and all of them the same columns.
#include "postgres/planner/partition_merge_path.hpp"

#include <algorithm>

#include "postgres/bridge/foreign.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/planner/distance_expression.hpp"
#include "postgres/planner/query_level.hpp"
#include "postgres/planner/partition_merge_plan.hpp"
#include "postgres/planner/shard_query.hpp"
#include "postgres/relation/own_method.hpp"
#include "postgres/runtime/settings.hpp"

namespace dvec::postgres {

namespace {

create_upper_paths_hook_type previous_upper_hook = nullptr;

// The keys of a path's order as its columns have them; a list of PartitionMergePrivate's lists. NIL
// where a key is in no column.
List *merge_keys(const Path *path) {
    List *keys[key_lists] = {};
    const ListCell *cell;
    foreach (cell, path->pathkeys) {
        const auto *key = lfirst_node(PathKey, cell);
        const EquivalenceMember *member = nullptr;
        int number = 0;
        const ListCell *column;
        foreach (column, path->pathtarget->exprs) {
            member = find_ec_member_matching_expr(
                key->pk_eclass, static_cast<Expr *>(lfirst(column)), path->parent->relids);
            number = foreach_current_index(column) + 1;
            if (member != nullptr)
                break;
        }
        if (member == nullptr || key->pk_eclass->ec_has_volatile)
            return NIL;
        const Oid sorting = get_opfamily_member(key->pk_opfamily, member->em_datatype,
                                                member->em_datatype, compat::strategy(key));
        if (!OidIsValid(sorting))
            return NIL;
        keys[key_columns] = lappend_int(keys[key_columns], number);
        keys[key_operators] = lappend_oid(keys[key_operators], sorting);
        keys[key_collations] = lappend_oid(keys[key_collations], key->pk_eclass->ec_collation);
        keys[key_nulls_first] = lappend_int(keys[key_nulls_first], key->pk_nulls_first);
    }
    return keys[key_columns] == NIL ? NIL
                                    : list_make5(keys[key_columns], keys[key_operators],
                                                 keys[key_collations], keys[key_nulls_first], NIL);
}

bool orders_by_distance(const Path *path, const List *keys) {
    const int first = linitial_int(static_cast<const List *>(list_nth(keys, key_columns)));
    return contains_distance(static_cast<Node *>(list_nth(path->pathtarget->exprs, first - 1)),
                             nullptr);
}

// The paths of the partitions that a path of their table merges. What is left of a table when all
// partitions but one are out of question is an Append without a meaning.
List *merged_paths(const Path *path) {
    if (IsA(path, MergeAppendPath))
        return reinterpret_cast<const MergeAppendPath *>(path)->subpaths;
    if (!IsA(path, AppendPath))
        return NIL;
    List *subpaths = reinterpret_cast<const AppendPath *>(path)->subpaths;
    return list_length(subpaths) == 1 ? subpaths : NIL;
}

// The scan of a shard, in the order that is wanted; null where the partition is none.
ForeignPath *path_of_shard(Path *path, List *pathkeys) {
    if (!pathkeys_contained_in(pathkeys, path->pathkeys))
        return nullptr;
    while (IsA(path, ProjectionPath))
        path = reinterpret_cast<ProjectionPath *>(path)->subpath;
    return IsA(path, ForeignPath) && is_read_by_postgres_fdw(path->parent)
               ? reinterpret_cast<ForeignPath *>(path)
               : nullptr;
}

// Whether a partition that is here is read in order of its index alone.
bool is_index_scan(const Path *path) {
    while (IsA(path, ProjectionPath))
        path = reinterpret_cast<const ProjectionPath *>(path)->subpath;
    return IsA(path, IndexPath) &&
           reinterpret_cast<const IndexPath *>(path)->indexorderbys != NIL &&
           is_own_method(reinterpret_cast<const IndexPath *>(path)->indexinfo->amcostestimate);
}

// The share of its rows that a query takes from a cursor where nobody knows how many that is.
constexpr double share_unknown = 0.1;

double rows_of_all(const List *children) {
    double rows = 0;
    const ListCell *cell;
    foreach (cell, children)
        rows += std::max(static_cast<const Path *>(lfirst(cell))->rows, 1.0);
    return rows;
}

// Each shard finds as many rows as the query returns, a partition that is here its share of them.
// Shards begin together, but the work is that of all: a plan for every value of a parameter, which
// asks all shards, must not look as cheap as one for the value that is given, which asks one. (The
// server's MergeAppend leaves partitions out when it is executed.)
void set_costs(Path *path, List *children, double limit) {
    const double all = rows_of_all(children);
    const double wanted = limit < 0 ? share_unknown * all : std::min(limit, all);
    path->startup_cost = path->total_cost = 0;
    Cost startup_of_shards = 0;
    const ListCell *cell;
    foreach (cell, children) {
        auto *child = static_cast<Path *>(lfirst(cell));
        const bool shard = path_of_shard(child, child->pathkeys) != nullptr;
        const double share = std::min(1.0, wanted / (shard ? std::max(child->rows, 1.0) : all));
        if (shard)
            startup_of_shards = std::max(startup_of_shards, child->startup_cost);
        else
            path->startup_cost += child->startup_cost;
        path->total_cost += child->startup_cost + share * (child->total_cost - child->startup_cost);
    }
    path->startup_cost += startup_of_shards;
    path->rows = std::max(1.0, wanted);
    path->total_cost += wanted * std::log2(list_length(children) + 1.0) * cpu_operator_cost;
}

Plan *make_plan(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *columns, List *clauses,
                List *children);

const CustomPathMethods path_methods = {
    .CustomName = partition_merge_name,
    .PlanCustomPath = make_plan,
    .ReparameterizeCustomPathByChild = nullptr,
};

// null where the path is none that merges shards or index scans, or not in an order that a
// PartitionMerge is for.
CustomPath *partition_merge_path(PlannerInfo *root, RelOptInfo *rel, const Path *merged,
                                 const QueryLevel &level) {
    if (!pathkeys_contained_in(root->sort_pathkeys, merged->pathkeys))
        return nullptr;
    List *children = NIL;
    bool has_shards = false;
    bool all_by_index = true;
    const ListCell *cell;
    foreach (cell, merged_paths(merged)) {
        auto *child = static_cast<Path *>(lfirst(cell));
        has_shards |= path_of_shard(child, merged->pathkeys) != nullptr;
        all_by_index &= is_index_scan(child);
        if (!pathkeys_contained_in(merged->pathkeys, child->pathkeys))
            child = reinterpret_cast<Path *>(
                create_sort_path(root, child->parent, child, merged->pathkeys, level.limit));
        children = lappend(children, child);
    }
    // A condition may leave partitions out while the MergeAppend is executed. Index scans alone
    // have none.
    const bool suits = has_shards || (all_by_index && list_length(children) > 1);
    List *keys = suits ? merge_keys(merged) : NIL;
    if (keys == NIL || !orders_by_distance(merged, keys))
        return nullptr;

    CustomPath *path = makeNode(CustomPath);
    path->path = *merged;
    path->path.type = T_CustomPath;
    path->path.pathtype = T_CustomScan;
    path->path.parent = rel;
    path->path.parallel_aware = path->path.parallel_safe = false;
    set_costs(&path->path, children, level.limit);
    path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
    path->custom_paths = children;
    path->custom_private = list_make2(keys, merged->pathtarget->exprs);
    path->methods = &path_methods;
    return path;
}

// Has a shard of the plan asked for as many rows as are wanted, and beside the others.
void plan_shard(PlannerInfo *root, Plan *plan, const ForeignPath *path, const List *keys) {
    if (!IsA(plan, ForeignScan))
        return;
    const QueryLevel level = query_level(root, root->sort_pathkeys);
    ask_for_nearest(root, reinterpret_cast<ForeignScan *>(plan),
                    static_cast<const List *>(list_nth(keys, key_columns)),
                    most_rows(root, level.limit_count, level.limit_offset));
    const FdwRoutine *wrapper = path->path.parent->fdwroutine;
    plan->async_capable = enable_async_append && wrapper->IsForeignPathAsyncCapable != nullptr &&
                          wrapper->IsForeignPathAsyncCapable(const_cast<ForeignPath *>(path));
}

List *columns_of(const List *expressions) {
    List *columns = NIL;
    const ListCell *cell;
    foreach (cell, expressions)
        columns = lappend(columns,
                          makeTargetEntry(static_cast<Expr *>(copyObjectImpl(lfirst(cell))),
                                          static_cast<AttrNumber>(foreach_current_index(cell) + 1),
                                          nullptr, false));
    return columns;
}

Plan *make_plan(PlannerInfo *root, RelOptInfo *, CustomPath *path, List *columns, List *,
                List *children) {
    return guarded([=]() -> Plan * {
        auto *keys = static_cast<List *>(linitial(path->custom_private));
        CustomScan *scan = makeNode(CustomScan);
        scan->scan.plan.targetlist = columns;
        scan->flags = path->flags;
        scan->custom_plans = children;
        scan->custom_private = keys;
        scan->custom_scan_tlist = columns_of(static_cast<List *>(lsecond(path->custom_private)));
        scan->methods = &partition_merge_methods;
        const ListCell *cell;
        const ListCell *plan;
        forboth(cell, path->custom_paths, plan, children) {
            const ForeignPath *shard =
                path_of_shard(static_cast<Path *>(lfirst(cell)), root->sort_pathkeys);
            if (shard != nullptr)
                plan_shard(root, static_cast<Plan *>(lfirst(plan)), shard, keys);
        }
        return &scan->scan.plan;
    });
}

// What the query returns may be computed above the path.
Path *ordered_path(PlannerInfo *root, RelOptInfo *rel, RelOptInfo *ordered, const Path *path,
                   const QueryLevel &level) {
    const bool projected = IsA(path, ProjectionPath);
    const Path *merged = projected ? reinterpret_cast<const ProjectionPath *>(path)->subpath : path;
    CustomPath *merge = partition_merge_path(root, rel, merged, level);
    if (merge == nullptr || !projected)
        return merge == nullptr ? nullptr : &merge->path;
    return apply_projection_to_path(root, ordered, &merge->path, path->pathtarget);
}

void take_partition_merges(PlannerInfo *root, RelOptInfo *rel, RelOptInfo *ordered) {
    const QueryLevel level = query_level(root, root->sort_pathkeys);
    if (level.order != QueryLevel::Order::nearest || level.limit_count == nullptr)
        return;
    // It does what the other does, and no more.
    ListCell *cell;
    foreach (cell, ordered->pathlist) {
        Path *merge =
            ordered_path(root, rel, ordered, static_cast<const Path *>(lfirst(cell)), level);
        if (merge != nullptr)
            lfirst(cell) = merge;
    }
}

void add_upper_paths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input,
                     RelOptInfo *output, void *extra) {
    if (previous_upper_hook)
        previous_upper_hook(root, stage, input, output, extra);
    if (stage == UPPERREL_ORDERED && settings::enable_partition_merge && IS_SIMPLE_REL(input) &&
        input->nparts > 0)
        guarded([=] { take_partition_merges(root, input, output); });
}

}  // namespace

void partition_merge_init() {
    previous_upper_hook = create_upper_paths_hook;
    create_upper_paths_hook = add_upper_paths;
    RegisterCustomScanMethods(&partition_merge_methods);
}

}  // namespace dvec::postgres
