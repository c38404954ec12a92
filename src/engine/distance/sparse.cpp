// Merges of two sorted lists. Sparse vectors usually have few indices in common, so a merge is a
// chain of comparisons that wider registers cannot speed up; the same kernels serve every
// instruction set.
#include "engine/distance/sparse.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <iterator>
#include <numeric>
#include <utility>
#include <vector>

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

// One of two vectors that a kernel measures.
struct Side {
    SparseView view;
    float norm;

    Side(const void *bytes, std::size_t capacity)
        : view(SparseView::of(bytes, capacity)),
          norm(static_cast<const SparseHead *>(bytes)->norm) {}
};

// Where vectors are cut, the parts left out are at least as far apart as their lengths differ. A
// vector is so at distance 0 from itself, and nothing changes where none is cut.
float cut_l2_squared(const Side &a, const Side &b) {
    return l2_squared(a.view, b.view) + (a.norm - b.norm) * (a.norm - b.norm);
}

float cut_l1(const Side &a, const Side &b) {
    return l1(a.view, b.view) + std::fabs(a.norm - b.norm);
}

float negative_inner_product(const Side &a, const Side &b) {
    return -inner_product(a.view, b.view);
}

// With the norms that the heads hold, a merge is all there is to compute.
CosineParts parts(const Side &a, const Side &b) {
    return {inner_product(a.view, b.view), a.norm, b.norm};
}

double whole_cosine(const Side &a, const Side &b) { return cosine_distance(parts(a, b)); }

float cosine(const Side &a, const Side &b) { return static_cast<float>(whole_cosine(a, b)); }

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

float direction(const Side &a, const Side &b) {
    const CosineParts sums = parts(a, b);
    if (far_from_limits(sums.squared_norm_a) && far_from_limits(sums.squared_norm_b))
        return static_cast<float>(cosine_distance(sums));
    return static_cast<float>(distance_of_directions(a.view, b.view));
}

template <auto measure, Element element>
auto of_rows(const void *a, const void *b, size_t dimensions) {
    const std::size_t capacity = indexed_capacity(element, dimensions);
    return measure(Side(a, capacity), Side(b, capacity));
}

template <auto measure, Element element>
auto of_query(const void *query, const void *row, size_t dimensions) {
    return measure(Side(query, query_capacity(element, dimensions)),
                   Side(row, indexed_capacity(element, dimensions)));
}

template <auto measure, Element element>
constexpr Kernel row(Metric metric, const char *name) {
    constexpr DistanceFunction of_a_query = of_query<measure, element>;
    return {.element = element,
            .metric = metric,
            .distance = of_rows<measure, element>,
            .four_distances = four_by_one<of_rows<measure, element>>,
            .name = name,
            .query_distance = of_a_query,
            .four_query_distances = four_by_one<of_a_query>};
}

template <Element element>
constexpr Kernel cosine_row() {
    Kernel kernel = row<cosine, element>(Metric::cosine, "sparse_float32 cosine");
    kernel.whole = of_rows<whole_cosine, element>;
    kernel.query_whole = of_query<whole_cosine, element>;
    kernel.link = of_rows<direction, element>;
    return kernel;
}

constexpr std::size_t metrics = 4;

template <Element element>
constexpr std::array<Kernel, metrics> rows_of() {
    return {
        row<cut_l2_squared, element>(Metric::l2_squared, "sparse_float32 l2_squared"),
        row<negative_inner_product, element>(Metric::inner_product, "sparse_float32 inner_product"),
        row<cut_l1, element>(Metric::l1, "sparse_float32 l1"), cosine_row<element>()};
}

// sparse_float32 first, which is asked for most.
template <std::size_t... rooms>
constexpr auto all_rows(std::index_sequence<rooms...>) {
    std::array<Kernel, metrics *(sizeof...(rooms) + 1)> rows{};
    auto end = rows.begin();
    const auto append = [&](const std::array<Kernel, metrics> &more) {
        end = std::copy(more.begin(), more.end(), end);
    };
    append(rows_of<Element::sparse_float32>());
    (append(rows_of<sparse_rooms[rooms].element>()), ...);
    return rows;
}

constexpr auto rows = all_rows(std::make_index_sequence<std::size(sparse_rooms)>());

