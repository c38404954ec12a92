// Distances of bit strings for callers that know the type of their vectors, such as the SQL
// operators.
//
// A string is (bits + 7) / 8 bytes at any address. The bits of the last byte that do not belong to
// the string are 0; the order of the bits in a byte makes no difference. Counts are exact under
// every instruction set. Pure and thread-safe.
//
// The rows of the kernel table return the same distances as floats: exact for Hamming distances
// below 2^24, and the nearest float for Jaccard distances, for which the rows return the whole
// distance, too.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/distance/bit_overlap.hpp"

namespace dvec::distance {

// How many bits differ.
std::uint64_t hamming_distance(const void *a, const void *b, std::size_t bits);

// What the Jaccard distance is made of.
BitOverlap bit_overlap(const void *a, const void *b, std::size_t bits);

}  // namespace dvec::distance
