// The one page an index has in PostgreSQL's own storage. It is under PostgreSQL's WAL, replicated,
// backed up and copied like any page, and says what the index is and which sidecar folder is its
// own.
#pragma once

#include "engine/store/description.hpp"
#include "postgres/bridge/access_method.hpp"

namespace dvec::postgres {

inline constexpr uint32 metapage_magic = 0x4D435644;  // "DVCM"
inline constexpr uint32 metapage_version = 1;

struct Metapage {
    uint32 magic;
    uint32 version;
    // Random; 0 in the init fork of an unlogged index, which no sidecar matches.
    uint64 identity;
    uint64 segment_bytes;
    uint32 dimensions;
    uint16 m;
    uint16 ef_construction;
    uint8 element;
    uint8 metric;
    // 1 until the index meets a row that is_usual() denies; 0 in an index made before this was
    // kept.
    uint8 only_usual_rows;
    uint8 key_columns;  // behind the vector; 0 in an index made before there were any
    uint8 unused[4];
};
static_assert(sizeof(Metapage) == 40);

enum class WithIdentity : bool { no, yes };

// Describes a new index: its opclass, options and column decide. Raises when the column cannot be
// indexed (no dimensions, or too many).
Metapage new_metapage(Relation index, WithIdentity with_identity);

// Writes block 0 of an empty fork, WAL-logged where the relation is.
void write_metapage(Relation index, ForkNumber fork, const Metapage &metapage);

// Reads and checks it. Raises XX002 when it is not a metapage, 0A000 for a newer version. An index
// that lost its identity (unlogged, after a crash) gets a new one first.
Metapage read_metapage(Relation index);

// Whether every row of the table that ever came to this index was a usual one (usual_rows.hpp).
bool has_only_usual_rows(Relation index);
// The index has met another one. Returns when that is in shared buffers, and in WAL where it must
// be: a transaction that does this before it commits has it seen by everyone who sees its row.
void note_unusual_row(Relation index);

store::Shape shape_of(Relation index, const Metapage &metapage);

}  // namespace dvec::postgres
