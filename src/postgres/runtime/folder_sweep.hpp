// Removes the folders of indexes that are gone.
#pragma once

namespace dvec::postgres {

// Looks at every folder under $PGDATA/dvec and removes those whose relation file does not exist any
// more, with their entries in the registry. This is the only way a folder ever goes: nothing is
// deleted at commit or abort, so no rollback can lose one. What is not a folder of ours is left
// alone. Failures are reported to the server's log; the next sweep tries again.
void sweep();

}  // namespace dvec::postgres
