// Has a process of its own started for each index that needs a repair, connected to the index's
// database. Runs in the dvec worker, which has no database connection itself.
#pragma once

#include "postgres/bridge/postgres.hpp"

namespace dvec::postgres {

// What a process that repairs is told: the entry's place in the registry as its argument, and the
// incarnation in bgw_extra.
struct RepairOrder {
    uint64 incarnation;
};

// A repair that nobody else will do: the server has no place for another process, and had none when
// this was tried before. The worker has to.
struct OwnRepair {
    int32 entry = -1;  // none
    RepairOrder order{};

    explicit operator bool() const noexcept { return entry >= 0; }
};

// Starts what is due, few at a time. Returns how many milliseconds nothing more will be.
long launch_repairs(OwnRepair *own);

// What is due and of this database, for the worker that is connected to it.
OwnRepair next_repair_in(Oid database) noexcept;

// Whether launch_repairs would start one now.
bool repair_is_due() noexcept;

}  // namespace dvec::postgres
