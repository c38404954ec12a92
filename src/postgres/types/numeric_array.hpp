// Arrays of numbers on their way into a vector type: one reader behind the casts from integer[],
// real[], double precision[] and numeric[].
#pragma once

#include "postgres/bridge/postgres.hpp"

namespace dvec::postgres {

// How many elements there are. Raises unless the array has at most one dimension (22000) and no
// nulls (22004).
int element_count(ArrayType *array);

// All elements as floats, palloc'd. Raises 22000 for an array of another type. Reading a numeric
// may raise, and so may `check`: it sees each as soon as it is read, so that of two errors in an
// array the first is reported.
float *element_values(ArrayType *array, int count, void (*check)(float number));

}  // namespace dvec::postgres
