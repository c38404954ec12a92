// The declared number of dimensions of a vector type, as in vector(3): the typmod is the number.
#pragma once

#include "postgres/bridge/postgres.hpp"

namespace dvec::postgres {

// Of a typmod input function: reads its cstring[], raises 22023 for anything but one number from 1
// to `most`.
inline int32 declared_dimensions(FunctionCallInfo fcinfo, const char *type, int most) {
    int count = 0;
    const int32 *typmods = ArrayGetIntegerTypmods(PG_GETARG_ARRAYTYPE_P(0), &count);
    if (count != 1)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid type modifier")));
    if (typmods[0] < 1)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("dimensions for type %s must be at least 1", type)));
    if (typmods[0] > most)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("dimensions for type %s cannot exceed %d", type, most)));
    return typmods[0];
}

}  // namespace dvec::postgres
