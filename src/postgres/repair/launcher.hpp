// Has a process of its own started for each index that needs a repair, connected to the index's
// database. Runs in the dvec worker, which has no database connection itself.
#pragma once

#include "postgres/bridge/postgres.hpp"

namespace dvec::postgres {

// What a background worker for a repair is passed in bgw_extra; the entry's number in the registry
// is its argument.
struct RepairOrder {
    uint64 incarnation;
};

// A repair that the dvec worker has to do itself: the server had no slot for a background worker,
// now and at the attempt before.
struct OwnRepair {
    int32 entry = -1;  // none
    RepairOrder order{};

    explicit operator bool() const noexcept { return entry >= 0; }
};

// Starts what is due, few at a time. Returns how many milliseconds nothing more will be.
long launch_repairs(OwnRepair *own);

// The next repair that is due in this database, for a worker that is connected to it.
OwnRepair next_repair_in(Oid database) noexcept;

// Whether launch_repairs would start one now.
bool repair_is_due() noexcept;

}  // namespace dvec::postgres
