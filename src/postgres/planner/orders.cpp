// The server matches an index to ORDER BY v <-> $1 only. It does not recognise an expression of the
// distance, the function that implements the operator, or (before version 17) a distance followed
// by another key. This file adds index paths for these, with the order of the first key as their
// pathkeys. For further keys the planner adds an incremental sort.
#include "postgres/planner/orders.hpp"

#include "postgres/bridge/access_method.hpp"
#include "postgres/bridge/catalog.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/bridge/planner.hpp"
#include "postgres/planner/distance_expression.hpp"
#include "postgres/planner/index_conditions.hpp"
#include "postgres/relation/opclass.hpp"
#include "postgres/relation/own_method.hpp"

namespace dvec::postgres {

namespace {

bool goes_with(Slope slope, const PathKey *key) {
    switch (slope) {
        case Slope::rising:
            return compat::strategy(key) == BTLessStrategyNumber;
        case Slope::falling:
            return compat::strategy(key) == BTGreaterStrategyNumber;
        case Slope::unknown:
            break;
    }
    return false;
}

// Finds the first member of the key's equivalence class that is an expression of the index's
// distance and rises or falls in the direction of the key.
bool match_key(PlannerInfo *root, IndexOptInfo *index, const PathKey *key,
               DistanceExpression *result) {
    if (key->pk_eclass->ec_has_volatile)
        return false;
    ListCell *cell;
    foreach (cell, compat::class_members(key->pk_eclass, index->rel->relids)) {
        const auto *member = lfirst_node(EquivalenceMember, cell);
        if (bms_equal(member->em_relids, index->rel->relids) &&
            match_distance_expression(root, index, member->em_expr, result) &&
            goes_with(slope_of(chain_with_constants(*result)), key))
            return true;
    }
    return false;
}

// Whether the vector of the index may be NULL.
bool may_be_null(const PlannerInfo *root, const IndexOptInfo *index) {
    const int column = index->indexkeys[0];
    return column == 0 || !compat::is_never_null(root, index->rel, static_cast<AttrNumber>(column));
}

// NaN sorts above all numbers, so a descending order begins with it. It begins with NULL too,
// unless the query says NULLS LAST.
UnusualRows place_of_unusual(const PlannerInfo *root, const IndexOptInfo *index, const PathKey *key,
                             const DistanceExpression &expression) {
    const bool nan_first =
        compat::strategy(key) == BTGreaterStrategyNumber && expression.may_be_nan;
    const bool null_first = key->pk_nulls_first && may_be_null(root, index);
    return nan_first || null_first ? UnusualRows::anywhere : UnusualRows::last;
}

ReorderedPath *reordered_path(PlannerInfo *root, RelOptInfo *rel, IndexOptInfo *index) {
    auto *key = linitial_node(PathKey, root->query_pathkeys);
    DistanceExpression expression;
    if (!match_key(root, index, key, &expression))
        return nullptr;
    auto *result = static_cast<ReorderedPath *>(palloc0(sizeof(ReorderedPath)));
    result->pathkeys = list_make1(key);
    result->unusual = place_of_unusual(root, index, key, expression);
    PathKey *own = key_of_distance(key->pk_eclass);
    result->stands_alone =
        own->pk_opfamily == key->pk_opfamily && result->unusual == UnusualRows::last;
    result->path =
        create_index_path(root, index, index_conditions(root, index, index->indrestrictinfo),
                          list_make1(expression.distance), list_make1_int(0),
                          list_make1(result->stands_alone ? key : own), ForwardScanDirection, false,
                          rel->lateral_relids, 1.0, false);
    // An index that cannot be searched now has an infinite cost.
    return std::isfinite(result->path->path.total_cost) ? result : nullptr;
}

}  // namespace

PathKey *key_of_distance(EquivalenceClass *order) {
    PathKey *result = makeNode(PathKey);
    result->pk_eclass = order;
    result->pk_opfamily = get_opclass_family(GetDefaultOpClass(FLOAT8OID, BTREE_AM_OID));
    compat::set_strategy(result, BTLessStrategyNumber);
    result->pk_nulls_first = false;
    return result;
}

bool is_searchable(const IndexOptInfo *index) {
    return is_own_method(index->amcostestimate) && !index->hypothetical &&
           (index->indpred == NIL || index->predOK);
}

List *reordered_paths(PlannerInfo *root, RelOptInfo *rel) {
    List *paths = NIL;
    if (root->query_pathkeys == NIL)
        return NIL;
    ListCell *cell;
    foreach (cell, rel->indexlist) {
        auto *index = lfirst_node(IndexOptInfo, cell);
        ReorderedPath *path = is_searchable(index) ? reordered_path(root, rel, index) : nullptr;
        if (path != nullptr)
            paths = lappend(paths, path);
    }
    return paths;
}

}  // namespace dvec::postgres
