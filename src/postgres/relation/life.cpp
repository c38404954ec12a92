// The server drops what an access method keeps in rd_amcache whenever the index may have become
// another, so a file number never gets into its next life under it.
#include "postgres/relation/life.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include "postgres/bridge/heap.hpp"
#include "postgres/relation/metapage.hpp"

namespace dvec::postgres {

namespace {

constexpr uint64 nanoseconds = 1'000'000'000;

}  // namespace

base::FileIdentity storage_of(Relation index) {
    base::FileIdentity file;
    char *path = compat::relation_path(compat::file_name(index));
    struct statx info;
    if (statx(AT_FDCWD, path, 0, STATX_INO | STATX_BTIME, &info) == 0) {
        file.device = uint64{info.stx_dev_major} << 32 | info.stx_dev_minor;
        file.inode = info.stx_ino;
        if ((info.stx_mask & STATX_BTIME) != 0)
            file.born =
                static_cast<uint64>(info.stx_btime.tv_sec) * nanoseconds + info.stx_btime.tv_nsec;
    }
    pfree(path);
    return file;
}

Life life_of(Relation index) {
    if (index->rd_amcache == nullptr) {
        // Where its file cannot be looked at, a life is told by its identity alone.
        const base::FileIdentity file = storage_of(index);
        const Life life{read_metapage(index).identity, file.device, file.inode, file.born};
        auto *kept = static_cast<Life *>(MemoryContextAlloc(index->rd_indexcxt, sizeof(Life)));
        *kept = life;
        index->rd_amcache = kept;
    }
    return *static_cast<const Life *>(index->rd_amcache);
}

void forget_life(Relation index) noexcept {
    if (index->rd_amcache != nullptr)
        pfree(index->rd_amcache);
    index->rd_amcache = nullptr;
}

}  // namespace dvec::postgres
