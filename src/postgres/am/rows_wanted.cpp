// The executor tells an index scan nothing of the LIMIT above it. So the plan that it runs is
// looked through for a LIMIT that leads to the scan by nodes that hand on the rows as they come.
#include "postgres/am/rows_wanted.hpp"

#include <algorithm>

#include "postgres/bridge/executor.hpp"
#include "postgres/bridge/running_query.hpp"

namespace dvec::postgres {

namespace {

// Filters are not taken to need more rows than this: a search goes on by itself where they do.
constexpr double most_for_filters = 1000;

struct Wanted {
    IndexScanDesc scan;
    double rows;
};

bool leads_to(PlanState *node, IndexScanDesc scan, double *passing);

bool one_leads_to(PlanState **nodes, int count, IndexScanDesc scan, double *passing) {
    return std::any_of(nodes, nodes + count,
                       [=](PlanState *node) { return leads_to(node, scan, passing); });
}

bool child_leads_to(PlanState *node, IndexScanDesc scan, double *passing) {
    switch (nodeTag(node)) {
        case T_IndexScanState:
            return reinterpret_cast<IndexScanState *>(node)->iss_ScanDesc == scan;
        case T_ResultState:
        case T_LockRowsState:
        case T_IncrementalSortState:
            return leads_to(outerPlanState(node), scan, passing);
        case T_SubqueryScanState:
            return leads_to(reinterpret_cast<SubqueryScanState *>(node)->subplan, scan, passing);
        case T_AppendState: {
            const auto *append = reinterpret_cast<AppendState *>(node);
            return one_leads_to(append->appendplans, append->as_nplans, scan, passing);
        }
        case T_MergeAppendState: {
            const auto *merge = reinterpret_cast<MergeAppendState *>(node);
            return one_leads_to(merge->mergeplans, merge->ms_nplans, scan, passing);
        }
        case T_CustomScanState: {
            const ListCell *cell;
            foreach (cell, reinterpret_cast<CustomScanState *>(node)->custom_ps)
                if (leads_to(static_cast<PlanState *>(lfirst(cell)), scan, passing))
                    return true;
            return false;
        }
        default:
            return false;
    }
}

// `passing` gets how many rows of the scan's table pass the filters on the way, where there are
// any.
bool leads_to(PlanState *node, IndexScanDesc scan, double *passing) {
    if (node == nullptr || !child_leads_to(node, scan, passing))
        return false;
    if (node->qual != nullptr)
        *passing = std::min(*passing, std::max(1.0, node->plan->plan_rows));
    return true;
}

double rows_of(const LimitState &limit, IndexScanDesc scan, double passing) {
    const double rows =
        std::max(1.0, static_cast<double>(limit.offset) + static_cast<double>(limit.count));
    const double all = scan->indexRelation->rd_rel->reltuples;
    if (!(all > passing))
        return rows;
    return std::max(rows, std::min(most_for_filters, rows * all / passing));
}

bool find_limit(PlanState *node, void *argument) {
    auto *wanted = static_cast<Wanted *>(argument);
    if (IsA(node, LimitState)) {
        const auto *limit = reinterpret_cast<const LimitState *>(node);
        double passing = get_float8_infinity();
        if (limit->lstate != LIMIT_INITIAL && !limit->noCount &&
            leads_to(outerPlanState(node), wanted->scan, &passing)) {
            wanted->rows = rows_of(*limit, wanted->scan, passing);
            return true;
        }
    }
    return compat::walk_plan_states(node, find_limit, wanted);
}

}  // namespace

double rows_wanted(IndexScanDesc scan) {
    Wanted wanted{scan, unknown_rows};
    if (PlanState *plan = running_plan())
        find_limit(plan, &wanted);
    return wanted.rows;
}

}  // namespace dvec::postgres
