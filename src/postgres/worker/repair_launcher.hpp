// Has a process of its own started for each index that needs a repair, connected to the index's
// database. Runs in the dvec worker, which has no database connection itself.
#pragma once

#include "postgres/bridge/postgres.hpp"

namespace dvec::postgres {

// Starts what is due, few at a time. Returns how many milliseconds nothing more will be.
long launch_repairs();

// Whether launch_repairs would start one now.
bool repair_is_due() noexcept;

// What the process is told: the entry's place in the registry as its argument, and this in
// bgw_extra.
struct RepairOrder {
    uint64 generation;
};

}  // namespace dvec::postgres
