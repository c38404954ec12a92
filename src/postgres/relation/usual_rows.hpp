// Which rows an order by distance has an ordinary place for.
//
// A row is usual when the distance of its vector to itself is a finite number. The distance between
// two usual vectors of one index is never NULL or NaN. A row without a vector has no distance. By
// cosine and inner product a vector that is zero, or so long or short that its squared length
// leaves the range of float4, has none to itself, and none or NaN to some others. By the other
// metrics every vector is usual.
//
// Rows that are not come where NULL and NaN sort: last in an ascending order and first in a
// descending one, where the index, which leaves some of them out, would have to begin with them.
#pragma once

#include "postgres/bridge/access_method.hpp"

namespace dvec::postgres {

// Asks the operator of an index's operator class.
struct RowJudge {
    bool all_vectors_are_usual;
    Oid collation;
    FmgrInfo distance;
};

// In the current memory context, where it may be used.
RowJudge row_judge(Relation index);
bool is_usual(RowJudge *judge, Datum value, bool is_null);

}  // namespace dvec::postgres
