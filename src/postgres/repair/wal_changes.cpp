// WAL is a stream of records that pages cut into pieces, each page beginning with a header. See the
// server's access/xlog_internal.h for pages and access/xlogrecord.h for records.
//
// The server may rename an old segment, to be written anew, while it is read here. Whether that has
// happened is looked at after reading: the name leads to another file then.
#include "postgres/repair/wal_changes.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "postgres/bridge/cleanup.hpp"
#include "postgres/repair/wal_reader.hpp"
#include "postgres/runtime/wal.hpp"

namespace dvec::postgres {

namespace {

constexpr uint32 chunk_bytes = 8 * XLOG_BLCKSZ;

// What was read last; whole pages.
alignas(XLogLongPageHeaderData) char chunk[chunk_bytes];

struct Walk {
    XLogRecPtr at;  // the next byte
    XLogRecPtr end;
    XLogRecPtr written;  // nothing is known of what comes later
    uint32 left;         // bytes of the record
    int file;            // of the segment that is open; -1: none
    XLogSegNo segment;
    char path[MAXPGPATH];
    XLogRecPtr chunk_begin;
    XLogRecPtr chunk_end;
    // The record ended before its end: it was cut off by a crash of the server that wrote it, and
    // the next one begins at `at`.
    bool cut;
};

// ---- Segments and pages -----------------------------------------------------------------------

bool still_has_its_name(const Walk &walk) {
    struct stat opened;
    struct stat named;
    return fstat(walk.file, &opened) == 0 && stat(walk.path, &named) == 0 &&
           opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

// Whether what was read of the segment was the segment's.
bool close_segment(Walk *walk) {
    if (walk->file < 0)
        return true;
    const bool sound = still_has_its_name(*walk);
    close(walk->file);
    walk->file = -1;
    return sound;
}

bool open_segment(Walk *walk, XLogSegNo segment) {
    if (walk->file >= 0 && walk->segment == segment)
        return true;
    if (!close_segment(walk))
        return false;
    XLogFilePath(walk->path, timeline_of(segment), segment, wal_segment_size);
    walk->file = BasicOpenFile(walk->path, O_RDONLY | PG_BINARY);
    walk->segment = segment;
    return walk->file >= 0;
}

const XLogPageHeaderData *header_at(const Walk &walk, XLogRecPtr page) {
    return reinterpret_cast<const XLogPageHeaderData *>(chunk + (page - walk.chunk_begin));
}

// Whether it is the page that belongs there. Those behind a switch of segments have no header, but
// nobody comes to them.
bool is_sound(const Walk &walk, XLogRecPtr page) {
    return header_at(walk, page)->xlp_magic == XLOG_PAGE_MAGIC &&
           header_at(walk, page)->xlp_pageaddr == page;
}

// Reads the page and some that follow it, as far as they have been written.
bool load(Walk *walk, XLogRecPtr page) {
    if (page >= walk->chunk_begin && page < walk->chunk_end)
        return is_sound(*walk, page);
    XLogSegNo segment;
    XLByteToSeg(page, segment, wal_segment_size);
    if (!open_segment(walk, segment))
        return false;
    const uint32 offset = XLogSegmentOffset(page, wal_segment_size);
    const XLogRecPtr pages_end = (walk->written + XLOG_BLCKSZ - 1) / XLOG_BLCKSZ * XLOG_BLCKSZ;
    const uint64 wanted = std::min<uint64>(
        {chunk_bytes, static_cast<uint64>(wal_segment_size) - offset, pages_end - page});
    walk->chunk_begin = walk->chunk_end = page;
    if (page >= pages_end ||
        pread(walk->file, chunk, wanted, offset) != static_cast<ssize_t>(wanted))
        return false;
    walk->chunk_end = page + wanted;
    return is_sound(*walk, page);
}

enum class Within : unsigned char { record, gap };

// At the begin of a page: passes its header over.
bool enter_page(Walk *walk, Within within) {
    if (!load(walk, walk->at))
        return false;
    const XLogPageHeaderData *header = header_at(*walk, walk->at);
    const uint16 info = header->xlp_info;
    walk->at += XLogPageHeaderSize(header);
    walk->cut = within == Within::record && (info & XLP_FIRST_IS_OVERWRITE_CONTRECORD) != 0;
    const bool goes_on = (info & XLP_FIRST_IS_CONTRECORD) != 0;
    return !walk->cut && goes_on == (within == Within::record);
}

// The next bytes of a record, to `to` unless it is null.
bool take(Walk *walk, void *to, uint32 count) {
    auto *target = static_cast<char *>(to);
    if (count > walk->left)
        return false;
    walk->left -= count;
    while (count > 0) {
        if (walk->at % XLOG_BLCKSZ == 0 && !enter_page(walk, Within::record))
            return false;
        const auto offset = static_cast<uint32>(walk->at % XLOG_BLCKSZ);
        const uint32 part = std::min<uint32>(count, XLOG_BLCKSZ - offset);
        if (target != nullptr) {
            if (!load(walk, walk->at - offset))
                return false;
            std::memcpy(target, chunk + (walk->at - walk->chunk_begin), part);
            target += part;
        }
        walk->at += part;
        count -= part;
    }
    return true;
}

template <class Value>
bool take(Walk *walk, Value *value) {
    return take(walk, value, sizeof(Value));
}

// ---- Records ----------------------------------------------------------------------------------

enum class Effect : unsigned char { none, come, go };

Effect effect_on_heap(uint8 info, uint8 block) {
    switch (info & XLOG_HEAP_OPMASK) {
        case XLOG_HEAP_INSERT:
            return Effect::come;
        case XLOG_HEAP_UPDATE:  // block 1 is the old version's
            return block == 0 ? Effect::come : Effect::none;
        default:
            return Effect::none;
    }
}

Effect effect_on_heap2(uint8 info) {
    switch (info & XLOG_HEAP_OPMASK) {
        case XLOG_HEAP2_MULTI_INSERT:
            return Effect::come;
        case compat::heap_vacuumed:
            return Effect::go;
        default:
            return Effect::none;
    }
}

Effect effect_of(const XLogRecord &record, uint8 block) {
    const auto info = static_cast<uint8>(record.xl_info & ~XLR_INFO_MASK);
    switch (record.xl_rmid) {
        case RM_HEAP_ID:
            return effect_on_heap(info, block);
        case RM_HEAP2_ID:
            return effect_on_heap2(info);
        case RM_XLOG_ID:
            return info == XLOG_FPI_FOR_HINT ? Effect::none : Effect::come;
        default:
            return Effect::come;
    }
}

// As WAL names a file.
struct NamedFile {
    Oid tablespace;
    Oid database;
    Oid number;
};

// What a record says of itself before its data.
struct Heads {
    XLogRecord record;
    uint32 block_data;
    uint32 main_data;
    NamedFile file;  // of the last block that named one
    int count;
    RowChange changes[XLR_MAX_BLOCK_ID + 1];
};

bool take_image(Walk *walk, Heads *heads) {
    uint16 length;
    uint16 hole_offset;
    uint8 info;
    uint16 hole_length;
    if (!take(walk, &length) || !take(walk, &hole_offset) || !take(walk, &info))
        return false;
    heads->block_data += length;
    return (info & BKPIMAGE_HAS_HOLE) == 0 || !BKPIMAGE_COMPRESSED(info) ||
           take(walk, &hole_length);
}

bool take_block(Walk *walk, uint8 block, Heads *heads) {
    uint8 flags;
    uint16 length;
    BlockNumber page;
    if (!take(walk, &flags) || !take(walk, &length))
        return false;
    heads->block_data += length;
    if ((flags & BKPBLOCK_HAS_IMAGE) != 0 && !take_image(walk, heads))
        return false;
    if ((flags & BKPBLOCK_SAME_REL) == 0 && !take(walk, &heads->file))
        return false;
    if (!take(walk, &page))
        return false;
    const Effect effect = effect_of(heads->record, block);
    if ((flags & BKPBLOCK_FORK_MASK) != MAIN_FORKNUM || effect == Effect::none)
        return true;
    const auto kind = effect == Effect::go ? RowChange::Kind::go : RowChange::Kind::come;
    heads->changes[heads->count++] = {
        kind,
        FirstOffsetNumber,
        page,
        {heads->file.tablespace, heads->file.database, heads->file.number, InvalidBackendId}};
    return true;
}

// Whether more heads may follow; false in *sound when this was none.
bool take_head(Walk *walk, Heads *heads, bool *sound) {
    uint8 id;
    uint8 length;
    *sound = take(walk, &id);
    if (!*sound)
        return false;
    switch (id) {
        case XLR_BLOCK_ID_DATA_SHORT:
            *sound = take(walk, &length);
            heads->main_data = length;
            return false;
        case XLR_BLOCK_ID_DATA_LONG:
            *sound = take(walk, &heads->main_data);
            return false;
        case XLR_BLOCK_ID_ORIGIN:
            *sound = take(walk, nullptr, sizeof(RepOriginId));
            return *sound;
        case XLR_BLOCK_ID_TOPLEVEL_XID:
            *sound = take(walk, nullptr, sizeof(TransactionId));
            return *sound;
        default:
            *sound = id <= XLR_MAX_BLOCK_ID && heads->count <= XLR_MAX_BLOCK_ID &&
                     take_block(walk, id, heads);
            return *sound;
    }
}

// What is left of the record then is its data.
bool take_heads(Walk *walk, Heads *heads) {
    bool sound = true;
    while (walk->left > heads->block_data && take_head(walk, heads, &sound)) {
    }
    return sound && walk->left == heads->block_data + heads->main_data;
}

// The lowest line pointer that a row was put at, from the main data of a record that adds rows to a
// heap, as much as there is of it.
OffsetNumber lowest_in(const XLogRecord &record, const char *data, uint32 length) {
    const auto at = [=](std::size_t offset) {
        OffsetNumber value = FirstOffsetNumber;
        if (offset + sizeof(value) <= length)
            std::memcpy(&value, data + offset, sizeof(value));
        return value;
    };
    if (record.xl_rmid == RM_HEAP_ID)
        return (record.xl_info & XLOG_HEAP_OPMASK) == XLOG_HEAP_INSERT
                   ? at(offsetof(xl_heap_insert, offnum))
                   : at(offsetof(xl_heap_update, new_offnum));
    // Rows on a page of their own are counted only.
    if ((record.xl_info & XLOG_HEAP_INIT_PAGE) != 0)
        return FirstOffsetNumber;
    OffsetNumber lowest = MaxOffsetNumber;
    const OffsetNumber count = at(offsetof(xl_heap_multi_insert, ntuples));
    for (OffsetNumber i = 0; i < count; ++i)
        lowest = std::min(lowest,
                          at(offsetof(xl_heap_multi_insert, offsets) + i * sizeof(OffsetNumber)));
    return lowest;
}

bool adds_rows_to_heap(const Heads &heads) {
    const uint8 manager = heads.record.xl_rmid;
    return heads.count > 0 && (manager == RM_HEAP_ID || manager == RM_HEAP2_ID) &&
           heads.changes[0].kind == RowChange::Kind::come;
}

bool take_data(Walk *walk, Heads *heads) {
    if (!take(walk, nullptr, heads->block_data))
        return false;
    if (adds_rows_to_heap(*heads)) {
        // Enough for as many rows as fit on a page.
        char data[sizeof(xl_heap_multi_insert) + MaxHeapTuplesPerPage * sizeof(OffsetNumber)];
        const uint32 length = std::min<uint32>(heads->main_data, sizeof(data));
        if (!take(walk, data, length))
            return false;
        heads->changes[0].from = lowest_in(heads->record, data, length);
    }
    return take(walk, nullptr, walk->left);
}

// The rest of the segment is empty.
bool ends_segment(const XLogRecord &record) {
    return record.xl_rmid == RM_XLOG_ID && (record.xl_info & ~XLR_INFO_MASK) == XLOG_SWITCH;
}

bool take_record(Walk *walk, Heads *heads) {
    heads->block_data = heads->main_data = 0;
    heads->count = 0;
    walk->left = SizeOfXLogRecord;
    if ((walk->at % XLOG_BLCKSZ == 0 && !enter_page(walk, Within::gap)) ||
        !take(walk, &heads->record, SizeOfXLogRecord) ||
        heads->record.xl_tot_len < SizeOfXLogRecord)
        return false;
    walk->left = heads->record.xl_tot_len - static_cast<uint32>(SizeOfXLogRecord);
    if (!take_heads(walk, heads) || !take_data(walk, heads))
        return false;
    walk->at = MAXALIGN64(walk->at);
    if (ends_segment(heads->record) && XLogSegmentOffset(walk->at, wal_segment_size) != 0)
        walk->at +=
            static_cast<uint64>(wal_segment_size) - XLogSegmentOffset(walk->at, wal_segment_size);
    return true;
}

bool read_all(Walk *walk, void (*visit)(const RowChange &, void *), void *argument) {
    static Heads heads;
    while (walk->at < walk->end) {
        walk->cut = false;
        if (!take_record(walk, &heads)) {
            if (walk->cut)
                continue;
            return false;
        }
        for (int i = 0; i < heads.count; ++i)
            visit(heads.changes[i], argument);
    }
    return true;
}

}  // namespace

XLogRecPtr read_changes(XLogRecPtr begin, XLogRecPtr end,
                        void (*visit)(const RowChange &change, void *argument), void *argument) {
    Walk walk{};
    walk.at = begin;
    walk.end = end;
    // A record may begin before the end and end far behind it.
    walk.written = std::max<XLogRecPtr>(end, replay_position());
    walk.file = -1;
    bool sound = false;
    // A timeline's history may not be readable.
    const PendingError error = caught([&] { sound = read_all(&walk, visit, argument); });
    sound = close_segment(&walk) && sound && !error;
    if (!sound)
        ereport(DEBUG1,
                (errmsg_internal("dvec: could not read WAL at %X/%X: %s",
                                 static_cast<uint32>(walk.at >> 32), static_cast<uint32>(walk.at),
                                 error ? error.message : "it is not there any more")));
    return sound ? walk.at : InvalidXLogRecPtr;
}

}  // namespace dvec::postgres
