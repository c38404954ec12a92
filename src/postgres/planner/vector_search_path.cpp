// From an index path to a VectorSearch path, and from that to a plan.
//
// Both children return what the relation is asked for, and the row's TID behind it; the exact one
// also the distance. Whatever the query computes from a row is computed once, by the node, but for
// the distance where the query returns it: that comes from both children, so that it is not
// computed again for rows of the exact search, which has measured them, in their order, which is
// another than the table's.
#include "postgres/planner/vector_search_path.hpp"

#include "postgres/bridge/executor.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/planner/cost.hpp"
#include "postgres/planner/index_conditions.hpp"
#include "postgres/planner/search_budget.hpp"
#include "postgres/planner/vector_search_plan.hpp"

namespace dvec::postgres {

namespace {

bool is_tid(const Node *expression, const RelOptInfo *rel) {
    if (!IsA(expression, Var))
        return false;
    const auto *column = reinterpret_cast<const Var *>(expression);
    return column->varno == static_cast<int>(rel->relid) &&
           column->varattno == SelfItemPointerAttributeNumber && column->varlevelsup == 0;
}

struct ChildTarget {
    PathTarget *target;
    int tid_column;
    int distance_column;  // of the exact child
    int columns;          // of the node: the distance is the last of them, or behind them
};

// The planner gives a scan below a node that checks a condition without columns all columns of the
// table, but only where it knows of no others that are needed.
void need_tid(RelOptInfo *rel) {
    Relids &needed = rel->attr_needed[SelfItemPointerAttributeNumber - rel->min_attr];
    needed = bms_add_member(needed, 0);
}

bool contains(Node *node, void *expression) {
    if (node == nullptr)
        return false;
    return equal(node, expression) || compat::walk_expression(node, contains, expression);
}

// Whether the node's own columns are the query's, and the distance is in one that is returned.
bool returns_distance(PlannerInfo *root, const RelOptInfo *rel, Expr *distance) {
    const Query *query = root->parse;
    if (rel->reloptkind != RELOPT_BASEREL || bms_membership(root->all_baserels) != BMS_SINGLETON ||
        query->commandType != CMD_SELECT || query->hasAggs || query->groupClause != NIL ||
        query->groupingSets != NIL || query->hasWindowFuncs || query->hasTargetSRFs)
        return false;
    ListCell *cell;
    foreach (cell, root->processed_tlist) {
        const auto *column = static_cast<const TargetEntry *>(lfirst(cell));
        if (!column->resjunk && contains(reinterpret_cast<Node *>(column->expr), distance))
            return true;
    }
    return false;
}

ChildTarget child_target(PlannerInfo *root, RelOptInfo *rel, Expr *distance) {
    need_tid(rel);
    PathTarget *target = create_empty_pathtarget();
    int tid_column = -1;
    ListCell *cell;
    foreach (cell, rel->reltarget->exprs) {
        auto *expression = static_cast<Expr *>(lfirst(cell));
        if (is_tid(reinterpret_cast<Node *>(expression), rel))
            tid_column = foreach_current_index(cell);
        add_column_to_pathtarget(target, expression, 0);
    }
    if (tid_column < 0) {
        tid_column = list_length(target->exprs);
        Var *tid = makeVar(static_cast<int>(rel->relid), SelfItemPointerAttributeNumber, TIDOID, -1,
                           InvalidOid, 0);
        add_column_to_pathtarget(target, reinterpret_cast<Expr *>(tid), 0);
    }
    const int columns = list_length(target->exprs);
    const bool returned = returns_distance(root, rel, distance);
    if (returned)
        add_column_to_pathtarget(target, distance, 0);
    return {set_pathtarget_cost_width(root, target), tid_column, columns,
            returned ? columns + 1 : columns};
}

template <class Kind>
Path *copy_of(const Path *path) {
    auto *copy = static_cast<Kind *>(palloc(sizeof(Kind)));
    *copy = *reinterpret_cast<const Kind *>(path);
    return reinterpret_cast<Path *>(copy);
}

// A copy of a scan's path, which can return whatever it is asked for. A projection above it would
// not do: where a condition without columns is checked there, the scan would not know of it.
Path *with_target(PlannerInfo *root, const Path *path, PathTarget *target) {
    Path *copy = IsA(path, IndexPath)        ? copy_of<IndexPath>(path)
                 : IsA(path, BitmapHeapPath) ? copy_of<BitmapHeapPath>(path)
                 : IsA(path, TidPath)        ? copy_of<TidPath>(path)
                 : IsA(path, TidRangePath)   ? copy_of<TidRangePath>(path)
                                             : copy_of<Path>(path);
    return apply_projection_to_path(root, copy->parent, copy, target);
}

// Whether a path reads rows of the table in no order that matters, and with their TIDs.
bool reads_table(const Path *path, const Path *like) {
    const bool kind = IsA(path, IndexPath)
                          ? path->pathtype == T_IndexScan &&
                                reinterpret_cast<const IndexPath *>(path)->indexorderbys == NIL
                          : IsA(path, BitmapHeapPath) || IsA(path, TidPath) ||
                                IsA(path, TidRangePath) || path->pathtype == T_SeqScan;
    return kind && bms_equal(PATH_REQ_OUTER(path), PATH_REQ_OUTER(like));
}

Path *cheapest_reading(PlannerInfo *root, RelOptInfo *rel, const Path *like) {
    // The planner may have dropped the sequential scan in favour of the path that is being
    // replaced.
    Path *cheapest = create_seqscan_path(root, rel, PATH_REQ_OUTER(like), 0);
    ListCell *cell;
    foreach (cell, rel->pathlist) {
        auto *path = static_cast<Path *>(lfirst(cell));
        if (reads_table(path, like) && path->total_cost < cheapest->total_cost)
            cheapest = path;
    }
    return cheapest;
}

struct ExactSearch {
    Path *path;
    double share_read;  // of the table
    bool scattered;     // its pages are read as an index leads to them
};

// The share of the table's rows that a path reads to check the conditions that are left.
double share_read(const RelOptInfo *rel, const Path *path) {
    if (IsA(path, IndexPath))
        return reinterpret_cast<const IndexPath *>(path)->indexselectivity;
    if (IsA(path, BitmapHeapPath))
        return share_read(rel, reinterpret_cast<const BitmapHeapPath *>(path)->bitmapqual);
    if (IsA(path, BitmapAndPath))
        return reinterpret_cast<const BitmapAndPath *>(path)->bitmapselectivity;
    if (IsA(path, BitmapOrPath))
        return reinterpret_cast<const BitmapOrPath *>(path)->bitmapselectivity;
    return path->pathtype == T_SeqScan ? 1 : std::min(1.0, path->rows / std::max(1.0, rel->tuples));
}

// Rows of equal distance may come in another order than from the index. That does no harm, since
// the node knows which rows it has returned.
ExactSearch exact_search(PlannerInfo *root, RelOptInfo *rel, const VectorSearchRequest &request,
                         const ChildTarget &child) {
    Path *reading = cheapest_reading(root, rel, &request.index_path->path);
    PathTarget *with_distance = copy_pathtarget(child.target);
    if (child.distance_column == child.columns)
        add_column_to_pathtarget(with_distance, request.distance, 0);
    set_pathtarget_cost_width(root, with_distance);
    Path *path = with_target(root, reading, with_distance);
    if (request.pathkeys != NIL)
        path = reinterpret_cast<Path *>(
            create_sort_path(root, rel, path, request.pathkeys, request.level.limit));
    return {path, share_read(rel, reading), reading->pathtype != T_SeqScan};
}

struct Costs {
    Cost startup;
    Cost total;
};

bool is_compact(const VectorSearchRequest &request) {
    return measured_bytes(request.index_path->indexinfo).compact;
}

// Where nothing may be missed, an index without vectors leaves all to the exact search.
Costs exact_costs(const Path *exact) {
    const Cost all = compat::cost_without_penalty(exact);
    return {all, all};
}

// Of the index child alone, in the order that the node asks it for.
Costs index_costs(PlannerInfo *root, const VectorSearchRequest &request) {
    const IndexPath &index = *request.index_path;
    // Behind the farthest row that is wanted the scan ends.
    const double share =
        request.bounds.farthest
            ? clauselist_selectivity(root, request.bounds.conditions, 0, JOIN_INNER, nullptr)
            : 1;
    const Cost fetched =
        share_seen(root, &index) * std::max(0.0, index.path.total_cost - index.indextotalcost);
    if (request.order == SearchOrder::as_found) {
        const Cost startup = index.path.startup_cost;
        return {startup, startup + share * (index.indextotalcost - startup + fetched)};
    }
    const Cost startup = exact_order_cost(root, &index);
    return {startup, startup + share * fetched};
}

// MIN() adds such a condition on what it is the least of.
bool is_not_null(const VectorSearchRequest &request, const RestrictInfo *condition) {
    if (!IsA(condition->clause, NullTest))
        return false;
    const auto *test = reinterpret_cast<const NullTest *>(condition->clause);
    auto *tested = reinterpret_cast<Node *>(test->arg);
    return test->nulltesttype == IS_NOT_NULL && !test->argisrow &&
           (equal(tested, request.distance) ||
            equal(tested, linitial(request.index_path->indexorderbys)) ||
            match_index_to_operand(tested, 0, request.index_path->indexinfo));
}

// Conditions on the distance are no filters: the exact search measures all rows for them.
Filters filters_of(const VectorSearchRequest &request) {
    const IndexPath &index = *request.index_path;
    List *conditions = list_copy(index.indexinfo->indrestrictinfo);
    if (index.path.param_info != nullptr)
        conditions = list_concat(conditions, index.path.param_info->ppi_clauses);
    const int bounds = list_length(request.bounds.conditions);
    const int all = list_length(conditions);
    if (all <= bounds)
        return Filters::none;
    int not_null = 0;
    const ListCell *cell;
    foreach (cell, conditions)
        not_null += is_not_null(request, lfirst_node(RestrictInfo, cell)) ? 1 : 0;
    if (all - not_null <= bounds)
        return Filters::not_null;
    return bounds == 0 && checks_all(&index, conditions) ? Filters::of_index : Filters::of_rows;
}

// Where the index scan is estimated to cost more than it may (search_budget.hpp), the node is going
// to change over, and is charged for both. That is also the most it is ever charged.
Costs node_costs(PlannerInfo *root, const VectorSearchRequest &request, const Path *exact) {
    const Costs index = index_costs(root, request);
    if (exact == nullptr)
        return index;
    const Cost all = compat::cost_without_penalty(exact);
    const Cost most = (1 + wasted_share) * all;
    if (request.level.limit < 0)
        return {std::min(index.startup, most),
                std::max(index.startup, std::min(index.total, most))};
    const double rows = std::max(1.0, request.index_path->path.rows);
    const double wanted = std::min(1.0, request.level.limit / rows);
    const bool is_filtered = filters_of(request) == Filters::of_rows && !request.bounds.farthest;
    const Cost affordable = is_filtered ? most_in_vain * all : most;
    if (index.startup + wanted * (index.total - index.startup) > affordable)
        return {most, most};
    return index;
}

ExactWork exact_work(const RelOptInfo *rel, const ExactSearch &exact, const MeasuredBytes &bytes) {
    ExactWork work;
    work.rows = std::max(1.0, exact.share_read * rel->tuples);
    work.scattered = exact.scattered;
    work.pages = exact.scattered ? std::min<double>(work.rows, rel->pages) : rel->pages;
    work.vector_bytes = bytes.vector;
    work.out_of_line = bytes.out_of_line;
    return work;
}

// Of a search whose conditions the index checks. What the planner charges for the exact search says
// little of its time: for pages that are in memory it is many times too much where an index leads
// to them, and too little where vectors are stored out of line or come to many bytes. So the times
// of both are estimated, and this node is charged the exact search's cost times their ratio: the
// cheaper one is taken, and all other plans are compared in the planner's own currency.
Costs filtered_costs(PlannerInfo *root, const VectorSearchRequest &request,
                     const ExactSearch &exact) {
    const IndexPath &index = *request.index_path;
    const RelOptInfo *rel = index.path.parent;
    const ExactWork reading = exact_work(rel, exact, measured_bytes(index.indexinfo));
    const double rows = std::max(1.0, index.path.rows);
    const double limit = request.level.limit < 0 ? rows : request.level.limit;
    const double theirs = work_of(reading, std::min(1.0, rows / reading.rows), 0,
                                  std::log2(std::max(2.0, std::min(rows, 2 * limit))));
    const SearchTimes ours = search_times(root, &index);
    const Cost of_work = compat::cost_without_penalty(exact.path) / theirs;
    const bool measures_all = request.order == SearchOrder::exact;
    const double first =
        start_of_search + work_of_nanoseconds(measures_all ? ours.all : ours.first);
    const double all = start_of_search + work_of_nanoseconds(ours.all) +
                       work_of_handing_out(share_admitted(root, &index) * rel->tuples);
    return {of_work * first, of_work * std::max(first, all)};
}

// Whether the index checks conditions, and none of them is on the distance.
bool is_filtered(const VectorSearchRequest &request) {
    if (request.bounds.conditions != NIL)
        return false;
    const ListCell *cell;
    foreach (cell, request.index_path->indexclauses)
        if (lfirst_node(IndexClause, cell)->indexcol > 0)
            return true;
    return false;
}

// Whether the node, when it begins, is going to leave all to the exact search
// (vector_search_start): where the order is exact and conditions are checked on the rows, the exact
// search may have little to measure.
bool leaves_all(const RelOptInfo *rel, const VectorSearchRequest &request,
                const ExactSearch &exact) {
    if (request.order != SearchOrder::exact || request.level.order == QueryLevel::Order::nearest ||
        filters_of(request) != Filters::of_rows)
        return false;
    ExactWork work = exact_work(rel, exact, measured_bytes(request.index_path->indexinfo));
    work.sorts_all = request.level.limit < 0;
    SearchBudget budget;
    budget.begin_scan(&work);
    return !budget.is_worth_measuring_all(request.level.limit);
}

// There are no statistics on how many rows are within a threshold. The planner's default for an
// inequality is a third, but applications choose thresholds that few rows pass. The cost of a wrong
// guess is bounded, since the node changes to the exact search.
constexpr double share_in_range = 1.0 / 400;

// Measuring all rows without putting them in order, and fetching those that are near.
Costs range_costs(PlannerInfo *root, const VectorSearchRequest &request, const Path *exact) {
    const double tuples = std::max(request.index_path->indexinfo->tuples, 1.0);
    const Cost measured = exact_order_cost(root, request.index_path);
    const Cost fetched = tuples * share_in_range * (random_page_cost + cpu_tuple_cost);
    const Cost most = exact == nullptr ? measured + fetched
                                       : (1 + wasted_share) * compat::cost_without_penalty(exact);
    return {measured, std::max(measured, std::min(measured + fetched, most))};
}

Costs costs_of(PlannerInfo *root, const VectorSearchRequest &request, const ExactSearch &exact,
               const Path *second) {
    if (request.order == SearchOrder::exact && is_compact(request))
        return exact_costs(exact.path);
    if (request.pathkeys == NIL)
        return range_costs(root, request, second);
    if (is_filtered(request))
        return filtered_costs(root, request, exact);
    if (second != nullptr && leaves_all(request.index_path->path.parent, request, exact)) {
        const Costs costs = exact_costs(exact.path);
        return {costs.startup, costs.total + cpu_tuple_cost * exact.path->rows};
    }
    return node_costs(root, request, second);
}

// Only some kinds of queries can do without the exact search: see paths.cpp.
bool needs_exact_child(const VectorSearchRequest &request, const Path *exact) {
    return request.level.order == QueryLevel::Order::strict || !compat::is_disabled(exact) ||
           request.order == SearchOrder::as_found || request.unusual == UnusualRows::anywhere;
}

List *expressions_of(const VectorSearchRequest &request) {
    const auto part = [](Node *expression) {
        return expression == nullptr ? NIL : list_make1(expression);
    };
    const auto *distance = linitial_node(OpExpr, request.index_path->indexorderbys);
    return list_make4(part(request.level.limit_count), part(request.level.limit_offset),
                      list_make1(lsecond(distance->args)), request.bounds.operands);
}

Plan *make_plan(PlannerInfo *, RelOptInfo *, CustomPath *path, List *columns, List *,
                List *children) {
    return guarded([=]() -> Plan * {
        CustomScan *scan = makeNode(CustomScan);
        scan->scan.plan.targetlist = columns;
        scan->flags = path->flags;
        scan->custom_plans = children;
        scan->custom_exprs = static_cast<List *>(linitial(path->custom_private));
        scan->custom_private = static_cast<List *>(lsecond(path->custom_private));
        const auto *index_plan = static_cast<const Plan *>(linitial(children));
        scan->custom_scan_tlist = static_cast<List *>(copyObjectImpl(index_plan->targetlist));
        scan->methods = &vector_search_methods;
        return &scan->scan.plan;
    });
}

const CustomPathMethods path_methods = {
    .CustomName = vector_search_name,
    .PlanCustomPath = make_plan,
    .ReparameterizeCustomPathByChild = nullptr,
};

}  // namespace

CustomPath *make_vector_search_path(PlannerInfo *root, RelOptInfo *rel,
                                    const VectorSearchRequest &request) {
    const ChildTarget child = child_target(root, rel, request.distance);
    const ExactSearch exact = exact_search(root, rel, request, child);
    const bool two = needs_exact_child(request, exact.path);
    Path *index = with_target(root, &request.index_path->path, child.target);
    Path *second = two ? exact.path : nullptr;
    const Costs costs = costs_of(root, request, exact, second);
    const bool all = request.level.order == QueryLevel::Order::strict;
    const MeasuredBytes bytes = measured_bytes(request.index_path->indexinfo);
    const VectorSearchPlan plan{
        .order = request.order,
        .extent = all ? SearchExtent::everything : SearchExtent::as_set,
        .unusual = request.unusual,
        .as_found_is_enough = request.level.order == QueryLevel::Order::nearest,
        .filters = filters_of(request),
        .out_of_line = bytes.out_of_line,
        .columns = child.columns,
        .tid_column = child.tid_column,
        .distance_column = child.distance_column,
        .scattered = exact.scattered,
        .rows_per_page = rel->tuples / std::max<double>(rel->pages, 1),
        .share_read = exact.share_read,
        .vector_bytes = bytes.vector,
        .walked_bytes = bytes.walked,
        .compact = bytes.compact,
        .expected = std::min(1.0, rel->rows / std::max(1.0, exact.share_read * rel->tuples)),
        .leaves_out_missed = request.level.order_used_above,
    };

    CustomPath *path = makeNode(CustomPath);
    path->path = request.index_path->path;
    path->path.type = T_CustomPath;
    path->path.pathtype = T_CustomScan;
    path->path.pathtarget = rel->reltarget;
    path->path.pathkeys = request.pathkeys;
    List *expressions = expressions_of(request);
    path->path.parallel_safe = index->parallel_safe && exact.path->parallel_safe &&
                               is_parallel_safe(root, reinterpret_cast<Node *>(expressions));
    const Cost penalty = compat::penalty(&request.index_path->path);
    path->path.startup_cost = costs.startup + penalty;
    path->path.total_cost = costs.total + penalty;
    path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
    path->custom_paths = two ? list_make2(index, exact.path) : list_make1(index);
    path->custom_private =
        list_make2(expressions, list_make2(to_private(plan), request.bounds.code));
    path->methods = &path_methods;
    return path;
}

bool is_vector_search(const Plan *plan) {
    return IsA(plan, CustomScan) &&
           reinterpret_cast<const CustomScan *>(plan)->methods == &vector_search_methods;
}

}  // namespace dvec::postgres
