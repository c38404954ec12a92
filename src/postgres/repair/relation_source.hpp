// What opening and repairing need to know from PostgreSQL about an index: its shape from the
// metapage, its rows from the heap.
#pragma once

#include "postgres/bridge/access_method.hpp"
#include "postgres/runtime/open_index.hpp"

namespace dvec::postgres {

// Of an index that the caller has open, with its table locked against being dropped. The heap is
// read with the rights of the table's owner: the index's expressions are the owner's code, whoever
// runs the query.
class RelationSource final : public IndexSource {
  public:
    explicit RelationSource(Relation index) : index_(index) {}

    store::Shape shape() override;
    RepairResult rebuild(IndexEntry *entry) override;
    RepairResult reconcile(IndexEntry *entry) override;
    void announce() override;

  private:
    Relation index_;
};

}  // namespace dvec::postgres
