// The loops over keys that all instruction sets share, over a register that each of their files
// describes by a type Keys:
//
//     Register                so many keys, `count`
//     load(keys), all(key)    keys from memory; the same key everywhere
//     minus, both             of two registers, key by key
//     at_most, equal          of two registers: a bit for each key, the first lowest
//
// Everything here is static, and Keys local to its file, for the reason that kernel_table.hpp
// gives.
#pragma once

#include "engine/distance/keys.hpp"

namespace dvec::distance {

template <typename Keys, typename Test>
static inline uint64_t test_keys(const uint64_t *keys, Test test) {
    uint64_t word = 0;
    for (unsigned i = 0; i < 64; i += Keys::count) {
        word |= uint64_t{test(Keys::load(keys + i))} << i;
    }
    return word;
}

template <typename Keys>
static uint64_t keys_within(const uint64_t *keys, uint64_t first, uint64_t span) {
    const auto least = Keys::all(first);
    const auto most = Keys::all(span);
    return test_keys<Keys>(keys, [=](typename Keys::Register register_of_keys) {
        return Keys::at_most(Keys::minus(register_of_keys, least), most);
    });
}

template <typename Keys>
static uint64_t keys_matching(const uint64_t *keys, uint64_t cared_for, uint64_t wanted) {
    const auto mask = Keys::all(cared_for);
    const auto value = Keys::all(wanted);
    const auto greatest = Keys::all(UINT64_MAX);
    return test_keys<Keys>(keys, [=](typename Keys::Register register_of_keys) {
        return Keys::equal(Keys::both(register_of_keys, mask), value) &
               ~Keys::equal(register_of_keys, greatest);
    });
}

template <typename Keys>
static constexpr KeyKernels key_kernels_of = {keys_within<Keys>, keys_matching<Keys>};

// The register of instruction sets that have nothing better: a single key.
namespace {
struct OneKey {
    using Register = uint64_t;
    static constexpr unsigned count = 1;

    static uint64_t load(const uint64_t *keys) { return *keys; }
    static uint64_t all(uint64_t key) { return key; }
    static uint64_t minus(uint64_t a, uint64_t b) { return a - b; }
    static uint64_t both(uint64_t a, uint64_t b) { return a & b; }
    static uint64_t at_most(uint64_t a, uint64_t b) { return a <= b; }
    static uint64_t equal(uint64_t a, uint64_t b) { return a == b; }
};
}  // namespace

}  // namespace dvec::distance
