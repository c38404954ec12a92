#include "engine/store/shared_state.hpp"

#include <cstddef>
#include <type_traits>

namespace dvec::store {

namespace {

// The members are atomics of 32 and 64 bits, so that a word here is one of them or two.
using Word [[gnu::may_alias]] = std::uint64_t;
static_assert(sizeof(SharedState) % sizeof(Word) == 0 && alignof(SharedState) >= alignof(Word));
static_assert(std::is_trivially_destructible_v<SharedState>);

}  // namespace

void reset(SharedState &state) noexcept {
    // First, so that whoever reads a new value elsewhere knows it for one (Index::check_current).
    state.files.store(0, std::memory_order_seq_cst);
    auto *words = reinterpret_cast<Word *>(&state);
    for (std::size_t i = 0; i < sizeof state / sizeof(Word); ++i)
        __atomic_store_n(words + i, 0, __ATOMIC_RELEASE);
}

}  // namespace dvec::store
