// What an index whose files cannot be believed entirely still has to learn from the heap.
#pragma once

#include <cstdint>

namespace dvec::store {

// In rising order: a repair of one kind includes those before it.
enum class Repair : std::uint32_t {
    none,           // every row is in the index
    changed_pages,  // what it has is sound; rows on heap pages changed since S may be missing
    every_page,     // nothing is certain: each payload and each heap page has to be looked at
    rebuild         // nothing can be used
};

}  // namespace dvec::store
