// What an operator class for a column behind the vector tells the access method: how values become
// keys, and what a condition says about them. Support function 2 of the class returns a pointer to
// one of these constants; its argument means nothing.
//
// A key is a number of 64 bits that stands for a value in the sidecar. Equal values have equal
// keys; values that are not equal may have the same key as well. A condition on such keys admits
// more rows than it should, says that it is lossy, and the executor checks these rows again. What
// else keys tell, of order or of elements, is between the two functions of a class: nobody else
// reads them.
#pragma once

#include "postgres/bridge/postgres.hpp"

namespace dvec::postgres {

// Number of the support function that returns the KeySupport.
inline constexpr uint16 key_support_function = 2;

// Numbers of the operators in these classes. The first five are those of btree.
enum KeyStrategy : uint16 {
    key_less = 1,
    key_less_equal,
    key_equal,
    key_greater_equal,
    key_greater,
    key_overlaps,
    key_contains,
    key_contained,
    last_key_strategy = key_contained
};

// Stands for NULL and for nothing else.
inline constexpr uint64 null_key = PG_UINT64_MAX;
// The greatest key of a value. Several values may share it for want of a number above.
inline constexpr uint64 last_key = null_key - 1;

constexpr uint64 key_below_null(uint64 key) { return key < last_key ? key : last_key; }

// Inclusive.
struct KeyRange {
    uint64 first;
    uint64 last;
};

// The right side of a condition `column OPERATOR value`. The value is not NULL.
struct KeyArgument {
    uint16 strategy;
    Oid type;  // by the operator's entry in its family
    Oid collation;
    Datum value;
};

// What the keys of rows that satisfy a condition have in common. Plain data in the memory context
// in which it was made. No kind but within_ranges ever admits null_key.
struct KeyCondition {
    enum class Kind : unsigned char {
        within_ranges,     // sorted and disjoint; no row satisfies none
        has_all_bits,      // of the one mask
        has_any_mask,      // all bits of at least one of them
        has_no_other_bits  // than those of the one mask
    };
    Kind kind;
    bool lossy;
    int count;         // of ranges or masks
    KeyRange *ranges;  // of within_ranges
    uint64 *masks;     // of the others
};

// How well keys tell rows that satisfy a condition from those that do not.
enum class KeyPrecision : unsigned char {
    good,
    rough,  // depends on the values: many may look the same
    none
};

struct KeySupport {
    // Both may raise, and use the current memory context.
    uint64 (*key)(Datum value, Oid collation);
    KeyCondition (*condition)(const KeyArgument &argument);
    // Null: good for all conditions.
    KeyPrecision (*precision)(uint16 strategy, Oid collation);
    // Raises where values of a type that the class is for have no keys. Null: all have.
    void (*check_type)(Oid type);
};

}  // namespace dvec::postgres
