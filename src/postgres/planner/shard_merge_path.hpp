// ShardMerge, the plan node for the nearest rows of a partitioned table that has shards: partitions
// which are foreign tables of postgres_fdw.
//
// The server's MergeAppend asks one shard after the other, and none of them hears of the LIMIT: so
// each puts all its rows in order, exactly, before it sends the first. ShardMerge has each shard
// search for as many rows as the query returns, all of them at once where the server allows it
// (async_capable), and merges what comes with the rows of partitions that are here.
#pragma once

namespace dvec::postgres {

// Installs the hook and makes ShardMerge known.
void shard_merge_init();

}  // namespace dvec::postgres
