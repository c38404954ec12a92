// Written once by CREATE INDEX; after that the page changes only when an unlogged index, emptied by
// a crash, gets a new identity, and when the first unusual row comes.
#include "postgres/relation/metapage.hpp"

#include "postgres/bridge/heap.hpp"
#include "postgres/bridge/wal.hpp"
#include "postgres/relation/compact_rows.hpp"
#include "postgres/relation/life.hpp"
#include "postgres/relation/opclass.hpp"
#include "postgres/relation/options.hpp"
#include "postgres/relation/row_encoder.hpp"
#include "postgres/runtime/settings.hpp"

namespace dvec::postgres {

namespace {

uint64 random_identity() {
    uint64 identity = 0;
    while (identity == 0)
        if (!pg_strong_random(&identity, sizeof identity))
            ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
                            errmsg("could not generate a random index identity")));
    return identity;
}

Metapage *contents(Page page) { return reinterpret_cast<Metapage *>(PageGetContents(page)); }

void check(Relation index, const Page page) {
    const Metapage *metapage = contents(page);
    if (PageIsNew(page) || metapage->magic != metapage_magic)
        ereport(ERROR, (errcode(ERRCODE_INDEX_CORRUPTED),
                        errmsg("index \"%s\" is not a valid %s index",
                               RelationGetRelationName(index), method_name(index)),
                        errhint("The table is not affected. Rebuild the index with REINDEX.")));
    if (metapage->version != metapage_version)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("index \"%s\" has format version %u, this server's dvec supports %u",
                               RelationGetRelationName(index), metapage->version, metapage_version),
                        errhint("Update dvec, or rebuild the index with REINDEX.")));
}

// Not WAL-logged: an unlogged relation never is.
void adopt_identity(Relation index, Buffer buffer) {
    LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
    Metapage *metapage = contents(BufferGetPage(buffer));
    if (metapage->identity == 0) {
        const uint64 identity = random_identity();
        START_CRIT_SECTION();
        metapage->identity = identity;
        MarkBufferDirty(buffer);
        END_CRIT_SECTION();
    }
    LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
}

}  // namespace

Metapage new_metapage(Relation index, WithIdentity with_identity) {
    check_key_columns(index);
    const IndexSupport *support = index_support(index);
    const IndexOptions options = index_options(index);
    if (options.ef_construction < 2 * options.m)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("ef_construction must be greater than or equal to 2 * m")));

    Metapage metapage{};
    metapage.magic = metapage_magic;
    metapage.version = metapage_version;
    metapage.identity = with_identity == WithIdentity::yes ? random_identity() : 0;
    metapage.segment_bytes = static_cast<uint64>(settings::log_segment_size_kb) * 1024;
    metapage.dimensions = static_cast<uint32>(column_dimensions(index, *support));
    metapage.m = static_cast<uint16>(options.m);
    metapage.ef_construction = static_cast<uint16>(options.ef_construction);
    metapage.element = static_cast<uint8>(element_to_store(index, *support));
    metapage.metric = static_cast<uint8>(support->metric);
    metapage.only_usual_rows = 1;
    metapage.key_columns = static_cast<uint8>(key_column_count(index));
    return metapage;
}

void write_metapage(Relation index, ForkNumber fork, const Metapage &metapage) {
    Buffer buffer = ReadBufferExtended(index, fork, P_NEW, RBM_NORMAL, nullptr);
    LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
    Page page = BufferGetPage(buffer);

    START_CRIT_SECTION();
    PageInit(page, BLCKSZ, 0);
    *contents(page) = metapage;
    // Everything up to pd_lower is what a full-page image keeps.
    reinterpret_cast<PageHeader>(page)->pd_lower = static_cast<LocationIndex>(
        reinterpret_cast<char *>(contents(page) + 1) - static_cast<char *>(page));
    MarkBufferDirty(buffer);
    // The init fork of an unlogged relation is what a crash restores, so it is always logged.
    if (RelationNeedsWAL(index) || fork == INIT_FORKNUM)
        log_newpage_buffer(buffer, true);
    END_CRIT_SECTION();

    UnlockReleaseBuffer(buffer);
}

Metapage read_metapage(Relation index) {
    Buffer buffer = ReadBuffer(index, 0);
    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    check(index, BufferGetPage(buffer));
    Metapage metapage = *contents(BufferGetPage(buffer));
    LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
    if (metapage.identity == 0) {
        adopt_identity(index, buffer);
        metapage.identity = contents(BufferGetPage(buffer))->identity;
    }
    ReleaseBuffer(buffer);
    return metapage;
}

bool has_only_usual_rows(Relation index) {
    Buffer buffer = ReadBuffer(index, 0);
    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    check(index, BufferGetPage(buffer));
    const bool only_usual = contents(BufferGetPage(buffer))->only_usual_rows != 0;
    UnlockReleaseBuffer(buffer);
    return only_usual;
}

void note_unusual_row(Relation index) {
    if (!has_only_usual_rows(index))
        return;
    Buffer buffer = ReadBuffer(index, 0);
    LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
    GenericXLogState *change = GenericXLogStart(index);
    Page page = GenericXLogRegisterBuffer(change, buffer, 0);
    contents(page)->only_usual_rows = 0;
    GenericXLogFinish(change);
    UnlockReleaseBuffer(buffer);
}

store::Shape shape_of(Relation index, const Metapage &metapage) {
    const compat::FileName file = compat::file_name(index);
    store::Shape shape;
    shape.owner.identity = metapage.identity;
    shape.owner.system = GetSystemIdentifier();
    shape.owner.database = file.database;
    shape.owner.relation = file.number;
    shape.owner.file = storage_of(index);
    shape.element = static_cast<distance::Element>(metapage.element);
    // Not the page's: under an earlier version cosine was another's. A folder of that is not taken
    // for this index, and what is built anew is right.
    shape.metric = index_support(index)->metric;
    shape.dimensions = metapage.dimensions;
    shape.m = metapage.m;
    shape.columns = metapage.key_columns;
    shape.ef_construction = metapage.ef_construction;
    shape.segment_bytes = metapage.segment_bytes;
    return shape;
}

}  // namespace dvec::postgres
