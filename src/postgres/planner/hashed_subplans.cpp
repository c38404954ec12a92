#include "postgres/planner/hashed_subplans.hpp"

namespace dvec::postgres {

namespace {

// When a parameter of the subquery changes, whoever looks into its table next makes another in its
// place, and nobody else hears of that: such a table stays with who made it.
bool is_to_share(const SubPlanState *subplan) {
    return subplan->hashtable != nullptr && subplan->planstate->plan->extParam == nullptr;
}

void give(const SubPlanState *made, PlanState *to) {
    for (; to != nullptr; to = outerPlanState(to)) {
        ListCell *cell;
        foreach (cell, to->subPlan) {
            auto *subplan = lfirst_node(SubPlanState, cell);
            if (subplan->planstate != made->planstate || subplan->hashtable != nullptr)
                continue;
            subplan->hashtable = made->hashtable;
            subplan->hashnulls = made->hashnulls;
            subplan->havehashrows = made->havehashrows;
            subplan->havenullrows = made->havenullrows;
        }
    }
}

}  // namespace

void share_hashed_subplans(PlanState *from, PlanState *to) {
    for (; from != nullptr; from = outerPlanState(from)) {
        ListCell *cell;
        foreach (cell, from->subPlan)
            if (const auto *subplan = lfirst_node(SubPlanState, cell); is_to_share(subplan))
                give(subplan, to);
    }
}

}  // namespace dvec::postgres
