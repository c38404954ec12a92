// What the code that opens an index needs from the code that can read its relation.
#pragma once

#include "engine/store/description.hpp"
#include "postgres/runtime/registry.hpp"

namespace dvec::postgres {

// What only the access method knows about an index. Callers that open or repair an index supply it.
// All functions may raise errors.
class IndexSource {
  public:
    virtual store::Shape shape() = 0;
    virtual Life life() = 0;
    // Repairs the index, which is in state needs_repair. Returns false if another process is
    // repairing it, or has repaired it. If this raises an error, the index still needs its repair.
    virtual bool repair(IndexEntry *entry, uint64 incarnation) = 0;
    // Called when the index is ready: invalidates plans that were made without it.
    virtual void announce() = 0;

  protected:
    ~IndexSource() = default;
};

}  // namespace dvec::postgres