double sum_of(const SparseView &vector, Metric metric) {
    double sum = 0;
    for (std::size_t i = 0; i < vector.count; ++i) {
        const double value = std::fabs(double{vector.values[i]});
        sum += metric == Metric::l1 ? value : value * value;
    }
    return sum;
}

// The same, of the elements of `query` that `row` does not have.
double sum_outside(const SparseView &query, const SparseView &row, Metric metric) {
    double sum = 0;
    std::size_t j = 0;
    for (std::size_t i = 0; i < query.count; ++i) {
        while (j < row.count && row.indices[j] < query.indices[i])
            ++j;
        if (j < row.count && row.indices[j] == query.indices[i])
            continue;
        const double value = std::fabs(double{query.values[i]});
        sum += metric == Metric::l1 ? value : value * value;
    }
    return sum;
}

// The positions of the greatest `count` elements by magnitude, ascending; of equal ones the first.
std::vector<std::size_t> greatest(const SparseView &vector, std::size_t count) {
    std::vector<std::size_t> positions(vector.count);
    std::iota(positions.begin(), positions.end(), std::size_t{0});
    const auto kept = positions.begin() + static_cast<std::ptrdiff_t>(count);
    std::nth_element(positions.begin(), kept, positions.end(), [&](std::size_t a, std::size_t b) {
        const float left = std::fabs(vector.values[a]);
        const float right = std::fabs(vector.values[b]);
        return left > right || (left == right && a < b);
    });
    positions.erase(kept, positions.end());
    std::sort(positions.begin(), positions.end());
    return positions;
}

// Of the elements that are not at `kept`: their length, or the sum of their magnitudes.
float norm_of_rest(const SparseView &vector, const std::vector<std::size_t> &kept, Metric metric) {
    double sum = 0;
    auto next = kept.begin();
    for (std::size_t i = 0; i < vector.count; ++i) {
        if (next != kept.end() && *next == i) {
            ++next;
            continue;
        }
        const double value = std::fabs(double{vector.values[i]});
        sum += metric == Metric::l1 ? value : value * value;
    }
    return static_cast<float>(metric == Metric::l1 ? sum : std::sqrt(sum));
}

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

void write_sparse(const SparseView &vector, Metric metric, std::size_t capacity, void *out) {
    std::memset(out, 0, sparse_bytes(capacity));
    auto *head = static_cast<SparseHead *>(out);
    auto *indices = reinterpret_cast<std::int32_t *>(head + 1);
    head->count = static_cast<std::uint32_t>(vector.count);
    if (metric == Metric::cosine)
        head->norm = squared_norm(vector);
    if (vector.count <= capacity) {
        std::copy_n(vector.indices, vector.count, indices);
        std::copy_n(vector.values, vector.count, reinterpret_cast<float *>(indices + vector.count));
        return;
    }
    const std::vector<std::size_t> kept = greatest(vector, capacity);
    auto *values = reinterpret_cast<float *>(indices + capacity);
    for (std::size_t i = 0; i < capacity; ++i) {
        indices[i] = vector.indices[kept[i]];
        values[i] = vector.values[kept[i]];
    }
    if (metric != Metric::cosine)
        head->norm = norm_of_rest(vector, kept, metric);
}

double most_overlooked(const void *query, const void *row, const Kernel &kernel,
                       std::size_t dimensions) {
    const std::size_t capacity = indexed_capacity(kernel.element, dimensions);
    if (static_cast<const SparseHead *>(row)->count <= capacity)
        return 0;
    const Side asked(query, query_capacity(kernel.element, dimensions));
    const Side found(row, capacity);
    const double outside = sum_outside(asked.view, found.view, kernel.metric);
    if (kernel.metric == Metric::l1)
        return std::min(outside, double{found.norm});
    if (kernel.metric != Metric::cosine)
        return std::sqrt(outside) * double{found.norm};
    const double square = found.norm;
    const double rest = std::max(0.0, square - sum_of(found.view, kernel.metric));
    const double squares = square * double{asked.norm};
    return squares > 0 ? std::sqrt(outside * rest / squares) : 0;
}

const KernelTable sparse_table = {.rows = rows.data(), .row_count = rows.size()};

}  // namespace dvec::distance
