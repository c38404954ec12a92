#include "postgres/relation/own_index.hpp"

#include "postgres/bridge/catalog.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/relation/options.hpp"
#include "postgres/relation/own_method.hpp"

namespace dvec::postgres {

namespace {

void require_own_index(Relation index) {
    if (!is_own_method(index->rd_indam->amcostestimate))
        ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                        errmsg("\"%s\" is neither an hnsw nor an ivfflat index",
                               RelationGetRelationName(index)),
                        errdetail("Its access method is \"%s\".", method_name(index))));
    if (index->rd_rel->relkind != RELKIND_INDEX)
        ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                        errmsg("\"%s\" is a partitioned index", RelationGetRelationName(index)),
                        errhint("Each of its partitions has an index of its own: check those.")));
    if (!index->rd_index->indisvalid)
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("index \"%s\" is not valid", RelationGetRelationName(index)),
                 errhint("It was left behind by CREATE INDEX CONCURRENTLY: drop or reindex it.")));
}

}  // namespace

bool is_own_index(Oid index) {
    Relation relation = index_open(index, NoLock);
    const bool own = is_own_method(relation->rd_indam->amcostestimate);
    index_close(relation, NoLock);
    return own;
}

OwnIndex open_own_index(Oid index) {
    // The table first, like everybody who needs both.
    const Oid heap = IndexGetRelation(index, true);
    OwnIndex own;
    own.heap = OidIsValid(heap) ? table_open(heap, AccessShareLock) : nullptr;
    own.index = index_open(index, AccessShareLock);
    require_own_index(own.index);
    return own;
}

void close_own_index(const OwnIndex &own) {
    index_close(own.index, AccessShareLock);
    if (own.heap != nullptr)
        table_close(own.heap, AccessShareLock);
}

}  // namespace dvec::postgres
