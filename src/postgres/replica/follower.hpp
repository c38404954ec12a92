// The follower: a process of a standby, one for each database with indexes in use, which keeps
// those in agreement with their tables while WAL is replayed.
#pragma once

#include "postgres/bridge/postgres.hpp"
#include "postgres/runtime/registry.hpp"

namespace dvec::postgres {

// What a follower of its database has to do with an index: adopt one that has to be read first, or
// resume one whose follower has ended.
enum class Wanted : unsigned char { nothing, adoption, resumption };

// To be called with the registry's lock.
Wanted wanted_for(const IndexEntry &entry, TimestampTz now) noexcept;

// Runs in the dvec worker of a standby. Starts a follower for each database that has something to
// follow and no follower. Returns how many milliseconds nothing more will be due.
long launch_followers();

}  // namespace dvec::postgres
