// What opening and repairing need to know from PostgreSQL about an index: its shape from the
// metapage, its rows from the heap.
#pragma once

#include "postgres/bridge/access_method.hpp"
#include "postgres/runtime/index_source.hpp"
#include "postgres/runtime/repair_state.hpp"

namespace dvec::postgres {

// For an index that the caller has open, with its table locked so that it cannot be dropped. The
// heap is read with the rights of the table's owner, since the index's expressions are the owner's
// code, whichever user runs the query.
class RelationSource final : public IndexSource {
  public:
    explicit RelationSource(Relation index) : index_(index) {}

    store::Shape shape() override;
    Life life() override;
    bool repair(IndexEntry *entry, uint64 incarnation) override;
    void announce() override;

    // Makes the sidecar of the index anew from the heap, replacing what is there, durably. The
    // caller has claimed the entry for a repair; entry->shape is what shape() said. Raises on
    // failure.
    RepairResult rebuild(IndexEntry *entry);
    // Makes the index agree with the heap, as entry->repair.kind says. The shared state is set up.
    RepairResult reconcile(IndexEntry *entry);

  private:
    Relation index_;
};

// For locks that the index's expressions may want, until the end of with_owner_rights: those who
// wait for a repair do so where the server's deadlock detector does not see them.
void limit_lock_waits();

}  // namespace dvec::postgres
