// The one dispatch table: which instruction set's kernels answer, and the calls that go through it.
#include <atomic>
#include <cmath>
#include <cstddef>
#include <iterator>

#include "engine/distance/bits.hpp"
#include "engine/distance/code.hpp"
#include "engine/distance/compact.hpp"
#include "engine/distance/cpu.hpp"
#include "engine/distance/float16.hpp"
#include "engine/distance/float32.hpp"
#include "engine/distance/isa.hpp"
#include "engine/distance/kernel.hpp"
#include "engine/distance/kernel_table.hpp"
#include "engine/distance/keys.hpp"
#include "engine/distance/link_codes.hpp"
#include "engine/distance/sparse.hpp"

namespace dvec::distance {

namespace {

// The tables of a choice. They are asked in this order, and the scalar one after all others;
// entries may be null.
struct Choice {
    Isa isa;
    const char *name;
    const KernelTable *table;     // of the set itself
    const KernelTable *addition;  // of a part that not every processor with the set has
    const KernelTable *lesser;    // of a set that every such processor has
};

// Indexed by Isa.
constexpr Choice choices[] = {
    {Isa::scalar, "scalar", &scalar_table, nullptr, nullptr},
    {Isa::neon, "neon", &neon_table, nullptr, nullptr},
    {Isa::avx2, "avx2", &avx2_table, nullptr, nullptr},
    {Isa::avx512, "avx512", &avx512_table, &avx512_popcount_table, &avx2_table},
};

constexpr bool choices_are_indexed_by_isa() {
    for (std::size_t i = 0; i < std::size(choices); ++i) {
        if (choices[i].isa != every_isa[i] || static_cast<std::size_t>(every_isa[i]) != i) {
            return false;
        }
    }
    return std::size(choices) == std::size(every_isa);
}
static_assert(choices_are_indexed_by_isa());

const Choice &choice_of(Isa isa) { return choices[static_cast<std::size_t>(isa)]; }

// Null until first use. This and all tables that it may point to are constant-initialised, so
// static initialisers of other files may call in here, and a relaxed load suffices for every
// reader.
constinit std::atomic<const Choice *> active{nullptr};

// Runs only once, or a few times when several threads get here at the same time. A selection made
// meanwhile is kept.
[[gnu::noinline]] const Choice &choose() {
    const Choice *expected = nullptr;
    const Choice *best = &choice_of(best_isa());
    active.compare_exchange_strong(expected, best, std::memory_order_relaxed);
    return expected == nullptr ? *best : *expected;
}

const Choice &active_choice() {
    const Choice *choice = active.load(std::memory_order_relaxed);
    if (choice == nullptr) [[unlikely]] {
        return choose();
    }
    return *choice;
}

const Kernel *find_row(const KernelTable &table, Element element, Metric metric) {
    for (std::size_t i = 0; i < table.row_count; ++i) {
        if (table.rows[i].element == element && table.rows[i].metric == metric) {
            return &table.rows[i];
        }
    }
    return nullptr;
}

// The first answer of `ask` that is not null, over the tables of a choice.
template <typename Ask>
auto first_of(const Choice &choice, Ask ask) -> decltype(ask(scalar_table)) {
    const bool has_addition = choice.addition != nullptr && cpu_allows_avx512_popcount();
    const KernelTable *const tables[] = {
        choice.table,  has_addition ? choice.addition : nullptr, choice.lesser, &scalar_table,
        &sparse_table,
    };
    for (const KernelTable *table : tables) {
        if (table != nullptr) {
            if (auto answer = ask(*table)) {
                return answer;
            }
        }
    }
    return nullptr;
}

const Kernel *find_row(const Choice &choice, Element element, Metric metric) {
    return first_of(choice,
                    [=](const KernelTable &table) { return find_row(table, element, metric); });
}

// Measured: at 128 dimensions codes make the tail and the building faster, not the search.
constexpr std::size_t least_coded_dimensions = 128;

}  // namespace

std::size_t Kernel::vector_bytes(std::size_t dimensions) const {
    switch (element) {
        case Element::float32:
            return dimensions * sizeof(float);
        case Element::float16:
            return dimensions * sizeof(Half);
        case Element::bit:
            return (dimensions + 7) / 8;
        case Element::compact8:
        case Element::compact4:
        case Element::compact1:
            return compact_bytes(compact_bits(element), dimensions);
        default:
            return sparse_room(element) == 0 ? 0
                                             : sparse_bytes(indexed_capacity(element, dimensions));
    }
}

std::size_t Kernel::query_bytes(std::size_t dimensions) const {
    if (query_distance == nullptr || distance != query_distance)
        return vector_bytes(dimensions);
    return sparse_room(element) > 0 ? sparse_bytes(query_capacity(element, dimensions))
                                    : compact_bytes(bits_of_queries, dimensions);
}

Kernel Kernel::of_queries() const {
    Kernel kernel = *this;
    if (query_distance != nullptr) {
        kernel.distance = query_distance;
        kernel.four_distances = four_query_distances;
        kernel.whole = query_whole;
    }
    return kernel;
}

std::size_t Kernel::vector_code_bytes(std::size_t dimensions) const {
    const bool measured =
        metric == Metric::l2_squared || metric == Metric::inner_product || metric == Metric::cosine;
    if (element != Element::float32 || !measured || dimensions < least_coded_dimensions) {
        return 0;
    }
    return code_bytes(dimensions);
}

double Kernel::whole_distance(const void *a, const void *b, std::size_t dimensions) const {
    return whole != nullptr ? whole(a, b, dimensions) : double{distance(a, b, dimensions)};
}

double Kernel::operator_value(double whole_value) const {
    return metric == Metric::l2_squared ? std::sqrt(whole_value) : whole_value;
}

DistanceFunction Kernel::link_distance() const { return link != nullptr ? link : distance; }

const Kernel *find_kernel(Element element, Metric metric) {
    return find_row(active_choice(), element, metric);
}

const Kernel *find_kernel(Isa isa, Element element, Metric metric) {
    if (!isa_supported(isa)) {
        return nullptr;
    }
    return find_row(choice_of(isa), element, metric);
}

bool isa_supported(Isa isa) {
    return static_cast<std::size_t>(isa) < std::size(choices) &&
           choice_of(isa).table->row_count != 0 && cpu_allows(isa);
}

Isa best_isa() {
    Isa best = Isa::scalar;
    for (Isa isa : every_isa) {
        if (isa_supported(isa)) {
            best = isa;
        }
    }
    return best;
}

Isa active_isa() { return active_choice().isa; }

bool select_isa(Isa isa) {
    if (!isa_supported(isa)) {
        return false;
    }
    active.store(&choice_of(isa), std::memory_order_relaxed);
    return true;
}

const char *isa_name(Isa isa) { return choice_of(isa).name; }

std::optional<Isa> parse_isa(std::string_view name) {
    for (const Choice &choice : choices) {
        if (name == choice.name) {
            return choice.isa;
        }
    }
    return std::nullopt;
}

namespace {

// Every choice has these in the table of its own.
const DenseKernels &dense_kernels(const float *) { return active_choice().table->float32; }
const DenseKernels &dense_kernels(const Half *) { return active_choice().table->float16; }

}  // namespace

// Every choice has these in its own table, too.
const KeyKernels &key_kernels() { return active_choice().table->keys; }
const LinkCodeKernels &link_code_kernels() { return active_choice().table->link_codes; }

float l2_squared(const float *a, const float *b, std::size_t dimensions) {
    return dense_kernels(a).l2_squared(a, b, dimensions);
}

// Negation is exact, so one kernel serves both signs.
float inner_product(const float *a, const float *b, std::size_t dimensions) {
    return -dense_kernels(a).negative_inner_product(a, b, dimensions);
}

float l1(const float *a, const float *b, std::size_t dimensions) {
    return dense_kernels(a).l1(a, b, dimensions);
}

CosineParts cosine_parts(const float *a, const float *b, std::size_t dimensions) {
    return dense_kernels(a).cosine_parts(a, b, dimensions);
}

double squared_norm(const float *a, std::size_t dimensions) {
    return dense_kernels(a).squared_norm(a, dimensions);
}

float l2_squared(const Half *a, const Half *b, std::size_t dimensions) {
    return dense_kernels(a).l2_squared(a, b, dimensions);
}

float inner_product(const Half *a, const Half *b, std::size_t dimensions) {
    return -dense_kernels(a).negative_inner_product(a, b, dimensions);
}

float l1(const Half *a, const Half *b, std::size_t dimensions) {
    return dense_kernels(a).l1(a, b, dimensions);
}

CosineParts cosine_parts(const Half *a, const Half *b, std::size_t dimensions) {
    return dense_kernels(a).cosine_parts(a, b, dimensions);
}

double squared_norm(const Half *a, std::size_t dimensions) {
    return dense_kernels(a).squared_norm(a, dimensions);
}

std::uint64_t hamming_distance(const void *a, const void *b, std::size_t bits) {
    const auto differing =
        first_of(active_choice(), [](const KernelTable &table) { return table.bits.differing; });
    return differing(a, b, (bits + 7) / 8);
}

BitOverlap bit_overlap(const void *a, const void *b, std::size_t bits) {
    const auto overlap =
        first_of(active_choice(), [](const KernelTable &table) { return table.bits.overlap; });
    return overlap(a, b, (bits + 7) / 8);
}

}  // namespace dvec::distance
