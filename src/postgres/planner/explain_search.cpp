// Counts are totals over all loops, as those of the server's "Index Searches" and "Heap Blocks"
// are. They are those of the process that explains: what parallel workers searched is not among
// them.
#include "postgres/planner/explain_search.hpp"

#include "postgres/bridge/explained_nodes.hpp"
#include "postgres/bridge/planner.hpp"
#include "postgres/planner/vector_search_plan.hpp"
#include "postgres/relation/own_method.hpp"

namespace dvec::postgres {

namespace {

// As the server does with counters that are mostly 0: in text they are shown when they are not.
void explain_unless_zero(const char *label, uint64 count, ExplainState *output) {
    if (count > 0 || output->format != EXPLAIN_FORMAT_TEXT)
        ExplainPropertyUInteger(label, nullptr, count, output);
}

// The counts of a VectorSearch's index scan are shown by the VectorSearch. A Result node may stand
// between the two.
bool is_shown_above(const List *above) {
    const ListCell *cell;
    foreach (cell, above) {
        const auto *plan = static_cast<const Plan *>(lfirst(cell));
        if (IsA(plan, CustomScan))
            return reinterpret_cast<const CustomScan *>(plan)->methods == &vector_search_methods;
        if (!IsA(plan, Result))
            break;
    }
    return false;
}

void explain_index_scan(PlanState *node, const List *above, ExplainState *output) {
    if (!output->analyze || !IsA(node, IndexScanState))
        return;
    const auto *scan = reinterpret_cast<const IndexScanState *>(node);
    if (scan->iss_ScanDesc == nullptr ||
        !is_own_method(scan->iss_RelationDesc->rd_indam->amcostestimate) || is_shown_above(above))
        return;
    if (const SearchCounts counts = search_counts(scan->iss_ScanDesc); counts.searches > 0)
        explain_search(counts, output);
}

}  // namespace

void explain_search(const SearchCounts &counts, ExplainState *output) {
    ExplainPropertyUInteger("Index Rows", nullptr, counts.rows, output);
    ExplainPropertyUInteger("Index Distances", nullptr, counts.distances, output);
    explain_unless_zero("Index Estimates", counts.estimates, output);
    ExplainPropertyUInteger("Index Nodes", nullptr, counts.nodes, output);
    explain_unless_zero("Index Rounds", counts.rounds, output);
    explain_unless_zero("Index Tail", counts.tail, output);
    explain_unless_zero("Index Refused", counts.refused, output);
    explain_unless_zero("Index Exact Searches", counts.exact, output);
    explain_unless_zero("Index Candidates", counts.ef, output);
}

void explain_search_init() { at_explained_node(explain_index_scan); }

}  // namespace dvec::postgres
