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

// A file that cannot be looked at is told by its identity alone.
void add_file(const IndexFile &file, Life *life) {
    char *path = compat::relation_path(file);
    struct statx info;
    if (statx(AT_FDCWD, path, 0, STATX_INO | STATX_BTIME, &info) == 0) {
        life->device = uint64{info.stx_dev_major} << 32 | info.stx_dev_minor;
        life->inode = info.stx_ino;
        if ((info.stx_mask & STATX_BTIME) != 0)
            life->born =
                static_cast<uint64>(info.stx_btime.tv_sec) * nanoseconds + info.stx_btime.tv_nsec;
    }
    pfree(path);
}

}  // namespace

Life life_of(Relation index) {
    if (index->rd_amcache == nullptr) {
        Life life{};
        life.identity = read_metapage(index).identity;
        add_file(compat::file_name(index), &life);
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
