// Old WAL is removed by the server's checkpoints, which know nothing of us. So the first segment is
// looked for before anything is read; should it be removed in just that moment, reading fails with
// an ERROR and the repair is tried again.
#include "postgres/repair/changed_pages.hpp"

#include "postgres/bridge/cleanup.hpp"
#include "postgres/bridge/wal.hpp"
#include "postgres/repair/wal_reader.hpp"
#include "postgres/runtime/registry.hpp"
#include "postgres/runtime/wal.hpp"

namespace dvec::postgres {

namespace {

bool is_worth_reading(XLogRecPtr since, XLogRecPtr end, BlockNumber pages) {
    return since <= end && end - since < uint64{pages} * BLCKSZ;
}

void add_pages(PageSet *set, XLogReaderState *reader, Relation heap) {
    const IndexFile wanted = compat::file_name(heap);
    for_each_page(reader, [=](const IndexFile &file, BlockNumber page) {
        if (file == wanted)
            set->add(page);
    });
}

// Whether everything up to the end of WAL was read.
bool read_all(PageSet *set, XLogReaderState *reader, Relation heap, XLogRecPtr since) {
    const auto *end = static_cast<ReadLocalXLogPageNoWaitPrivate *>(reader->private_data);
    if (XLogRecPtrIsInvalid(XLogFindNextRecord(reader, since)))
        return end->end_of_wal;
    char *problem = nullptr;
    while (XLogReadRecord(reader, &problem) != nullptr) {
        CHECK_FOR_INTERRUPTS();
        add_pages(set, reader, heap);
    }
    return end->end_of_wal;
}

}  // namespace

PageSet *PageSet::make(BlockNumber pages) {
    auto *set = static_cast<PageSet *>(palloc_extended(offsetof(PageSet, bits_) + pages / 8 + 1,
                                                       MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
    set->pages_ = pages;
    return set;
}

bool has_lsn_since(Relation heap, BlockNumber page, XLogRecPtr since,
                   BufferAccessStrategy strategy) {
    Buffer buffer = ReadBufferExtended(heap, MAIN_FORKNUM, page, RBM_NORMAL, strategy);
    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    const Page found = BufferGetPage(buffer);
    const bool changed = PageIsNew(found) || PageGetLSN(found) >= since;
    UnlockReleaseBuffer(buffer);
    return changed;
}

const PageSet *pages_changed_in_wal(Relation heap, XLogRecPtr since, BlockNumber pages) {
    flush_wal();
    if (!is_worth_reading(since, GetFlushRecPtr(nullptr), pages) || !wal_is_there(since))
        return nullptr;
    PageSet *set = PageSet::make(pages);
    bool complete = false;
    with_wal_reader(
        [&](XLogReaderState *reader) { complete = read_all(set, reader, heap, since); });
    elog(DEBUG1, "dvec: changed pages %s in WAL since %X/%X", complete ? "found" : "not found",
         static_cast<uint32>(since >> 32), static_cast<uint32>(since));
    return complete ? set : nullptr;
}

}  // namespace dvec::postgres
