#include "postgres/relation/built_options.hpp"

#include <optional>

#include "postgres/bridge/shared_memory.hpp"
#include "postgres/relation/compact_rows.hpp"
#include "postgres/runtime/open_index.hpp"

namespace dvec::postgres {

namespace {

// Nothing where the index is not in use.
std::optional<store::Shape> shape_in_use(const IndexFile &file) {
    if (registry() == nullptr)
        return std::nullopt;
    if (const OpenIndex *open = find_open_index(file))
        return open->entry->shape;
    std::optional<store::Shape> shape;
    LWLockAcquire(&registry()->lock, LW_SHARED);
    if (const IndexEntry *entry = find_ready_entry(file))
        shape = entry->shape;
    LWLockRelease(&registry()->lock);
    return shape;
}

}  // namespace

IndexOptions built_options(Relation index) {
    IndexOptions options = index_options(index);
    const std::optional<store::Shape> shape = shape_in_use(compat::file_name(index));
    if (!shape)
        return options;
    options.m = static_cast<int>(shape->m);
    options.ef_construction = static_cast<int>(shape->ef_construction);
    const unsigned bits = stored_bits(*shape);
    options.storage = bits == 0 ? Storage::full : Storage::compact;
    options.bits = bits == 0 ? default_bits : static_cast<int>(bits);
    options.nonzeros = distance::may_be_cut(shape->element)
                           ? static_cast<int>(distance::sparse_room(shape->element))
                           : 0;
    return options;
}

}  // namespace dvec::postgres
