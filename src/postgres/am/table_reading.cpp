#include "postgres/am/table_reading.hpp"

#include "postgres/am/scan_state.hpp"
#include "postgres/am/values_ahead.hpp"

namespace dvec::postgres {

void TableReading::begin(graph::Tid first) {
    const MemoryContext caller = MemoryContextSwitchTo(context_);
    reader_ = HeapRowReader::open(scan_);
    MemoryContextSwitchTo(caller);
    fetch_values_ahead(reader_, *search_, first, rows_of_last_scan() + in_addition_);
}

bool TableReading::measure(graph::Tid tid, double *distance) {
    if (reader_ == nullptr)
        begin(tid);
    ++rows_read_;
    return reader_->measure(tid, distance);
}

}  // namespace dvec::postgres
