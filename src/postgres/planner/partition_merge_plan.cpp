#include "postgres/planner/partition_merge_plan.hpp"

#include "postgres/bridge/planner.hpp"
#include "postgres/relation/own_index.hpp"

namespace dvec::postgres {

namespace {

bool reads_column(Node *node, void *number) {
    if (node == nullptr)
        return false;
    if (IsA(node, Var)) {
        const auto *column = reinterpret_cast<const Var *>(node);
        return column->varno == INDEX_VAR && column->varattno == *static_cast<int *>(number);
    }
    return compat::walk_expression(node, reads_column, number);
}

// Whether a column of a child's is the distance that its index returns rows in the order of.
bool is_order_of_index(const Plan *child, const TargetEntry *column) {
    if (!IsA(child, IndexScan))
        return false;
    const auto *scan = reinterpret_cast<const IndexScan *>(child);
    return list_length(scan->indexorderbyorig) == 1 &&
           equal(linitial(scan->indexorderbyorig), column->expr) && is_own_index(scan->indexid);
}

}  // namespace

bool is_partition_merge(const Plan *plan) {
    return IsA(plan, CustomScan) &&
           reinterpret_cast<const CustomScan *>(plan)->methods == &partition_merge_methods;
}

void merge_by_indexes(CustomScan *scan) {
    int number = linitial_int(static_cast<List *>(list_nth(scan->custom_private, key_columns)));
    if (reads_column(reinterpret_cast<Node *>(scan->scan.plan.targetlist), &number))
        return;
    List *by_index = NIL;
    const ListCell *cell;
    foreach (cell, scan->custom_plans) {
        auto *child = static_cast<Plan *>(lfirst(cell));
        auto *column = static_cast<TargetEntry *>(list_nth(child->targetlist, number - 1));
        if (!is_order_of_index(child, column))
            continue;
        column->expr = reinterpret_cast<Expr *>(makeNullConst(FLOAT8OID, -1, InvalidOid));
        by_index = lappend_int(by_index, foreach_current_index(cell));
    }
    lfirst(list_nth_cell(scan->custom_private, children_by_index)) = by_index;
}

}  // namespace dvec::postgres
