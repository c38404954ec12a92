#include "postgres/repair/wal_reader.hpp"

#include <sys/stat.h>

namespace dvec::postgres {

namespace {

TimeLineID present_timeline() {
    if (!RecoveryInProgress())
        return GetWALInsertionTimeLine();
    TimeLineID timeline = 0;
    (void)GetXLogReplayRecPtr(&timeline);
    return timeline;
}

// A segment in which the timeline changes is read on the later one, as the server's reader does.
TimeLineID timeline_of(XLogSegNo segment) {
    const TimeLineID present = present_timeline();
    XLogRecPtr last;
    XLogSegNoOffsetToRecPtr(segment, wal_segment_size - 1, wal_segment_size, last);
    List *history = readTimeLineHistory(present);
    const TimeLineID timeline = tliOfPointInHistory(last, history);
    list_free_deep(history);
    return timeline;
}

struct Reading {
    XLogRecPtr begin;
    XLogRecPtr end;
    void (*visit)(XLogReaderState *, void *);
    void *argument;
    XLogRecPtr reached;
};

void read_records(XLogReaderState *reader, Reading *reading) {
    XLogBeginRead(reader, reading->begin);
    char *problem = nullptr;
    while (XLogReadRecord(reader, &problem) != nullptr) {
        reading->visit(reader, reading->argument);
        if (reader->EndRecPtr < reading->end)
            continue;
        reading->reached = reader->EndRecPtr;
        return;
    }
}

}  // namespace

XLogReaderState *open_wal_reader(ReadLocalXLogPageNoWaitPrivate *end) {
    XLogReaderRoutine routine{};
    routine.page_read = read_local_xlog_page_no_wait;
    routine.segment_open = wal_segment_open;
    routine.segment_close = wal_segment_close;
    return XLogReaderAllocate(wal_segment_size, nullptr, &routine, end);
}

bool wal_is_there(XLogRecPtr position) {
    XLogSegNo segment;
    XLByteToSeg(position, segment, wal_segment_size);
    char path[MAXPGPATH];
    XLogFilePath(path, timeline_of(segment), segment, wal_segment_size);
    struct stat info;
    return stat(path, &info) == 0;
}

XLogRecPtr read_wal(XLogRecPtr begin, XLogRecPtr end,
                    void (*visit)(XLogReaderState *record, void *argument), void *argument) {
    if (begin >= end)
        return begin;
    Reading reading{begin, end, visit, argument, InvalidXLogRecPtr};
    // A segment that is gone is an ERROR of the server's.
    const PendingError error = caught([&reading] {
        with_wal_reader([&reading](XLogReaderState *reader) { read_records(reader, &reading); });
    });
    if (error)
        ereport(DEBUG1, (errmsg_internal("dvec: could not read WAL: %s", error.message)));
    return error ? InvalidXLogRecPtr : reading.reached;
}

}  // namespace dvec::postgres
