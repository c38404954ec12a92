#include "postgres/planner/query_level.hpp"

namespace dvec::postgres {

namespace {

// The planner turns MIN and MAX over a whole table into a subquery with ORDER BY … LIMIT 1, whose
// only column has this name. A user's query whose column happens to have this name is merely
// answered exactly.
constexpr char aggregate_column[] = "agg_target";

bool is_min_or_max(const PlannerInfo *root) {
    if (root->parent_root == nullptr || !root->parent_root->parse->hasAggs ||
        list_length(root->parse->targetList) != 1)
        return false;
    const auto *column = linitial_node(TargetEntry, root->parse->targetList);
    return column->resname != nullptr && std::strcmp(column->resname, aggregate_column) == 0;
}

bool only_sorts(const PlannerInfo *root) {
    const Query *query = root->parse;
    return query->sortClause != NIL && query->groupClause == NIL && query->groupingSets == NIL &&
           !query->hasAggs && query->havingQual == nullptr && query->distinctClause == NIL &&
           !query->hasWindowFuncs && query->setOperations == nullptr && !is_min_or_max(root);
}

// An equivalence class with several members may be used as the condition of a merge join.
bool may_be_joined_by(const List *pathkeys) {
    const ListCell *cell;
    foreach (cell, pathkeys) {
        const EquivalenceClass *order = lfirst_node(PathKey, cell)->pk_eclass;
        while (order->ec_merged != nullptr)
            order = order->ec_merged;
        if (list_length(order->ec_sources) > 0)
            return true;
    }
    return false;
}

// If a row is missing on one side of a full join, a row of the other side is returned with NULLs,
// which would be wrong.
bool has_full_join(const PlannerInfo *root) {
    const ListCell *cell;
    foreach (cell, root->join_info_list)
        if (lfirst_node(SpecialJoinInfo, cell)->jointype == JOIN_FULL)
            return true;
    return false;
}

// A query around this one may compare and group by the order that it returns.
bool is_grouped_above(const PlannerInfo *root) {
    for (root = root->parent_root; root != nullptr; root = root->parent_root) {
        const Query *query = root->parse;
        if (query->groupClause != NIL || query->groupingSets != NIL ||
            query->distinctClause != NIL || query->hasWindowFuncs ||
            query->setOperations != nullptr)
            return true;
    }
    return false;
}

bool can_be_evaluated_twice(Node *expression) {
    return !contain_volatile_functions(expression) && !contain_subplans(expression);
}

// A constant of a LIMIT clause; 0 for none and for NULL, -1 where only the executor will know.
double known_rows(const Node *expression) {
    if (expression == nullptr)
        return 0;
    if (!IsA(expression, Const))
        return -1;
    const auto *value = reinterpret_cast<const Const *>(expression);
    if (value->constisnull)
        return 0;
    return static_cast<double>(std::max<int64>(DatumGetInt64(value->constvalue), 0));
}

bool is_null_constant(const Node *expression) {
    return IsA(expression, Const) && reinterpret_cast<const Const *>(expression)->constisnull;
}

}  // namespace

QueryLevel query_level(PlannerInfo *root, const List *pathkeys) {
    const Query *query = root->parse;
    QueryLevel level{QueryLevel::Order::strict,
                     nullptr,
                     nullptr,
                     -1,
                     bms_membership(root->all_baserels) == BMS_SINGLETON,
                     false};
    if (!only_sorts(root) || may_be_joined_by(pathkeys) || has_full_join(root))
        return level;
    if (query->limitCount == nullptr || is_null_constant(query->limitCount)) {
        level.order = QueryLevel::Order::sorted;
        level.grouped_above = is_grouped_above(root);
        return level;
    }
    if (query->limitOption == LIMIT_OPTION_WITH_TIES) {
        level.order = QueryLevel::Order::strict;
        return level;
    }
    level.order = QueryLevel::Order::nearest;
    if (!level.alone || query->hasTargetSRFs || !can_be_evaluated_twice(query->limitCount) ||
        !can_be_evaluated_twice(query->limitOffset))
        return level;
    // The number of rows taken from the relation is not that of LIMIT where further sort keys
    // follow, since rows of equal distance are sorted before LIMIT counts them, nor where rows are
    // locked, since a row that was changed or is skipped is replaced by the next one.
    if (query->rowMarks == NIL && list_length(root->query_pathkeys) <= list_length(pathkeys)) {
        level.limit_count = query->limitCount;
        level.limit_offset = query->limitOffset;
    }
    const double count = known_rows(query->limitCount);
    const double offset = known_rows(query->limitOffset);
    level.limit = count < 0 || offset < 0 ? -1 : count + offset;
    return level;
}

}  // namespace dvec::postgres
