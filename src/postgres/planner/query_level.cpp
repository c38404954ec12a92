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

// Values that a query gets from others below it, if they are of this type.
struct ReturnedValues {
    const Query *query;
    Oid type;

    bool contain(const Node *expression) const {
        while (IsA(expression, PlaceHolderVar) || IsA(expression, RelabelType))
            expression = reinterpret_cast<const Node *>(
                IsA(expression, PlaceHolderVar)
                    ? reinterpret_cast<const PlaceHolderVar *>(expression)->phexpr
                    : reinterpret_cast<const RelabelType *>(expression)->arg);
        if (!IsA(expression, Var))
            return false;
        const auto *column = reinterpret_cast<const Var *>(expression);
        return column->varlevelsup == 0 && column->vartype == type &&
               static_cast<int>(column->varno) > 0 &&
               rt_fetch(column->varno, query->rtable)->rtekind != RTE_RELATION;
    }

    // Of SortGroupClause, on columns of `targets`.
    bool contain_any(const List *clauses, List *targets) const {
        const ListCell *cell;
        foreach (cell, clauses)
            if (contain(get_sortgroupclause_expr(lfirst_node(SortGroupClause, cell), targets)))
                return true;
        return false;
    }
};

// Aggregates over rows in an order take it from what is below them, from version 16 on.
bool aggregates_use(Node *node, void *values) {
    if (node == nullptr)
        return false;
    if (IsA(node, Aggref)) {
        const auto *aggregate = reinterpret_cast<const Aggref *>(node);
        const auto *returned = static_cast<const ReturnedValues *>(values);
        if (returned->contain_any(aggregate->aggorder, aggregate->args) ||
            returned->contain_any(aggregate->aggdistinct, aggregate->args))
            return true;
    }
    return compat::walk_expression(node, aggregates_use, values);
}

bool windows_use(const Query *query, const ReturnedValues &values) {
    const ListCell *cell;
    foreach (cell, query->windowClause) {
        const auto *window = lfirst_node(WindowClause, cell);
        if (values.contain_any(window->partitionClause, query->targetList) ||
            values.contain_any(window->orderClause, query->targetList))
            return true;
    }
    return false;
}

// What a join compares.
bool joins_use(const PlannerInfo *root, const ReturnedValues &values) {
    const ListCell *cell;
    foreach (cell, root->eq_classes) {
        const auto *equal = lfirst_node(EquivalenceClass, cell);
        if (list_length(equal->ec_sources) == 0)
            continue;
        const ListCell *member;
        foreach (member, equal->ec_members) {
            const Expr *compared = lfirst_node(EquivalenceMember, member)->em_expr;
            if (values.contain(reinterpret_cast<const Node *>(compared)))
                return true;
        }
    }
    return false;
}

bool uses_values(PlannerInfo *root, Oid type) {
    const Query *query = root->parse;
    ReturnedValues values{query, type};
    const auto *united = reinterpret_cast<const SetOperationStmt *>(query->setOperations);
    return values.contain_any(query->sortClause, query->targetList) ||
           values.contain_any(query->groupClause, query->targetList) ||
           values.contain_any(query->distinctClause, query->targetList) ||
           windows_use(query, values) || joins_use(root, values) ||
           // By its columns in their order.
           (united != nullptr && linitial_oid(united->colTypes) == type) ||
           (query->hasAggs && aggregates_use(reinterpret_cast<Node *>(query->targetList), &values));
}

// Which of a subquery's columns are meant is not known here, so that any of the type counts.
bool is_order_used_above(const PlannerInfo *root) {
    const Query *query = root->parse;
    auto *first = linitial_node(SortGroupClause, query->sortClause);
    const Oid type = exprType(get_sortgroupclause_expr(first, query->targetList));
    for (PlannerInfo *above = root->parent_root; above != nullptr; above = above->parent_root)
        if (uses_values(above, type))
            return true;
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
                     false,
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
    level.order_used_above = is_order_used_above(root);
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
