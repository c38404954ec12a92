// What the planner tells the executor about a PartitionMerge: how a CustomScan carries it.
#pragma once

#include "postgres/bridge/executor.hpp"

namespace dvec::postgres {

inline constexpr char partition_merge_name[] = "PartitionMerge";

// CustomScan::custom_private: the keys that rows are merged by, each list with an element for each.
enum PartitionMergePrivate : int {
    key_columns,    // numbers of columns of the children, from 1
    key_operators,  // that sort them
    key_collations,
    key_nulls_first,  // 0 or 1
    key_lists,
    // Not of keys: the numbers, from 0, of the children whose first key is not in their column but
    // the distance of their index scan.
    children_by_index = key_lists,
};

bool is_partition_merge(const Plan *plan);

// Of a finished plan whose node nobody reads the first key's column of, which is a distance: has it
// taken from the index scans among the children, instead of computed from rows of their tables.
void merge_by_indexes(CustomScan *scan);

// partition_merge.cpp: the executor's side.
extern const CustomScanMethods partition_merge_methods;

}  // namespace dvec::postgres
