// The reference kernels: portable C++, what every other instruction set is tested against, and what
// runs where there is none.
//
// Sums are kept in eight lanes rather than one, element i going to lane i mod 8. That bounds the
// rounding error as float32.hpp promises, and compilers turn it into whatever vector registers the
// base architecture has.
#include "engine/distance/kernel_table.hpp"

namespace dvec::distance {

namespace {

constexpr size_t lanes = 8;

struct SquaredDifference {
    static float of(float a, float b) {
        const float difference = a - b;
        return difference * difference;
    }

    static float distance(float sum) { return sum; }
};

struct Product {
    static float of(float a, float b) { return a * b; }

    static float distance(float sum) { return -sum; }
};

struct WideProduct {
    static double of(float a, float b) { return static_cast<double>(a) * static_cast<double>(b); }
};

struct AbsoluteDifference {
    static float of(float a, float b) { return __builtin_fabsf(a - b); }

    static float distance(float sum) { return sum; }
};

template <typename Term, typename Real = float>
Real sum_of_terms(const void *a_bytes, const void *b_bytes, size_t dimensions) {
    const float *a = static_cast<const float *>(a_bytes);
    const float *b = static_cast<const float *>(b_bytes);
    Real sums[lanes] = {};
    size_t i = 0;
    for (; i + lanes <= dimensions; i += lanes) {
        for (size_t lane = 0; lane < lanes; ++lane) {
            sums[lane] += Term::of(a[i + lane], b[i + lane]);
        }
    }
    for (size_t lane = 0; i + lane < dimensions; ++lane) {
        sums[lane] += Term::of(a[i + lane], b[i + lane]);
    }
    const Real even = (sums[0] + sums[4]) + (sums[2] + sums[6]);
    const Real odd = (sums[1] + sums[5]) + (sums[3] + sums[7]);
    return even + odd;
}

template <typename Term>
float distance(const void *a, const void *b, size_t dimensions) {
    return Term::distance(sum_of_terms<Term>(a, b, dimensions));
}

template <typename Term>
void four_distances(const void *query, const void *const *vectors, size_t dimensions,
                    float *distances) {
    for (size_t i = 0; i < 4; ++i) {
        distances[i] = distance<Term>(query, vectors[i], dimensions);
    }
}

// Three passes over vectors that the first of them brings into the cache: the reference has to be
// plain, and all three sums rounded alike.
CosineParts cosine_parts(const float *a, const float *b, size_t dimensions) {
    return {sum_of_terms<Product>(a, b, dimensions), sum_of_terms<Product>(a, a, dimensions),
            sum_of_terms<Product>(b, b, dimensions)};
}

double squared_norm(const float *a, size_t dimensions) {
    return sum_of_terms<WideProduct, double>(a, a, dimensions);
}

constexpr Kernel rows[] = {
    {Element::float32, Metric::l2_squared, 32, distance<SquaredDifference>,
     four_distances<SquaredDifference>, "float32 l2_squared scalar"},
    {Element::float32, Metric::inner_product, 32, distance<Product>, four_distances<Product>,
     "float32 inner_product scalar"},
    {Element::float32, Metric::l1, 32, distance<AbsoluteDifference>,
     four_distances<AbsoluteDifference>, "float32 l1 scalar"},
};

}  // namespace

const KernelTable scalar_table = {
    rows,
    sizeof(rows) / sizeof(rows[0]),
    distance<SquaredDifference>,
    distance<Product>,
    distance<AbsoluteDifference>,
    cosine_parts,
    squared_norm,
};

}  // namespace dvec::distance
