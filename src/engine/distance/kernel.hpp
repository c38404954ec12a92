// The kernel table: how the graph, the log and the store handle vectors without knowing their type.
//
// To them a vector is a run of bytes of a fixed size and a function that measures two of them. One
// Kernel row supplies both for one pair of element type and metric, so a new element type is a new
// row in the kernel files and no change anywhere else.
//
// This header is seen by the files compiled for one instruction set and therefore must not include
// any C++ library header (kernel_table.hpp says why).
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace dvec::distance {

// Element type of a vector. The numbers are written to disk: never change or reuse one.
enum class Element : uint8_t {
    float32 = 1,
    float16 = 2,         // Half, of half.hpp
    bit = 3,             // eight to a byte; the bits behind the last are 0
    sparse_float32 = 4,  // the run of bytes that sparse.hpp describes
    compact8 = 5,        // the run of bytes that compact.hpp describes, with so many bits
    compact4 = 6,
    compact1 = 7,
    // The same with room for another number of elements, which is a part of the name.
    sparse_16 = 16,
    sparse_32 = 17,
    sparse_64 = 18,
    sparse_128 = 19,
    sparse_192 = 20,
    sparse_256 = 21,
    sparse_384 = 22,
    sparse_512 = 23,
    sparse_768 = 24,
    sparse_1024 = 25,
    sparse_2048 = 26,
    sparse_4096 = 27,
    sparse_8192 = 28,
    sparse_16000 = 29,
};

// What a distance function measures; smaller is always nearer. The numbers are written to disk:
// never change or reuse one.
enum class Metric : uint8_t {
    l2_squared = 1,     // sum of (a[i] - b[i])^2
    inner_product = 2,  // minus the sum of a[i] * b[i]
    l1 = 3,             // sum of |a[i] - b[i]|
    hamming = 4,        // number of bits that differ
    jaccard = 5,        // 1 - bits set in both / bits set in either
    cosine = 6,         // 1 - the cosine of the angle, from the sums of cosine_parts.hpp
};

// Measures two vectors of `dimensions` elements. Any number of dimensions is valid, zero included.
// The vectors need only the alignment of their element (a byte for bits); exactly their bytes are
// read, so either may end at the last byte of a mapped page. Pure and thread-safe. float32.hpp
// describes the rounding.
using DistanceFunction = float (*)(const void *a, const void *b, size_t dimensions);
using WholeDistanceFunction = double (*)(const void *a, const void *b, size_t dimensions);

// Measures one query against four vectors, under the same conditions: distances[i] gets the bits
// that distance(query, vectors[i], dimensions) would have. The query is loaded once for several,
// and streams of memory side by side are fetched faster than one after another. Measured against
// four calls for vectors scattered in memory: 15 to 50 percent less time at 768 and 2048 floats
// with AVX2 and AVX-512, up to a tenth more at 128. For vectors in the cache: up to a third less
// with AVX-512, no gain with AVX2. Codes scattered in memory take 40 to 55 percent less time at 768
// and 2048 elements and about the same time at 128. For codes in the cache, where decoding takes
// most of the time, it is the same within 5 percent, or a tenth more at 128 with AVX2.
using FourDistancesFunction = void (*)(const void *query, const void *const *vectors,
                                       size_t dimensions, float *distances);

// One row. Rows are constants that live as long as the program: a row keeps working, with the code
// of the instruction set it was found for, after another instruction set is selected.
struct Kernel {
    Element element;
    Metric metric;
    DistanceFunction distance;
    FourDistancesFunction four_distances;
    const char *name;  // element, metric and instruction set, for logs and benchmarks
    // The same between a query of this element type and codes of vectors (code.hpp), which may lie
    // at any address; null where there are no codes. The distance is that to what the code stands
    // for, each of whose elements is rounded once or twice before float32.hpp's rounding begins.
    // For cosine it is minus the inner product: lengths are for the caller to divide by.
    DistanceFunction code_distance = nullptr;
    FourDistancesFunction four_code_distances = nullptr;
    // For cosine, between two vectors themselves: also minus the inner product. Where lengths are
    // known, this saves two sums, a root and a division. Null where nothing is saved.
    DistanceFunction product = nullptr;
    FourDistancesFunction four_products = nullptr;
    // Where the metric is finished in double: `distance` is this, rounded to float. Null otherwise.
    WholeDistanceFunction whole = nullptr;
    // What to link nodes by in place of `distance`, or null. It differs from `distance` only for
    // vectors with squares near or beyond the limits of floats: there `distance` returns what the
    // SQL operator returns, and this compares the true directions. NaN when one vector is zero.
    DistanceFunction link = nullptr;
    // In place of `distance`, `four_distances` and `whole`, between a query and the vectors of an
    // index: for compact vectors (compact.hpp, bits_of_queries) and for sparse ones (sparse.hpp,
    // query_capacity). Null for other elements, where queries are as vectors are.
    DistanceFunction query_distance = nullptr;
    FourDistancesFunction four_query_distances = nullptr;
    WholeDistanceFunction query_whole = nullptr;

    // The whole distance that the SQL operator's result is made from. Vectors ordered by it are in
    // the operator's order, ties and NaN included.
    double whole_distance(const void *a, const void *b, size_t dimensions) const;

    // What the SQL operator returns where whole_distance is `whole_value`. This makes no new ties,
    // since the roots of different floats differ in double.
    double operator_value(double whole_value) const;

    DistanceFunction link_distance() const;

    // Bytes of one vector as the distance function reads it, without any padding behind it.
    size_t vector_bytes(size_t dimensions) const;
    // This kernel for searches by a query that is not one of the vectors: it has query_distance, if
    // there is one, as its distance.
    Kernel of_queries() const;
    // Bytes of the first of the two that `distance` measures.
    size_t query_bytes(size_t dimensions) const;

    // Bytes of the code (code.hpp) that goes with a vector in a graph; 0 where a code would save
    // little or there is none. The same under every instruction set.
    size_t vector_code_bytes(size_t dimensions) const;
};

// The row for a pair under the active instruction set (isa.hpp), or nullptr when the pair is
// unknown, as an on-disk number from a newer version may be.
const Kernel *find_kernel(Element element, Metric metric);

}  // namespace dvec::distance
