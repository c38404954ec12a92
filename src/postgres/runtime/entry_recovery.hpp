// The steps by which the files of an index are made usable for all processes. The process that
// takes them has exclusive use of the entry: it is being opened (opening.cpp) or repaired
// (repair/repair_index).
#pragma once

#include "engine/store/recovery.hpp"
#include "postgres/runtime/registry.hpp"
#include "postgres/runtime/repair_state.hpp"

namespace dvec::postgres {

void set_shape(IndexEntry *entry, const store::Shape &shape, const Life &life);
void note_opening(IndexEntry *entry, const OpeningRecord &opening);

// From now on, writes by processes that have the index open are refused, so that they have to open
// it again. The entry must not be ready, and must belong to the caller. Waits for writes in
// progress (SharedLock::lock).
void end_incarnation(IndexEntry *entry);

// The same, and resets the shared state of the index to that of an index that nobody has opened.
void reset_shared_state(IndexEntry *entry);

// A store::StartReport as plain data.
struct StartSummary {
    store::Start start;
    Repair repair;
    int64 records;
    int64 dropped;
    int64 damaged;
    char reason[256];
    struct {
        char file[128];
        char reason[128];
        uint64 offset;
        uint64 bytes;
    } first_damage;
};

// Recovers the index from its checkpoint and log. Raises on failure.
StartSummary recover_files(IndexEntry *entry);

// "1663/5/16384": how messages name an index whose catalog entry may be out of reach.
struct IndexName {
    char text[48];
};

IndexName name_of(const IndexEntry *entry);

void report_damage(const StartSummary &summary);
// `repaired` is null for an index that needed no repair.
void report_opening(const IndexEntry *entry, const RepairResult *repaired);

}  // namespace dvec::postgres
