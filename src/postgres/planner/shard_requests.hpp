// Asking several foreign scans for a row at once, by the server's interface for plan nodes that do
// (executor/execAsync.h). A request that has been made is waited for before its scan is asked
// anything else.
#pragma once

#include "postgres/bridge/foreign.hpp"

namespace dvec::postgres {

struct ShardRequests;

// For scans numbered from 0, of a query whose memory it is made in.
ShardRequests *make_shard_requests(EState *estate, int count);

// Requests a row of `scan`, which is asynchronous (PlanState::async_capable). It may be there at
// once.
void request_row(ShardRequests *requests, int number, PlanState *scan);

// Waits until all rows that were requested are there.
void await_rows(ShardRequests *requests);

// The row that was requested of a scan last, valid until the next request; null when the scan has
// no more.
TupleTableSlot *requested_row(const ShardRequests *requests, int number);

// Before scans begin again.
void forget_requests(ShardRequests *requests);

}  // namespace dvec::postgres
