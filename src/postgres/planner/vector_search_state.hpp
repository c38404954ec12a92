// What a VectorSearch keeps while it is executed. vector_search.cpp has the callbacks of the node,
// vector_search_start what happens before its first row, vector_search_rows how it comes to the
// next one.
#pragma once

#include "postgres/planner/returned_rows.hpp"
#include "postgres/planner/search_budget.hpp"
#include "postgres/planner/search_range.hpp"
#include "postgres/planner/vector_search_plan.hpp"

namespace dvec::postgres {

// Where the next row comes from.
enum class SearchSource : unsigned char {
    none,      // nothing was asked for yet
    gathered,  // what the index gave, gathered
    index,
    exact,  // the exact search, from its beginning or behind what the index gave
    end
};

// What of the exact search is returned: all, what lies behind the index's last row, or what is
// nearer and was not returned.
enum class ExactPart : unsigned char { all, behind_index, missed };

struct VectorSearchState {
    CustomScanState custom;
    VectorSearchPlan plan;
    PlanState *index = nullptr;
    IndexScanState *index_scan = nullptr;
    bool has_exact = false;      // whether the plan has an exact search
    PlanState *exact = nullptr;  // null until it is first needed (exact_search)
    bool exact_began = false;    // in this scan or a former one
    int flags = 0;               // of the executor, for that
    ExprState *limit_count = nullptr;
    ExprState *limit_offset = nullptr;

    MemoryContext memory = nullptr;  // of one scan: gathered rows, TIDs
    SearchRangeState *range = nullptr;
    Filters filters = Filters::none;  // for the present values of parameters: never not_null
    bool complete_at_end = false;     // the exact search has no rows that the index has not
    SearchBudget *budget = nullptr;   // for the whole query: the index scan has its address
    SearchSource source = SearchSource::none;
    int64 limit = -1;     // rows that are wanted; -1: not known
    int64 presented = 0;  // of them
    TupleTableSlot *gathered_slot = nullptr;
    MinimalTuple *gathered = nullptr;
    int64 gathered_count = 0;
    int64 gathered_next = 0;
    ReturnedRows returned;     // from the index, while it hands them out as they come
    double last_returned = 0;  // distance of the last of them
    ExactPart exact_part = ExactPart::all;
    bool exact_has_missed = false;  // of what the index has returned as found
    uint64 changes = 0;             // to the exact search, over all rescans
};

// The exact search of a plan that has one. It is initialized when it is first asked for: most
// executions never need it, and opening indexes and preparing expressions would take them longer
// than a search that finds its rows at once.
PlanState *exact_search(VectorSearchState *state);

}  // namespace dvec::postgres
