// The follower: a process of a standby, one for each database with indexes in use, which keeps
// those in agreement with their tables while WAL is replayed.
#pragma once

#include "postgres/bridge/postgres.hpp"

namespace dvec::postgres {

// Runs in the dvec worker of a standby. Starts a follower for each database that has something to
// follow and no follower. Returns how many milliseconds nothing more will be due.
long launch_followers();

}  // namespace dvec::postgres
