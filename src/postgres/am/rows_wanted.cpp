// The executor tells an index scan nothing of the LIMIT above it. So the plan that it runs is
// looked through for a LIMIT that leads to the scan by nodes that hand on the rows as they come.
#include "postgres/am/rows_wanted.hpp"

#include <algorithm>

#include "postgres/bridge/executor.hpp"
#include "postgres/bridge/running_query.hpp"

namespace dvec::postgres {

namespace {

bool leads_to(PlanState *node, IndexScanDesc scan, LimitAbove *way);

bool one_leads_to(PlanState **nodes, int count, IndexScanDesc scan, LimitAbove *way) {
    way->scans *= count;
    return std::any_of(nodes, nodes + count,
                       [=](PlanState *node) { return leads_to(node, scan, way); });
}

// Of our own nodes: that which merges partitions has a scan of each below it.
bool one_of_ours_leads_to(const List *nodes, IndexScanDesc scan, LimitAbove *way) {
    int scans = 0;
    bool found = false;
    const ListCell *cell;
    foreach (cell, nodes) {
        auto *node = static_cast<PlanState *>(lfirst(cell));
        scans += IsA(node, IndexScanState) ? 1 : 0;
        found = found || leads_to(node, scan, way);
    }
    way->scans *= std::max(scans, 1);
    return found;
}

bool child_leads_to(PlanState *node, IndexScanDesc scan, LimitAbove *way) {
    switch (nodeTag(node)) {
        case T_IndexScanState:
            return reinterpret_cast<IndexScanState *>(node)->iss_ScanDesc == scan;
        case T_ResultState:
        case T_LockRowsState:
        case T_IncrementalSortState:
            return leads_to(outerPlanState(node), scan, way);
        case T_SubqueryScanState:
            return leads_to(reinterpret_cast<SubqueryScanState *>(node)->subplan, scan, way);
        case T_AppendState: {
            const auto *append = reinterpret_cast<AppendState *>(node);
            return one_leads_to(append->appendplans, append->as_nplans, scan, way);
        }
        case T_MergeAppendState: {
            const auto *merge = reinterpret_cast<MergeAppendState *>(node);
            return one_leads_to(merge->mergeplans, merge->ms_nplans, scan, way);
        }
        case T_CustomScanState:
            return one_of_ours_leads_to(reinterpret_cast<CustomScanState *>(node)->custom_ps, scan,
                                        way);
        default:
            return false;
    }
}

bool leads_to(PlanState *node, IndexScanDesc scan, LimitAbove *way) {
    if (node == nullptr || !child_leads_to(node, scan, way))
        return false;
    if (node->qual != nullptr)
        way->passing = std::min(way->passing, std::max(1.0, node->plan->plan_rows));
    return true;
}

struct Sought {
    IndexScanDesc scan;
    LimitAbove found;
};

bool find_limit(PlanState *node, void *argument) {
    auto *sought = static_cast<Sought *>(argument);
    if (IsA(node, LimitState)) {
        LimitAbove way;
        if (leads_to(outerPlanState(node), sought->scan, &way)) {
            way.limit = reinterpret_cast<const LimitState *>(node);
            sought->found = way;
            return true;
        }
    }
    return compat::walk_plan_states(node, find_limit, sought);
}

}  // namespace

LimitAbove limit_above(IndexScanDesc scan) {
    Sought sought{scan, {}};
    if (PlanState *plan = running_plan())
        find_limit(plan, &sought);
    return sought.found;
}

RowsWanted rows_wanted(const LimitAbove &above, Relation index) {
    const LimitState *limit = above.limit;
    if (limit == nullptr || limit->lstate == LIMIT_INITIAL || limit->noCount)
        return {};
    const double rows =
        std::max(1.0, static_cast<double>(limit->offset) + static_cast<double>(limit->count));
    const double share = rows / above.scans;
    const double all = index->rd_rel->reltuples;
    if (!(all > above.passing))
        return {share, rows};
    return {share, with_filters(rows, above.passing / all)};
}

}  // namespace dvec::postgres
