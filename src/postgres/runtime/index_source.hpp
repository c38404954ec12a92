// What opening an index asks of those who can read its relation.
#pragma once

#include "engine/store/description.hpp"
#include "postgres/runtime/registry.hpp"

namespace dvec::postgres {

// What only the access method knows about an index. Whoever opens or repairs one brings it along.
// All may raise.
class IndexSource {
  public:
    virtual store::Shape shape() = 0;
    // Repairs the index, which is in needs_repair. False when somebody else does so already, or
    // has. The index needs its repair as before when this raises.
    virtual bool repair(IndexEntry *entry, uint64 incarnation) = 0;
    // The index is ready: plans that were made without it can be made anew.
    virtual void announce() = 0;

  protected:
    ~IndexSource() = default;
};

}  // namespace dvec::postgres
