// Reads the server's own WAL, as far as it was written, or on a standby replayed.
#pragma once

#include "postgres/bridge/cleanup.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/bridge/wal.hpp"
#include "postgres/runtime/registry.hpp"

namespace dvec::postgres {

// The timeline on which a segment is to be read: where it changes within one, the later, as the
// server's reader does. May raise.
TimeLineID timeline_of(XLogSegNo segment);

// Whether the segment of this position is in pg_wal, on the server's own timeline or on one that it
// came from. The server's checkpoints may remove it at any moment.
bool wal_is_there(XLogRecPtr position);

// Null where there is no memory for one.
XLogReaderState *open_wal_reader(ReadLocalXLogPageNoWaitPrivate *end);

// Calls `read` with a reader, which it then frees, also when `read` raises; not at all where there
// is none. The reader's private_data is a ReadLocalXLogPageNoWaitPrivate.
template <class Read>
void with_wal_reader(Read read) {
    ReadLocalXLogPageNoWaitPrivate end{};
    XLogReaderState *reader = open_wal_reader(&end);
    if (reader != nullptr)
        with_last([&] { read(reader); }, [&] { XLogReaderFree(reader); });
}

// Calls `visit` with the file and the number of each page of a main fork that a record names.
template <class Visit>
void for_each_page(XLogReaderState *record, Visit visit) {
    for (int block = 0; block <= XLogRecMaxBlockId(record); ++block) {
        IndexFile file;
        BlockNumber page;
        if (compat::names_page(record, static_cast<uint8>(block), &file, &page))
            visit(file, page);
    }
}

}  // namespace dvec::postgres
