// The files in an index's folder, and how large they are.
#pragma once

#include <sys/stat.h>

#include "postgres/bridge/postgres.hpp"
#include "postgres/bridge/shared_memory.hpp"

namespace dvec::postgres {

// Calls `use` with the name and the bytes of each file in `folder`, which `directory` has open, and
// closes that. Files may go meanwhile. What cannot be read, a directory that is null among it, is
// reported at `level`.
template <class Use>
void for_each_file(DIR *directory, const char *folder, int level, const Use &use) {
    while (const dirent *entry = ReadDirExtended(directory, folder, level)) {
        char path[2 * MAXPGPATH];
        struct stat facts;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (stat(path, &facts) == 0 && S_ISREG(facts.st_mode))
            use(entry->d_name, int64{facts.st_size});
    }
    FreeDir(directory);
}

}  // namespace dvec::postgres
