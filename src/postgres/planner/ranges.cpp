#include "postgres/planner/ranges.hpp"

#include "postgres/bridge/planner.hpp"
#include "postgres/planner/index_conditions.hpp"
#include "postgres/planner/orders.hpp"

namespace dvec::postgres {

namespace {

constexpr QueryLevel every_row{
    QueryLevel::Order::strict, nullptr, nullptr, -1, false, false, false};

// For rows of the tables `outer` as parameters; null where nothing bounds a distance.
CustomPath *range_path(PlannerInfo *root, RelOptInfo *rel, IndexOptInfo *index, Relids outer) {
    List *conditions = list_copy(rel->baserestrictinfo);
    const ParamPathInfo *parameters = get_baserel_parampathinfo(root, rel, outer);
    if (parameters != nullptr)
        conditions = list_concat(conditions, parameters->ppi_clauses);
    OpExpr *distance = nullptr;
    const Bounds bounds = bounds_of(root, index, conditions, &distance);
    if (!bounds.farthest)
        return nullptr;
    IndexPath *path = create_index_path(root, index, index_conditions(root, index, conditions),
                                        list_make1(distance), list_make1_int(0),
                                        list_make1(key_of_distance(nullptr)), ForwardScanDirection,
                                        false, outer, 1.0, false);
    if (!std::isfinite(path->path.total_cost))  // it cannot be searched now
        return nullptr;
    return make_vector_search_path(root, rel,
                                   {path, NIL, reinterpret_cast<Expr *>(distance),
                                    SearchOrder::exact, every_row, bounds, UnusualRows::last});
}

// The other tables of a join condition that bounds the index's distance; null where it does not.
Relids tables_beside(PlannerInfo *root, RelOptInfo *rel, IndexOptInfo *index,
                     RestrictInfo *condition) {
    OpExpr *distance = nullptr;
    if (!join_clause_is_movable_to(condition, rel) ||
        !bounds_of(root, index, list_make1(condition), &distance).farthest)
        return nullptr;
    Relids outer = bms_union(condition->clause_relids, rel->lateral_relids);
    return bms_del_member(outer, static_cast<int>(rel->relid));
}

bool is_among(const Relids relids, const List *sets) {
    const ListCell *cell;
    foreach (cell, sets)
        if (bms_equal(relids, static_cast<Relids>(lfirst(cell))))
            return true;
    return false;
}

List *add_if_found(List *paths, CustomPath *path) {
    return path == nullptr ? paths : lappend(paths, path);
}

List *range_paths_of(PlannerInfo *root, RelOptInfo *rel, IndexOptInfo *index) {
    List *paths = add_if_found(NIL, range_path(root, rel, index, rel->lateral_relids));
    List *done = NIL;
    ListCell *cell;
    foreach (cell, rel->joininfo) {
        Relids outer = tables_beside(root, rel, index, lfirst_node(RestrictInfo, cell));
        if (outer == nullptr || is_among(outer, done))
            continue;
        done = lappend(done, outer);
        paths = add_if_found(paths, range_path(root, rel, index, outer));
    }
    return paths;
}

}  // namespace

List *range_paths(PlannerInfo *root, RelOptInfo *rel) {
    List *paths = NIL;
    if (!enable_indexscan)
        return NIL;
    ListCell *cell;
    foreach (cell, rel->indexlist) {
        auto *index = lfirst_node(IndexOptInfo, cell);
        if (is_searchable(index))
            paths = list_concat(paths, range_paths_of(root, rel, index));
    }
    return paths;
}

}  // namespace dvec::postgres
