// A repair runs inside of a statement that needs the index, or in a process of its own. The
// deadlock detector does not know of the processes that wait for a repair, so a repair must not
// wait long for a lock.
#include "postgres/repair/relation_source.hpp"

#include "postgres/bridge/catalog.hpp"
#include "postgres/bridge/executor.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/bridge/transactions.hpp"
#include "postgres/relation/build_sidecar.hpp"
#include "postgres/relation/life.hpp"
#include "postgres/relation/metapage.hpp"
#include "postgres/relation/owner_rights.hpp"
#include "postgres/repair/reconcile.hpp"
#include "postgres/repair/repair_index.hpp"

namespace dvec::postgres {

void limit_lock_waits() {
    constexpr int longest_ms = 5000;
    if (LockTimeout > 0 && LockTimeout < longest_ms)
        return;
    (void)set_config_option("lock_timeout", "5s", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true,
                            0, false);
}

namespace {

// Calls `read` with the index's table.
template <class Read>
RepairResult read_as_owner(Relation index, Read read) {
    Relation heap = table_open(IndexGetRelation(RelationGetRelid(index), false), AccessShareLock);
    RepairResult result{};
    with_owner_rights(heap, index, [&] {
        limit_lock_waits();
        result = read(heap);
    });
    table_close(heap, AccessShareLock);
    return result;
}

}  // namespace

store::Shape RelationSource::shape() { return shape_of(index_, read_metapage(index_)); }

Life RelationSource::life() { return life_of(index_); }

bool RelationSource::repair(IndexEntry *entry, uint64 incarnation) {
    return repair_index(entry, incarnation, *this);
}

RepairResult RelationSource::rebuild(IndexEntry *entry) {
    return read_as_owner(index_, [=, this](Relation heap) {
        const BuildResult built = build_sidecar(heap, index_, BuildIndexInfo(index_), entry->shape,
                                                RowSource{&entry->repair.progress});
        const auto pages = static_cast<int64>(entry->repair.progress.pages.load());
        return RepairResult{pages, pages, static_cast<int64>(built.index_tuples), 0};
    });
}

RepairResult RelationSource::reconcile(IndexEntry *entry) {
    return read_as_owner(index_, [=, this](Relation heap) {
        return reconcile_with_heap(heap, index_, BuildIndexInfo(index_), entry);
    });
}

// Sent at once and not at commit, since the index is ready even if the transaction aborts.
void RelationSource::announce() {
    SharedInvalidationMessage message{};
    message.rc.id = SHAREDINVALRELCACHE_ID;
    message.rc.dbId = MyDatabaseId;
    message.rc.relId = index_->rd_index->indrelid;
    SendSharedInvalidMessages(&message, 1);
}

}  // namespace dvec::postgres
