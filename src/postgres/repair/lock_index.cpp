#include "postgres/repair/lock_index.hpp"

#include "postgres/bridge/catalog.hpp"
#include "postgres/bridge/heap.hpp"

namespace dvec::postgres {

namespace {

bool is_stored_in(Relation index, const IndexFile &file) {
    const IndexFile now = compat::file_name(index);
    return now == file;
}

}  // namespace

Relation lock_index(const IndexFile &file, const char **reason) {
    *reason = "no committed index has this file";
    const Oid index_oid = compat::relation_in(file);
    const Oid heap_oid = OidIsValid(index_oid) ? IndexGetRelation(index_oid, true) : InvalidOid;
    if (!OidIsValid(heap_oid))
        return nullptr;
    if (!ConditionalLockRelationOid(heap_oid, AccessShareLock) ||
        !ConditionalLockRelationOid(index_oid, AccessShareLock)) {
        *reason = "its table is locked";
        return nullptr;
    }
    // It may have been dropped or rewritten before it was locked.
    Relation index = try_relation_open(index_oid, NoLock);
    if (index == nullptr)
        return nullptr;
    if (index->rd_index != nullptr && index->rd_index->indrelid == heap_oid &&
        is_stored_in(index, file))
        return index;
    relation_close(index, NoLock);
    return nullptr;
}

}  // namespace dvec::postgres
