// What the planner tells the executor about a VectorSearch: how a CustomScan carries it.
#pragma once

#include "postgres/bridge/executor.hpp"
#include "postgres/planner/vector_search_path.hpp"

namespace dvec::postgres {

inline constexpr char vector_search_name[] = "VectorSearch";

// The children, in this order; the second is missing where the user has switched off every way to
// read the table.
enum VectorSearchChild : int { index_child, exact_child };

// Who checks the conditions that say nothing about the distance.
enum class Filters : unsigned char {
    none,      // there are none
    not_null,  // a vector, or a distance: all rows of the index have them, unless the query is NULL
    of_index,  // the index, all of them: every row that it hands out is of use. Not with a bound
    of_rows    // at least one is checked on the rows that the index hands out, perhaps in vain
};

// Copied and sent to parallel workers as a list of numbers, the first part of
// CustomScan::custom_private. The second part is Bounds::code.
struct VectorSearchPlan {
    SearchOrder order;
    SearchExtent extent;
    UnusualRows unusual;
    // Whether the query can do with a scan as found, even where another order is wanted.
    bool as_found_is_enough;
    Filters filters;
    // Whether vectors are stored out of line.
    bool out_of_line;
    // Columns of the node's rows, the first of its children's. The others count from 0; that of the
    // distance is the exact child's, and one more than the node has, or its last.
    int columns;
    int tid_column;
    int distance_column;
    // To tell what reading the table costs: whether the exact child reads it as an index leads
    // there, rows on a page, the share of the rows that it reads, and bytes of a vector there and
    // for the index's walk.
    bool scattered;
    double rows_per_page;
    double share_read;
    double vector_bytes;
    double walked_bytes;
    // Whether the index has compact vectors.
    bool compact;
    // The share of the rows read that the planner expects to pass.
    double expected;
    // Whether rows that the index has missed are left out instead of coming last.
    bool leaves_out_missed;
};

List *to_private(const VectorSearchPlan &plan);
VectorSearchPlan from_private(const List *numbers);

enum VectorSearchPrivate : int { numbers_part, bounds_part };

// Parts of CustomScan::custom_exprs, each a list. Those of the limit are empty where the number of
// rows that will be asked for is not known.
enum VectorSearchExpressions : int {
    limit_count_expression,
    limit_offset_expression,
    query_expression,  // what distances are measured to
    bounds_operands
};

// Of a finished plan: has the children return NULL in columns that the node does not read. What
// they return is sorted and copied, and a vector that is stored in line is most of a row.
void forget_unread_columns(CustomScan *scan);

// vector_search.cpp: the executor's side.
extern const CustomScanMethods vector_search_methods;

}  // namespace dvec::postgres
