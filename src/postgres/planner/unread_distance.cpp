// The planner gives every ORDER BY expression a column, also where the order comes from an index
// and the query does not ask for the expression. For rows nearest to a vector that column is their
// distance, which the executor then computes from the table's row: for vectors stored out of line
// it fetches and assembles each of them, at several times the cost of a row, and at the top of the
// query the column is removed unread. Here it is replaced by a NULL of its type in the finished
// plan. Where a PartitionMerge is the scan, it merges by the distances that its index scans know.
//
// That is safe where nothing between the scan and the top of its query reads the column: the scan
// is the top, or has only LIMIT above it (without TIES, which compares). A node that is not known
// to be one of these, such as that of FOR UPDATE, leaves the scan as it was, and so does a subquery
// that the planner has merged with the query around it. Columns that the query returns, hidden ones
// that are not for ordering, and scans by other access methods are never touched.
//
// What a VectorSearch then no longer reads of its children's rows, such as the vector that it would
// have computed the distance from, they return as NULL.
#include "postgres/planner/unread_distance.hpp"

#include "postgres/bridge/access_method.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/planner.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/planner/partition_merge_plan.hpp"
#include "postgres/planner/vector_search_path.hpp"
#include "postgres/planner/vector_search_plan.hpp"
#include "postgres/relation/own_index.hpp"

namespace dvec::postgres {

namespace {

planner_hook_type previous_planner_hook = nullptr;

// Locks taken by the planner are still held.
bool returns_nearest(const Plan *plan) {
    if (is_vector_search(plan) || is_partition_merge(plan))
        return true;
    if (!IsA(plan, IndexScan))
        return false;
    const auto *scan = reinterpret_cast<const IndexScan *>(plan);
    return scan->indexorderbyorig != NIL && is_own_index(scan->indexid);
}

void forget_distances(Plan *plan) {
    ListCell *cell;
    foreach (cell, plan->targetlist) {
        auto *column = static_cast<TargetEntry *>(lfirst(cell));
        if (!column->resjunk || column->ressortgroupref == 0)
            continue;
        const Node *distance = reinterpret_cast<Node *>(column->expr);
        column->expr = reinterpret_cast<Expr *>(
            makeNullConst(exprType(distance), exprTypmod(distance), exprCollation(distance)));
    }
}

// `plan` is the top plan node of a whole query, which removes its hidden columns.
void visit_top(Plan *plan) {
    while (plan != nullptr && IsA(plan, Limit) &&
           reinterpret_cast<Limit *>(plan)->limitOption == LIMIT_OPTION_COUNT)
        plan = outerPlan(plan);
    if (plan == nullptr || !returns_nearest(plan))
        return;
    forget_distances(plan);
    if (is_partition_merge(plan))
        merge_by_indexes(reinterpret_cast<CustomScan *>(plan));
}

void visit_subqueries(Plan *plan);

void visit_each(List *plans) {
    ListCell *cell;
    foreach (cell, plans)
        visit_subqueries(static_cast<Plan *>(lfirst(cell)));
}

void visit_subqueries(Plan *plan) {
    if (plan == nullptr)
        return;
    check_stack_depth();
    if (is_vector_search(plan)) {
        forget_unread_columns(reinterpret_cast<CustomScan *>(plan));
    } else if (is_partition_merge(plan)) {
        visit_each(reinterpret_cast<CustomScan *>(plan)->custom_plans);
    } else if (IsA(plan, SubqueryScan)) {
        Plan *subquery = reinterpret_cast<SubqueryScan *>(plan)->subplan;
        visit_top(subquery);
        visit_subqueries(subquery);
    } else if (IsA(plan, Append)) {
        visit_each(reinterpret_cast<Append *>(plan)->appendplans);
    } else if (IsA(plan, MergeAppend)) {
        visit_each(reinterpret_cast<MergeAppend *>(plan)->mergeplans);
    }
    visit_subqueries(outerPlan(plan));
    visit_subqueries(innerPlan(plan));
}

PlannedStmt *plan_query(Query *query, const char *text, int cursor_options, ParamListInfo values) {
    PlannedStmt *statement = previous_planner_hook
                                 ? previous_planner_hook(query, text, cursor_options, values)
                                 : standard_planner(query, text, cursor_options, values);
    guarded([=] {
        visit_top(statement->planTree);
        visit_subqueries(statement->planTree);
        // Sublinks and WITH queries: queries of their own, read by column number.
        ListCell *cell;
        foreach (cell, statement->subplans) {
            auto *subquery = static_cast<Plan *>(lfirst(cell));
            visit_top(subquery);
            visit_subqueries(subquery);
        }
    });
    return statement;
}

}  // namespace

void unread_distance_init() {
    previous_planner_hook = planner_hook;
    planner_hook = plan_query;
}

}  // namespace dvec::postgres
