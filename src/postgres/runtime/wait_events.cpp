// The server has room for 128 names. They are asked for while it starts, when nobody can have taken
// many: later a wait would fail with an ERROR for want of a name.
#include "postgres/runtime/wait_events.hpp"

#include "postgres/runtime/registry.hpp"

namespace dvec::postgres {

namespace {

constexpr const char *names[wait_kinds] = {"DvecLock",    "DvecOpening",    "DvecEntry",
                                           "DvecLinking", "DvecCompaction", "DvecCheckpoint",
                                           "DvecBuild",   "DvecLogSync",    "DvecWorkerMain"};

}  // namespace

WaitEvents name_wait_events() {
    WaitEvents events;
    for (std::size_t i = 0; i < wait_kinds; ++i)
        events.numbers[i] = compat::new_wait_event(names[i]);
    return events;
}

uint32 wait_event(WaitFor what) noexcept {
    return registry()->wait_events.numbers[static_cast<std::size_t>(what)];
}

}  // namespace dvec::postgres
