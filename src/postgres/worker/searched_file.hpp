// The file dvec/searched: which indexes are searched, and how much. Nothing depends on it but what
// is read into memory after a start, so a file that is missing, damaged or of another version says
// that no index is.
#pragma once

#include <vector>

#include "engine/base/status.hpp"
#include "postgres/runtime/registry.hpp"

namespace dvec::postgres {

// The file has room for so many.
inline constexpr std::size_t most_searched = 8192;

// As it stands in the file, little-endian.
struct SearchedIndex {
    uint32 tablespace;
    uint32 database;
    uint32 number;
    uint32 reserved;  // 0
    double searches;  // those of long ago count for less

    IndexFile file() const noexcept { return {tablespace, database, number, InvalidBackendId}; }
};
static_assert(sizeof(SearchedIndex) == 24);

using SearchedIndexes = std::vector<SearchedIndex>;

base::Result<SearchedIndexes> read_searched();

// At most most_searched. The file is replaced as a whole, and is on disk when this returns.
base::Status write_searched(const SearchedIndexes &indexes);

}  // namespace dvec::postgres
