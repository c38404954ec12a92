/*
 * A library that defines a setting of pgvector's name, as pgvector's own does when a session loads
 * it: the server ends that session's statement with an error when somebody has defined the name
 * before.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

void _PG_init(void);

static int ef_search;

void _PG_init(void) {
    DefineCustomIntVariable("hnsw.ef_search", "Somebody else's", NULL, &ef_search, 40, 1, 1000,
                            PGC_USERSET, 0, NULL, NULL, NULL);
    MarkGUCPrefixReserved("hnsw");
}
