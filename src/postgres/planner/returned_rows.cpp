#include "postgres/planner/returned_rows.hpp"

#include <algorithm>
#include <cstdlib>

namespace dvec::postgres {

namespace {

int compare_tids(const void *left, const void *right) {
    return ItemPointerCompare(static_cast<ItemPointer>(const_cast<void *>(left)),
                              static_cast<ItemPointer>(const_cast<void *>(right)));
}

}  // namespace

void ReturnedRows::add(const ItemPointerData &tid, MemoryContext memory) {
    if (count_ == room_) {
        room_ = std::max<Size>(64, room_ * 2);
        const Size size = room_ * sizeof(ItemPointerData);
        tids_ = static_cast<ItemPointerData *>(
            tids_ == nullptr ? MemoryContextAllocHuge(memory, size) : repalloc_huge(tids_, size));
    }
    tids_[count_++] = tid;
}

bool ReturnedRows::is_full() const {
    return count_ * sizeof(ItemPointerData) >= Size{1024} * static_cast<Size>(work_mem);
}

void ReturnedRows::sort() { ::qsort(tids_, count_, sizeof(ItemPointerData), compare_tids); }

bool ReturnedRows::contains(const ItemPointerData &tid) const {
    return std::bsearch(&tid, tids_, count_, sizeof(ItemPointerData), compare_tids) != nullptr;
}

}  // namespace dvec::postgres
