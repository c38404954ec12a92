// PartitionMerge, the plan node for the nearest rows of a partitioned table. It merges by the
// distances that index scans know, and has shards, partitions which are foreign tables of
// postgres_fdw, search for as many rows as the query returns, all of them at once where the server
// allows it (async_capable).
//
// The server's MergeAppend has distances computed from the rows of the table, asks one shard after
// the other, and none of them hears of the LIMIT: so each puts all its rows in order, exactly,
// before it sends the first.
#pragma once

namespace dvec::postgres {

// Installs the hook and makes PartitionMerge known.
void partition_merge_init();

}  // namespace dvec::postgres
