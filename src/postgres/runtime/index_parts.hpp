// What the entries of an index take on disk, by what is in them. It follows from their number and
// their layout.
#pragma once

#include "engine/graph/format.hpp"
#include "postgres/runtime/registry.hpp"

namespace dvec::postgres {

// What of an index is in use, as its entry in the registry says.
struct IndexContents {
    graph::Layout layout;
    bool compact;  // codes stand where vectors do (distance/compact.hpp)
    uint64 generation;
    int64 entries, deleted;
    int64 upper_blocks;

    // Entries whose row is there.
    int64 rows() const { return entries > deleted ? entries - deleted : 0; }
};

// Bytes of all entries, those of deleted rows included. Nothing of it is in two parts.
struct PartBytes {
    int64 links;
    int64 codes;
    int64 vectors;
    int64 padding;
    int64 upper;
    int64 columns;

    int64 sum() const { return links + codes + vectors + padding + upper + columns; }
};

// False for an index that is not ready. The caller holds Registry::lock.
bool contents_of(const IndexEntry &entry, IndexContents *contents);

PartBytes part_bytes(const IndexContents &contents);

}  // namespace dvec::postgres
