// What the planner tells the executor about a ShardMerge: how a CustomScan carries it.
#pragma once

#include "postgres/bridge/executor.hpp"

namespace dvec::postgres {

inline constexpr char shard_merge_name[] = "ShardMerge";

// CustomScan::custom_private: the keys that rows are merged by, each list with an element for each.
enum ShardMergePrivate : int {
    key_columns,    // numbers of columns of the children, from 1
    key_operators,  // that sort them
    key_collations,
    key_nulls_first,  // 0 or 1
    shard_merge_parts
};

// shard_merge.cpp: the executor's side.
extern const CustomScanMethods shard_merge_methods;

}  // namespace dvec::postgres
