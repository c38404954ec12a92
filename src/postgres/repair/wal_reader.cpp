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

}  // namespace

TimeLineID timeline_of(XLogSegNo segment) {
    const TimeLineID present = present_timeline();
    XLogRecPtr last;
    XLogSegNoOffsetToRecPtr(segment, wal_segment_size - 1, wal_segment_size, last);
    List *history = readTimeLineHistory(present);
    const TimeLineID timeline = tliOfPointInHistory(last, history);
    list_free_deep(history);
    return timeline;
}

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

}  // namespace dvec::postgres
