#include "postgres/bridge/explained_nodes.hpp"

#include "postgres/bridge/guard.hpp"

namespace dvec::postgres {

#if PG_VERSION_NUM >= 180000

namespace {

void (*explain_node)(PlanState *, const List *, ExplainState *);
explain_per_node_hook_type previous_node_hook = nullptr;

void explain_one_node(PlanState *node, List *above, const char *relationship, const char *plan_name,
                      ExplainState *output) {
    if (previous_node_hook)
        previous_node_hook(node, above, relationship, plan_name, output);
    guarded([=] { explain_node(node, above, output); });
}

}  // namespace

void at_explained_node(void (*explain)(PlanState *, const List *, ExplainState *)) {
    explain_node = explain;
    previous_node_hook = explain_per_node_hook;
    explain_per_node_hook = explain_one_node;
}

#else

void at_explained_node(void (*)(PlanState *, const List *, ExplainState *)) {}

#endif

}  // namespace dvec::postgres
