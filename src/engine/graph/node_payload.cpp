// The life of one row's slot: its payload is written and published, its row goes, and after a crash
// it is looked at again.
#include <cstring>
#include <memory>

#include "engine/base/checksum.hpp"
#include "engine/distance/code.hpp"
#include "engine/graph/node_store.hpp"
#include "engine/graph/twins.hpp"

namespace dvec::graph {

std::uint32_t NodeStore::payload_checksum(NodeId id, Tid tid) const noexcept {
    const std::uint32_t sum = base::checksum(head_checksum(id, tid), code(id), layout_.code_bytes);
    const std::uint32_t with_vector = base::checksum(sum, vector(id), layout_.vector_bytes);
    return layout_.lengths == Lengths::none
               ? with_vector
               : base::checksum(with_vector, vector(id) + layout_.length_behind(), sizeof(float));
}

// The part of the checksum that comes before the part that equal vectors have in common.
std::uint32_t NodeStore::head_checksum(NodeId id, Tid tid) const noexcept {
    // An array, so there is no padding; every byte that is summed is written below.
    std::uint32_t head[3 + 2 * max_columns];
    head[0] = id;
    head[1] = tid.block;
    head[2] = tid.offset;
    std::size_t words = 3;
    for (std::uint32_t column = 0; column < layout_.columns; ++column, words += 2)
        std::memcpy(head + words, &columns_.key(id, column), sizeof(std::uint64_t));
    return base::checksum(0, head, words * sizeof(head[0]));
}

std::uint32_t NodeStore::vector_hash(NodeId id) const noexcept {
    return head_join_.rest(slot(id)->checksum, head_checksum(id, state_tid(state(id))));
}

// 1 / the length of a vector that is aligned for its elements.
float NodeStore::length_of(const std::byte *vector) const noexcept {
    return layout_.lengths == Lengths::of_floats
               ? distance::inverse_length(reinterpret_cast<const float *>(vector),
                                          layout_.vector_bytes / sizeof(float))
               : distance::inverse_length(reinterpret_cast<const distance::Half *>(vector),
                                          layout_.vector_bytes / sizeof(distance::Half));
}

void NodeStore::write_length(NodeId id, float length) noexcept {
    std::memcpy(slot_bytes(id) + layout_.vector_offset + layout_.length_behind(), &length,
                sizeof(length));
}

bool NodeStore::same_keys(NodeId id, const std::uint64_t *keys) const noexcept {
    for (std::uint32_t column = 0; column < layout_.columns; ++column)
        if (columns_.key(id, column) != keys[column])
            return false;
    return true;
}

// All but what is computed from the vector.
void NodeStore::begin_payload(NodeId id, Tid tid, const Row &row) noexcept {
    SlotHeader *header = slot(id);
    // From this first store on the slot is not ready, whatever it said before.
    header->state.store(pack_state(tid, 0), std::memory_order_relaxed);
    header->link_count.store(0, std::memory_order_relaxed);
    header->twin.store(0, std::memory_order_relaxed);
    std::memcpy(slot_bytes(id) + layout_.vector_offset, row.vector, layout_.vector_bytes);
    if (layout_.columns > 0) {
        for (std::uint32_t column = 0; column < layout_.columns; ++column)
            columns_.key(id, column) = row.keys[column];
        Columns::clear(columns_.gone(id), id);
        Columns::clear(columns_.shared(id), id);
    }
}

void NodeStore::write_payload(NodeId id, Tid tid, const Row &row) noexcept {
    begin_payload(id, tid, row);
    // The copy in the slot is aligned, wherever the row came from.
    if (layout_.coded())
        distance::encode(reinterpret_cast<const float *>(vector(id)),
                         layout_.vector_bytes / sizeof(float),
                         slot_bytes(id) + layout_.code_offset);
    if (layout_.lengths != Lengths::none)
        write_length(id, length_of(vector(id)));
    slot(id)->checksum = payload_checksum(id, tid);
}

PayloadDraft NodeStore::draft(const Row &row) const {
    PayloadDraft draft(row);
    const auto *vector = static_cast<const std::byte *>(row.vector);
    draft.vector_checksum_ = base::checksum(0, vector, layout_.vector_bytes);
    draft.checksum_ = draft.vector_checksum_;
    if (layout_.coded()) {
        draft.code_ = std::make_unique_for_overwrite<std::byte[]>(layout_.code_bytes);
        distance::encode(reinterpret_cast<const float *>(vector),
                         layout_.vector_bytes / sizeof(float), draft.code_.get());
        draft.checksum_ =
            checksum_with_vector(base::checksum(0, draft.code_.get(), layout_.code_bytes), draft);
    }
    if (layout_.lengths != Lengths::none) {
        draft.inverse_length_ = length_of(vector);
        draft.checksum_ =
            base::checksum(draft.checksum_, &draft.inverse_length_, sizeof(draft.inverse_length_));
    }
    return draft;
}

void NodeStore::write_payload(NodeId id, Tid tid, const PayloadDraft &draft) noexcept {
    begin_payload(id, tid, draft.row_);
    if (layout_.coded())
        std::memcpy(slot_bytes(id) + layout_.code_offset, draft.code_.get(), layout_.code_bytes);
    if (layout_.lengths != Lengths::none)
        write_length(id, draft.inverse_length_);
    slot(id)->checksum = head_join_.whole(head_checksum(id, tid), draft.checksum_);
}

// Nobody else writes the word before the id is published, so a plain store will do. A locked
// instruction would also wait until the payload's stores have reached the cache, which a release
// store does not.
void NodeStore::publish(NodeId id) noexcept {
    auto &word = slot(id)->state;
    word.store(word.load(std::memory_order_relaxed) | slot_ready, std::memory_order_release);
}

void NodeStore::restore_payload(NodeId id, Tid tid, const Row &row) noexcept {
    const std::uint64_t word = state(id);
    const bool there = (state_flags(word) & (slot_ready | slot_hole)) == slot_ready &&
                       state_tid(word) == tid && has_row(id, row) && payload_intact(id);
    if (there) {
        slot(id)->state.store(pack_state(tid, slot_ready), std::memory_order_release);
        if (layout_.columns > 0)
            restore_hint(id);
        return;
    }
    write_payload(id, tid, row);
    publish(id);
}

void NodeStore::note_gone(NodeId id) noexcept {
    if (layout_.columns > 0)
        Columns::set(columns_.gone(id), id);
}

void NodeStore::note_shared(NodeId id) noexcept {
    if (layout_.columns > 0)
        Columns::set(columns_.shared(id), id);
}

void NodeStore::restore_hint(NodeId id) noexcept {
    const auto put = [id](std::atomic<std::uint64_t> &word, bool value) {
        value ? Columns::set(word, id) : Columns::clear(word, id);
    };
    const std::uint32_t twin = slot(id)->twin.load(std::memory_order_relaxed);
    put(columns_.gone(id), !is_live(state(id)));
    put(columns_.shared(id), twin != 0 && (twin & twin_mark) == 0);
}

// When the row is being removed at this moment, this may clear the mark that it is gone. That does
// no harm: the mark may be missing (columns.hpp).
bool NodeStore::mend_hints(NodeId id) noexcept {
    if (layout_.columns == 0)
        return false;
    const bool wrong = is_gone(id) && is_live(state(id));
    if (wrong)
        Columns::clear(columns_.gone(id), id);
    const std::uint32_t twin = slot(id)->twin.load(std::memory_order_acquire);
    const bool missing = twin != 0 && (twin & twin_mark) == 0 && !is_shared(id);
    if (missing)
        note_shared(id);
    return wrong || missing;
}

void NodeStore::restore_hints(NodeId end) noexcept {
    if (layout_.columns > 0)
        for (NodeId id = 0; id < end; ++id)
            restore_hint(id);
}

bool NodeStore::mark_hole(NodeId id) noexcept {
    auto &word = slot(id)->state;
    const std::uint64_t before =
        word.exchange(pack_state({}, slot_hole), std::memory_order_acq_rel);
    if ((before & (slot_deleted | slot_hole)) == 0)
        state_.deleted.fetch_add(1, std::memory_order_relaxed);
    note_gone(id);
    return (before & slot_hole) == 0;
}

bool NodeStore::mark_deleted(NodeId id) noexcept {
    auto &word = slot(id)->state;
    std::uint64_t current = word.load(std::memory_order_relaxed);
    do {
        if ((current & (slot_deleted | slot_hole)) != 0) {
            note_gone(id);
            return false;
        }
    } while (!word.compare_exchange_weak(current, current | slot_deleted, std::memory_order_acq_rel,
                                         std::memory_order_relaxed));
    state_.deleted.fetch_add(1, std::memory_order_relaxed);
    note_gone(id);
    return true;
}

bool NodeStore::payload_intact(NodeId id) const noexcept {
    return slot(id)->checksum == payload_checksum(id, state_tid(state(id)));
}

bool NodeStore::slot_intact(NodeId id) const noexcept {
    const std::uint64_t word = state(id);
    switch (state_flags(word)) {
        case slot_hole:
            return state_tid(word) == Tid{};
        case slot_ready:
        case slot_ready | slot_deleted:
            return payload_intact(id);
        default:
            return false;
    }
}

}  // namespace dvec::graph
