// dvec_index_size(): what the files of an index take on disk, by what is in them. The files
// themselves say how large they are, and what entries leave of that is room for further ones.
#include <algorithm>
#include <string_view>

#include "engine/graph/node_file_names.hpp"
#include "postgres/bridge/executor.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/wal.hpp"
#include "postgres/relation/own_index.hpp"
#include "postgres/repair/open_relation.hpp"
#include "postgres/runtime/index_files.hpp"
#include "postgres/runtime/index_parts.hpp"
#include "postgres/runtime/registry.hpp"

namespace dvec::postgres {

namespace {

// Bytes of the files in a folder, by the names that they have there.
struct FolderBytes {
    int64 node_files;  // of the generation in use
    int64 headers;     // the first page of each of them
    int64 link_codes;  // of that generation, too
    int64 others;      // of another one, which a compaction writes or has left
    int64 log;
    int64 rest;
};

bool copy_contents(const IndexFile &file, IndexContents *contents) {
    LWLockAcquire(&registry()->lock, LW_SHARED);
    const IndexEntry *entry = find_entry(file);
    const bool known = entry != nullptr && contents_of(*entry, contents);
    LWLockRelease(&registry()->lock);
    return known;
}

void add_file(const char *name, int64 bytes, uint64 generation, FolderBytes *folder) {
    if (std::string_view(name).starts_with("log.")) {
        folder->log += bytes;
    } else if (graph::is_node_file(name)) {
        if (strtoull(strchr(name, '.') + 1, nullptr, 10) != generation) {
            folder->others += bytes;
        } else if (std::string_view(name).starts_with(graph::link_codes_prefix)) {
            folder->link_codes += bytes;
        } else {
            folder->node_files += bytes;
            folder->headers += std::min<int64>(bytes, graph::file_header_bytes);
        }
    } else {
        folder->rest += bytes;
    }
}

FolderBytes measure_folder(const char *path, uint64 generation) {
    FolderBytes folder{};
    for_each_file(AllocateDir(path), path, ERROR, [&](const char *name, int64 bytes) {
        add_file(name, bytes, generation, &folder);
    });
    return folder;
}

void put(ReturnSetInfo *result, const char *part, int64 bytes, int64 rows) {
    Datum values[] = {CStringGetTextDatum(part), Int64GetDatum(bytes),
                      Float8GetDatum(static_cast<double>(bytes) / static_cast<double>(rows))};
    bool nulls[] = {false, false, rows == 0};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

void put_parts(ReturnSetInfo *result, const IndexContents &contents, const FolderBytes &folder) {
    const int64 rows = contents.rows();
    const PartBytes parts = part_bytes(contents);
    const int64 free = folder.node_files - folder.headers - parts.sum();
    put(result, "links", parts.links, rows);
    put(result, "codes", parts.codes, rows);
    put(result, "vectors", parts.vectors, rows);
    put(result, "padding", parts.padding, rows);
    put(result, "upper", parts.upper, rows);
    put(result, "columns", parts.columns, rows);
    put(result, "link_codes", folder.link_codes, rows);
    put(result, "free", std::max<int64>(0, free), rows);
    put(result, "log", folder.log, rows);
    put(result, "compaction", folder.others, rows);
    put(result, "other", folder.headers + folder.rest, rows);
}

}  // namespace

// An index that a standby does not follow has no rows, nor has one that is under repair there.
DVEC_COMMON_FUNCTION(index_size) {
    require_registry();
    InitMaterializedSRF(fcinfo, 0);
    auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    const OwnIndex own = open_own_index(PG_GETARG_OID(0));
    const IndexFile file = compat::file_name(own.index);
    if (!RecoveryInProgress())
        (void)open_relation(own.index);
    IndexContents contents;
    if (copy_contents(file, &contents)) {
        char path[MAXPGPATH];
        write_index_directory(file, path);
        put_parts(result, contents, measure_folder(path, contents.generation));
    }
    close_own_index(own);
    return Datum{0};
}

}  // namespace dvec::postgres
