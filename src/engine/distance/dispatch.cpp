// The one dispatch table: which instruction set's kernels answer, and the calls that go through it.
#include <atomic>
#include <cstddef>
#include <iterator>

#include "engine/distance/cpu.hpp"
#include "engine/distance/float32.hpp"
#include "engine/distance/isa.hpp"
#include "engine/distance/kernel.hpp"
#include "engine/distance/kernel_table.hpp"

namespace dvec::distance {

namespace {

struct Choice {
    Isa isa;
    const char *name;
    const KernelTable *table;
};

// Indexed by Isa.
constexpr Choice choices[] = {
    {Isa::scalar, "scalar", &scalar_table},
    {Isa::neon, "neon", &neon_table},
    {Isa::avx2, "avx2", &avx2_table},
    {Isa::avx512, "avx512", &avx512_table},
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

// Null until first use. Constant-initialised, as are all tables it may point to, so static
// initialisers of other files may call in here, and a relaxed load suffices for every reader.
constinit std::atomic<const Choice *> active{nullptr};

// Cold: runs once, or a few times when threads meet here. A selection made meanwhile stands.
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

const Kernel *find_row_or_scalar(const KernelTable &table, Element element, Metric metric) {
    const Kernel *row = find_row(table, element, metric);
    return row != nullptr ? row : find_row(scalar_table, element, metric);
}

}  // namespace

std::size_t Kernel::vector_bytes(std::size_t dimensions) const {
    return (dimensions * element_bits + 7) / 8;
}

const Kernel *find_kernel(Element element, Metric metric) {
    return find_row_or_scalar(*active_choice().table, element, metric);
}

const Kernel *find_kernel(Isa isa, Element element, Metric metric) {
    if (!isa_supported(isa)) {
        return nullptr;
    }
    return find_row_or_scalar(*choice_of(isa).table, element, metric);
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

float l2_squared(const float *a, const float *b, std::size_t dimensions) {
    return active_choice().table->l2_squared(a, b, dimensions);
}

// Negation is exact, so one kernel serves both signs.
float inner_product(const float *a, const float *b, std::size_t dimensions) {
    return -active_choice().table->negative_inner_product(a, b, dimensions);
}

float l1(const float *a, const float *b, std::size_t dimensions) {
    return active_choice().table->l1(a, b, dimensions);
}

CosineParts cosine_parts(const float *a, const float *b, std::size_t dimensions) {
    return active_choice().table->cosine_parts(a, b, dimensions);
}

double squared_norm(const float *a, std::size_t dimensions) {
    return active_choice().table->squared_norm(a, dimensions);
}

}  // namespace dvec::distance
