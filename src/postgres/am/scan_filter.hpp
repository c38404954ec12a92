// From a scan's conditions on columns behind the vector to the filter of a search.
#pragma once

#include <memory>

#include "engine/graph/row_filter.hpp"
#include "postgres/bridge/access_method.hpp"
#include "postgres/keys/key_support.hpp"

namespace dvec::postgres {

// Plain data in the memory context in which it was made. Rows that satisfy all of a scan's
// conditions satisfy these.
struct ScanConditions {
    struct Each {
        int column;  // behind the vector, from 0
        KeyCondition keys;
    };
    Each *each;
    int count;
    // Others may satisfy them as well: the executor has to check.
    bool lossy;
};

// What the descriptor's scan keys say now. Raises where the index cannot answer: it has no rows
// without a vector.
ScanConditions scan_conditions(IndexScanDesc descriptor);

// Null without conditions. Raises no ERROR, since what it makes has a destructor.
std::unique_ptr<graph::RowFilter> row_filter(const ScanConditions &conditions);

}  // namespace dvec::postgres
