#include "postgres/planner/vector_search_plan.hpp"

#include <initializer_list>

#include "postgres/bridge/heap.hpp"
#include "postgres/bridge/planner.hpp"

namespace dvec::postgres {

namespace {

// Not as a Float node, whose number is text that would be read at every execution.
Const *real_number(double value) {
    return makeConst(FLOAT8OID, -1, InvalidOid, sizeof(float8), Float8GetDatum(value), false,
                     FLOAT8PASSBYVAL);
}

}  // namespace

List *to_private(const VectorSearchPlan &plan) {
    const auto integer = [](auto value) { return makeInteger(static_cast<int>(value)); };
    List *choices = list_make5(integer(plan.order), integer(plan.extent), integer(plan.unusual),
                               integer(plan.as_found_is_enough), integer(plan.filters));
    List *columns = list_make4(integer(plan.out_of_line), integer(plan.columns),
                               integer(plan.tid_column), integer(plan.distance_column));
    List *sizes = list_make5(integer(plan.scattered), real_number(plan.rows_per_page),
                             real_number(plan.share_read), real_number(plan.vector_bytes),
                             real_number(plan.walked_bytes));
    return list_concat(list_concat(list_concat(choices, columns), sizes),
                       list_make3(integer(plan.compact), real_number(plan.expected),
                                  integer(plan.leaves_out_missed)));
}

VectorSearchPlan from_private(const List *numbers) {
    const auto integer = [numbers](int number) { return intVal(list_nth(numbers, number)); };
    const auto real = [numbers](int number) {
        return DatumGetFloat8(list_nth_node(Const, numbers, number)->constvalue);
    };
    return {
        .order = static_cast<SearchOrder>(integer(0)),
        .extent = static_cast<SearchExtent>(integer(1)),
        .unusual = static_cast<UnusualRows>(integer(2)),
        .as_found_is_enough = integer(3) != 0,
        .filters = static_cast<Filters>(integer(4)),
        .out_of_line = integer(5) != 0,
        .columns = integer(6),
        .tid_column = integer(7),
        .distance_column = integer(8),
        .scattered = integer(9) != 0,
        .rows_per_page = real(10),
        .share_read = real(11),
        .vector_bytes = real(12),
        .walked_bytes = real(13),
        .compact = integer(14) != 0,
        .expected = real(15),
        .leaves_out_missed = integer(16) != 0,
    };
}

namespace {

// Numbers, from 1, of the children's columns that the node computes its own from, or needs for
// itself.
Bitmapset *columns_read(const CustomScan *scan) {
    Bitmapset *attributes = nullptr;
    for (List *expressions : {scan->scan.plan.targetlist, scan->custom_exprs})
        pull_varattnos(reinterpret_cast<Node *>(expressions), static_cast<Index>(INDEX_VAR),
                       &attributes);
    Bitmapset *columns = nullptr;
    for (int number = -1; (number = bms_next_member(attributes, number)) >= 0;)
        columns = bms_add_member(columns, number + FirstLowInvalidHeapAttributeNumber);
    const VectorSearchPlan plan =
        from_private(list_nth_node(List, scan->custom_private, numbers_part));
    columns = bms_add_member(columns, plan.tid_column + 1);
    return bms_add_member(columns, plan.distance_column + 1);
}

void forget_all_but(const Bitmapset *columns, Plan *child) {
    ListCell *cell;
    foreach (cell, child->targetlist) {
        auto *column = lfirst_node(TargetEntry, cell);
        if (bms_is_member(column->resno, columns))
            continue;
        const auto *value = reinterpret_cast<const Node *>(column->expr);
        column->expr = reinterpret_cast<Expr *>(
            makeNullConst(exprType(value), exprTypmod(value), exprCollation(value)));
    }
}

}  // namespace

void forget_unread_columns(CustomScan *scan) {
    Bitmapset *columns = columns_read(scan);
    ListCell *cell;
    foreach (cell, scan->custom_plans) {
        auto *child = static_cast<Plan *>(lfirst(cell));
        if (IsA(child, Sort)) {
            const auto *sort = reinterpret_cast<const Sort *>(child);
            for (int key = 0; key < sort->numCols; ++key)
                columns = bms_add_member(columns, sort->sortColIdx[key]);
            // Its columns are those of what it sorts.
            child = outerPlan(child);
        }
        forget_all_but(columns, child);
    }
}

}  // namespace dvec::postgres
