// Merges of two sorted lists. Sparse vectors usually have few indices in common, so a merge is a
// chain of comparisons that wider registers cannot speed up; the same kernels serve every
// instruction set.
#include "engine/distance/sparse.hpp"

#include <cmath>

#include "engine/distance/kernel_table.hpp"

namespace dvec::distance {

namespace {

struct SquaredDifference {
    static float of(float a, float b) { return (a - b) * (a - b); }
    static float alone(float value) { return value * value; }
};

struct AbsoluteDifference {
    static float of(float a, float b) { return std::fabs(a - b); }
    static float alone(float value) { return std::fabs(value); }
};

// Every element of either vector adds a term.
template <typename Term>
float sum_of_union(const SparseView &a, const SparseView &b) {
    float sum = 0;
    std::size_t i = 0;
    std::size_t j = 0;
    while (i < a.count && j < b.count) {
        if (a.indices[i] == b.indices[j]) {
            sum += Term::of(a.values[i++], b.values[j++]);
        } else if (a.indices[i] < b.indices[j]) {
            sum += Term::alone(a.values[i++]);
        } else {
            sum += Term::alone(b.values[j++]);
        }
    }
    for (; i < a.count; ++i) {
        sum += Term::alone(a.values[i]);
    }
    for (; j < b.count; ++j) {
        sum += Term::alone(b.values[j]);
    }
    return sum;
}

using ViewDistance = float (*)(const SparseView &, const SparseView &);

template <ViewDistance measure>
float distance(const void *a, const void *b, size_t dimensions) {
    const std::size_t most = indexed_capacity(dimensions);
    return measure(SparseView::of(a, most), SparseView::of(b, most));
}

float negative_inner_product(const SparseView &a, const SparseView &b) {
    return -inner_product(a, b);
}

// With the norms that the heads hold, a merge is all there is to compute.
CosineParts parts(const void *a, const void *b, size_t dimensions) {
    const std::size_t most = indexed_capacity(dimensions);
    return {inner_product(SparseView::of(a, most), SparseView::of(b, most)),
            static_cast<const SparseHead *>(a)->squared_norm,
            static_cast<const SparseHead *>(b)->squared_norm};
}

double whole_cosine(const void *a, const void *b, size_t dimensions) {
    return cosine_distance(parts(a, b, dimensions));
}

float cosine(const void *a, const void *b, size_t dimensions) {
    return static_cast<float>(whole_cosine(a, b, dimensions));
}

// As distance_of_directions() of dense vectors does it (cosine.cpp).
double distance_of_directions(const SparseView &a, const SparseView &b) {
    const auto squares = [](const SparseView &view) {
        double sum = 0;
        for (std::size_t i = 0; i < view.count; ++i)
            sum += double{view.values[i]} * double{view.values[i]};
        return sum;
    };
    double dot = 0;
    for (std::size_t i = 0, j = 0; i < a.count && j < b.count;) {
        const std::int32_t left = a.indices[i];
        const std::int32_t right = b.indices[j];
        if (left == right)
            dot += double{a.values[i]} * double{b.values[j]};
        i += left <= right;
        j += right <= left;
    }
    return 1 - clamp_cosine(dot / (std::sqrt(squares(a)) * std::sqrt(squares(b))));
}

float direction(const void *a, const void *b, size_t dimensions) {
    const CosineParts sums = parts(a, b, dimensions);
    if (far_from_limits(sums.squared_norm_a) && far_from_limits(sums.squared_norm_b))
        return static_cast<float>(cosine_distance(sums));
    const std::size_t most = indexed_capacity(dimensions);
    return static_cast<float>(
        distance_of_directions(SparseView::of(a, most), SparseView::of(b, most)));
}

template <ViewDistance measure>
constexpr Kernel row(Metric metric, const char *name) {
    return {Element::sparse_float32, metric, distance<measure>, four_by_one<distance<measure>>,
            name};
}

constexpr Kernel rows[] = {
    row<l2_squared>(Metric::l2_squared, "sparse_float32 l2_squared"),
    row<negative_inner_product>(Metric::inner_product, "sparse_float32 inner_product"),
    row<l1>(Metric::l1, "sparse_float32 l1"),
    {.element = Element::sparse_float32,
     .metric = Metric::cosine,
     .distance = cosine,
     .four_distances = four_by_one<cosine>,
     .name = "sparse_float32 cosine",
     .whole = whole_cosine,
     .link = direction},
};

}  // namespace

float l2_squared(const SparseView &a, const SparseView &b) {
    return sum_of_union<SquaredDifference>(a, b);
}

// Steps without a branch on which index is smaller: the outcome is as good as random, and a
// mispredicted branch costs more than the whole step.
float inner_product(const SparseView &a, const SparseView &b) {
    float sum = 0;
    std::size_t i = 0;
    std::size_t j = 0;
    while (i < a.count && j < b.count) {
        const std::int32_t left = a.indices[i];
        const std::int32_t right = b.indices[j];
        if (left == right) {
            sum += a.values[i] * b.values[j];
        }
        i += left <= right;
        j += right <= left;
    }
    return sum;
}

float l1(const SparseView &a, const SparseView &b) {
    return sum_of_union<AbsoluteDifference>(a, b);
}

float squared_norm(const SparseView &a) { return inner_product(a, a); }

CosineParts cosine_parts(const SparseView &a, const SparseView &b) {
    return {inner_product(a, b), squared_norm(a), squared_norm(b)};
}

const KernelTable sparse_table = {.rows = rows, .row_count = sizeof(rows) / sizeof(rows[0])};

}  // namespace dvec::distance
