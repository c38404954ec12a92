#include "engine/store/shared_state.hpp"

#include <cstddef>
#include <type_traits>

namespace dvec::store {

namespace {

// The members are atomics of 32 and 64 bits, so a word here is one member or two.
using Word [[gnu::may_alias]] = std::uint64_t;
static_assert(sizeof(SharedState) % sizeof(Word) == 0 && alignof(SharedState) >= alignof(Word));
static_assert(std::is_trivially_destructible_v<SharedState>);

}  // namespace

void reset(SharedState &state) noexcept {
    // Stored first, so that a process which reads a new value elsewhere finds that it is stale
    // (Index::check_current).
    state.generation.store(0, std::memory_order_seq_cst);
    auto *words = reinterpret_cast<Word *>(&state);
    for (std::size_t i = 0; i < sizeof state / sizeof(Word); ++i)
        __atomic_store_n(words + i, 0, __ATOMIC_RELEASE);
}

bool outruns_compaction(const SharedState &state) noexcept {
    const std::uint32_t admitted = state.compaction.admitted.load(std::memory_order_acquire);
    if (admitted == 0)
        return false;
    const std::uint64_t deleted = state.graph.deleted.load(std::memory_order_relaxed);
    const std::uint64_t allocated = state.graph.allocated.load(std::memory_order_acquire);
    return allocated >= admitted && 2 * deleted >= allocated;
}

void end_compaction(SharedState &state) noexcept {
    state.compaction.admitted.store(0, std::memory_order_release);
    state.compaction.done.store(0);
    state.compaction.left.store(0);
}

}  // namespace dvec::store
