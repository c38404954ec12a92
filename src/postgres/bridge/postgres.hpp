// The door through which PostgreSQL's headers enter C++. Every file under src/postgres/ includes
// this header first. It carries what all of them need and what SQL functions on types need. Headers
// for one area of the server belong in the bridge header of that area (access_method, catalog,
// executor, heap, planner, shared_memory, transactions, wal), which includes this one and opens its
// own extern "C" block. No file outside of bridge/ includes a header of the server itself.
#pragma once

// The server's headers include the C library's, and port.h then renames parts of it by macro. Read
// in this order, the C++ headers declare the true names, and declare them outside the extern "C"
// block.
#include <cerrno>
#include <cmath>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

extern "C" {
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "common/shortest_dec.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datum.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
#include "utils/uuid.h"
#include "utils/varbit.h"
}

// Left defined, these would rewrite std::snprintf and the like in every header that follows, and
// send the engine's and the standard library's calls into the server.
#undef fprintf
#undef printf
#undef qsort
#undef snprintf
#undef sprintf
#undef strerror
#undef strerror_r
#undef vfprintf
#undef vprintf
#undef vsnprintf
#undef vsprintf

#include "postgres/bridge/compat.hpp"
