// How one query level (a SELECT and its FROM) uses rows that come in order of distance.
#pragma once

#include "postgres/bridge/planner.hpp"

namespace dvec::postgres {

struct QueryLevel {
    enum class Order : unsigned char {
        // The level returns rows in that order, and LIMIT ends it: a near row may be missed.
        nearest,
        // It returns all rows in that order.
        sorted,
        // It compares, groups, counts or joins by the order: a row that is missed, or comes after
        // its place, would make a wrong answer of right rows.
        strict
    };
    Order order;
    // LIMIT and OFFSET, where this many rows of one relation are all that the level takes from it;
    // null otherwise. Free of volatile functions and of subplans.
    Node *limit_count;
    Node *limit_offset;
    // Their sum where it is known when the query is planned, else -1.
    double limit;
    // The relation's rows are joined to no others.
    bool alone;
    // All rows are returned, to a query around this one that may group them: those without a
    // distance belong to the answer.
    bool grouped_above;
    // Where the level has a LIMIT: a query around this one sorts, groups or joins by a value such
    // as this one orders by, and may take the rows' order from here.
    bool order_used_above;
};

// For a relation whose rows come in the order of `pathkeys`. Also for partitions and other members
// of a relation's inheritance tree.
QueryLevel query_level(PlannerInfo *root, const List *pathkeys);

}  // namespace dvec::postgres
