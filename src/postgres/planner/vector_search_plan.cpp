#include "postgres/planner/vector_search_plan.hpp"

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
                       list_make2(integer(plan.compact), real_number(plan.expected)));
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
    };
}

}  // namespace dvec::postgres
