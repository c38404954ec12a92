// Conditions that say between which keys a row's must lie.
#pragma once

#include "postgres/keys/key_support.hpp"

namespace dvec::postgres {

// Where a value stands among the keys of a column. Values with a key below `first` are less than
// it, those with a key above `last` are greater.
struct KeyPlace {
    uint64 first;
    uint64 last;
    // Of the keys from `first` to `last`: whether exactly the values that equal this one have them.
    // A value between two keys equals none, and `first` is `last` + 1. Else they may be anything.
    bool exact;
};

inline KeyPlace exactly_at(uint64 key) { return {key, key, key < last_key}; }
inline KeyPlace about_at(uint64 key) { return {key, key, false}; }

KeyCondition no_row();
// All rows but those with NULL; `lossy` when the condition says more than that.
KeyCondition any_value(bool lossy);
KeyCondition only_null();

// For the strategies of btree.
KeyCondition condition_at(uint16 strategy, const KeyPlace &place);

// Of any ranges: sorted, those that touch made one. Takes the array over.
KeyCondition within(KeyRange *ranges, int count, bool lossy);

// Rows that satisfy at least one of the conditions. Kinds that have no union give any_value().
KeyCondition any_of(const KeyCondition *conditions, int count);

}  // namespace dvec::postgres
