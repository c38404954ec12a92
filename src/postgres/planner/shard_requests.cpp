// The interface knows one kind of node that makes requests, Append: what answers a request, and
// postgres_fdw when it is asked what to wait for, take the requestor for an AppendState. So there
// is one here, of which nothing is used but what these two read and write.
#include "postgres/planner/shard_requests.hpp"

#include <algorithm>

namespace dvec::postgres {

struct ShardRequests {
    AppendState *requestor;
    MemoryContext memory;
    AsyncRequest *requests;
    int count;
};

namespace {

// At most so many shards are noticed at once. They wait for each other no longer by that.
constexpr int most_events = 16;

void free_events(void *argument) {
    auto *requestor = static_cast<AppendState *>(argument);
    if (requestor->as_eventset != nullptr)
        FreeWaitEventSet(requestor->as_eventset);
    requestor->as_eventset = nullptr;
}

// What the server notes of answers for an Append: here each request is looked at itself. What it
// has noted may be in memory that is gone.
void forget_answers(AppendState *requestor) {
    requestor->as_nasyncresults = 0;
    requestor->as_needrequest = nullptr;
}

bool is_any_pending(const ShardRequests *requests) {
    return std::any_of(requests->requests, requests->requests + requests->count,
                       [](const AsyncRequest &request) { return request.callback_pending; });
}

// False: there is nothing to wait for, since rows that were pending are there by now.
bool collect_events(ShardRequests *requests) {
    AppendState *requestor = requests->requestor;
    requestor->as_eventset = compat::new_wait_event_set(requests->memory, requests->count + 2);
    AddWaitEventToSet(requestor->as_eventset, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, nullptr,
                      nullptr);
    for (int number = 0; number < requests->count; ++number)
        if (requests->requests[number].callback_pending)
            ExecAsyncConfigureWait(&requests->requests[number]);
    // Behind the others: postgres_fdw counts the events that are in the set.
    return GetNumRegisteredWaitEvents(requestor->as_eventset) > 1;
}

void wait_for_some(ShardRequests *requests) {
    AppendState *requestor = requests->requestor;
    forget_answers(requestor);
    WaitEvent events[most_events];
    int happened = 0;
    if (collect_events(requests)) {
        AddWaitEventToSet(requestor->as_eventset, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, nullptr);
        happened = WaitEventSetWait(requestor->as_eventset, -1, events, most_events,
                                    WAIT_EVENT_APPEND_READY);
    }
    free_events(requestor);
    for (int number = 0; number < happened; ++number) {
        auto *request = static_cast<AsyncRequest *>(events[number].user_data);
        if ((events[number].events & WL_LATCH_SET) != 0)
            ResetLatch(MyLatch);
        else if ((events[number].events & WL_SOCKET_READABLE) != 0 && request->callback_pending) {
            request->callback_pending = false;
            ExecAsyncNotify(request);
        }
    }
    forget_answers(requestor);
    CHECK_FOR_INTERRUPTS();
}

}  // namespace

ShardRequests *make_shard_requests(EState *estate, int count) {
    MemoryContext caller = MemoryContextSwitchTo(estate->es_query_cxt);
    auto *requests = static_cast<ShardRequests *>(palloc0(sizeof(ShardRequests)));
    const auto size = static_cast<Size>(count);
    requests->requestor = makeNode(AppendState);
    requests->requestor->ps.state = estate;
    requests->requestor->as_nasyncplans = count;
    requests->requestor->as_asyncresults =
        static_cast<TupleTableSlot **>(palloc0(size * sizeof(TupleTableSlot *)));
    requests->memory = estate->es_query_cxt;
    requests->requests = static_cast<AsyncRequest *>(palloc0(size * sizeof(AsyncRequest)));
    requests->count = count;
    // Where an ERROR ends a wait.
    auto *callback = static_cast<MemoryContextCallback *>(palloc0(sizeof(MemoryContextCallback)));
    callback->func = free_events;
    callback->arg = requests->requestor;
    MemoryContextRegisterResetCallback(estate->es_query_cxt, callback);
    MemoryContextSwitchTo(caller);
    return requests;
}

void request_row(ShardRequests *requests, int number, PlanState *scan) {
    forget_answers(requests->requestor);
    AsyncRequest *request = &requests->requests[number];
    request->requestor = &requests->requestor->ps;
    request->requestee = scan;
    request->request_index = number;
    ExecAsyncRequest(request);
}

void await_rows(ShardRequests *requests) {
    while (is_any_pending(requests))
        wait_for_some(requests);
}

TupleTableSlot *requested_row(const ShardRequests *requests, int number) {
    TupleTableSlot *row = requests->requests[number].result;
    return TupIsNull(row) ? nullptr : row;
}

void forget_requests(ShardRequests *requests) {
    for (int number = 0; number < requests->count; ++number)
        requests->requests[number] = AsyncRequest{};
    forget_answers(requests->requestor);
}

}  // namespace dvec::postgres
