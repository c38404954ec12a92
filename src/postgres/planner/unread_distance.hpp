// Keeps queries from computing the distance of every row once more only to throw it away.
#pragma once

namespace dvec::postgres {

// Has the planner drop distances that nobody reads from the plans it makes. Called once, at load.
void unread_distance_init();

}  // namespace dvec::postgres
