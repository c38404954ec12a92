// The files of a graph together, and the life of one row's payload.
#include "engine/graph/node_store.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "engine/base/checksum.hpp"
#include "engine/distance/code.hpp"
#include "engine/graph/node_file_names.hpp"
#include "engine/graph/twins.hpp"

namespace dvec::graph {

using base::Code;
using base::Result;
using base::Status;

namespace {

// 1 + the index of a block must fit into 32 bits.
constexpr std::uint64_t max_upper_blocks = 0xFFFFFFF0u;

constexpr std::uint64_t chunks_for(std::uint64_t ids) {
    return (ids + column_chunk_ids - 1) / column_chunk_ids;
}

std::string path_of(const NodeStore::Params &params, std::string_view prefix) {
    return params.directory + "/" + std::string(prefix) + std::to_string(params.generation);
}

Status remove_if_there(base::FileSystem &file_system, const std::string &path) {
    const Status removed = file_system.remove(path);
    return removed.code() == Code::not_found ? Status() : removed;
}

Status check_columns(const NodeStore::Params &params) {
    return params.layout.columns <= max_columns
               ? Status()
               : Status(Code::unsupported, "an index cannot have " +
                                               std::to_string(params.layout.columns) +
                                               " columns behind the vector");
}

FileHeader make_header(const NodeStore::Params &params, std::uint32_t magic) {
    FileHeader header{};
    header.magic = magic;
    header.version = format_version;
    header.identity = params.identity;
    header.record_bytes = magic == nodes_magic   ? params.layout.stride
                          : magic == upper_magic ? params.layout.upper_block_bytes
                                                 : params.layout.column_chunk_bytes();
    header.m = params.layout.m;
    header.vector_bytes = params.layout.vector_bytes;
    header.checksum = base::checksum(0, &header, offsetof(FileHeader, checksum));
    return header;
}

void raise_to(std::atomic<std::uint32_t> &mark, std::uint64_t value) {
    auto current = mark.load(std::memory_order_relaxed);
    const auto wanted = static_cast<std::uint32_t>(value);
    while (current < wanted && !mark.compare_exchange_weak(current, wanted)) {
    }
}

}  // namespace

Status NodeStore::create_files(base::FileSystem &file_system, const Params &params) {
    return base::guarded([&]() -> Status {
        DVEC_TRY(check_columns(params));
        DVEC_TRY(RecordFile::create(file_system, path_of(params, nodes_prefix),
                                    make_header(params, nodes_magic)));
        DVEC_TRY(RecordFile::create(file_system, path_of(params, upper_prefix),
                                    make_header(params, upper_magic)));
        if (params.layout.columns == 0)
            return {};
        return RecordFile::create(file_system, path_of(params, columns_prefix),
                                  make_header(params, columns_magic));
    });
}

Status NodeStore::remove_files(base::FileSystem &file_system, const Params &params) {
    return base::guarded([&]() -> Status {
        for (const std::string_view prefix : node_file_prefixes)
            DVEC_TRY(remove_if_there(file_system, path_of(params, prefix)));
        return {};
    });
}

Status NodeStore::remove_other_files(base::FileSystem &file_system, const std::string &directory,
                                     std::uint64_t generation) {
    return base::guarded([&]() -> Status {
        auto names = file_system.list(directory);
        DVEC_TRY(names);
        const std::string kept = std::to_string(generation);
        for (const std::string &name : names.value())
            for (const std::string_view prefix : node_file_prefixes)
                if (name.starts_with(prefix) && name.substr(prefix.size()) != kept)
                    DVEC_TRY(remove_if_there(file_system, directory + "/" + name));
        return {};
    });
}

Result<std::unique_ptr<NodeStore>> NodeStore::open(base::FileSystem &file_system,
                                                   const Params &params, SharedState &state) {
    return base::guarded([&]() -> Result<std::unique_ptr<NodeStore>> {
        DVEC_TRY(check_columns(params));
        std::unique_ptr<NodeStore> store(new NodeStore(file_system, params, state));
        const auto open_file = [&](RecordFile &file, std::string_view prefix,
                                   std::uint32_t magic) -> Status {
            auto opened =
                RecordFile::open(file_system, path_of(params, prefix), make_header(params, magic));
            DVEC_TRY(opened);
            file = std::move(opened).value();
            return {};
        };
        DVEC_TRY(open_file(store->nodes_file_, nodes_prefix, nodes_magic));
        DVEC_TRY(open_file(store->upper_file_, upper_prefix, upper_magic));
        if (params.layout.columns > 0)
            DVEC_TRY(open_file(store->columns_file_, columns_prefix, columns_magic));
        store->map_records();
        DVEC_TRY(store->refresh());
        return store;
    });
}

Result<std::unique_ptr<NodeStore>> NodeStore::open_first(base::FileSystem &file_system,
                                                         const Params &params, SharedState &state) {
    return base::guarded([&]() -> Result<std::unique_ptr<NodeStore>> {
        auto opened = open(file_system, params, state);
        DVEC_TRY(opened);
        NodeStore &store = *opened.value();
        std::uint64_t slots = store.nodes_file_.records(max_nodes);
        if (params.layout.columns > 0)
            slots = std::min(slots, column_chunk_ids * store.columns_file_.records(max_nodes));
        raise_to(state.capacity, slots);
        raise_to(state.upper_capacity, store.upper_file_.records(max_upper_blocks));
        DVEC_TRY(store.refresh());
        return opened;
    });
}

// Updates the addresses of the records after the mappings may have moved.
void NodeStore::map_records() noexcept {
    slots_ = nodes_file_.first();
    blocks_ = upper_file_.first();
    if (layout_.columns > 0)
        columns_ = Columns(columns_file_.first(), layout_);
}

template <class Do>
Status NodeStore::each_file(const Do &apply) const {
    DVEC_TRY(apply(upper_file_));
    if (layout_.columns > 0)
        DVEC_TRY(apply(columns_file_));
    return apply(nodes_file_);
}

// A slot counts in the capacity only when there is space for its keys, too. When one of the two
// files finds no space, the other one stays longer, and its extra space is used later.
Status NodeStore::reserve_slots(std::uint32_t extra) {
    return base::guarded([&]() -> Status {
        const std::uint64_t needed =
            std::uint64_t{state_.allocated.load(std::memory_order_relaxed)} + extra;
        if (needed <= state_.capacity.load(std::memory_order_relaxed))
            return {};
        auto slots = nodes_file_.grow(file_system_, needed, max_nodes);
        DVEC_TRY(slots);
        std::uint64_t capacity = slots.value();
        if (layout_.columns > 0) {
            auto chunks =
                columns_file_.grow(file_system_, chunks_for(needed), chunks_for(max_nodes));
            DVEC_TRY(chunks);
            capacity = std::min(capacity, column_chunk_ids * chunks.value());
        }
        raise_to(state_.capacity, capacity);
        return {};
    });
}

Status NodeStore::reserve_upper_blocks(std::uint32_t extra) {
    return base::guarded([&]() -> Status {
        const std::uint64_t needed =
            std::uint64_t{state_.upper_allocated.load(std::memory_order_relaxed)} + extra;
        if (needed <= state_.upper_capacity.load(std::memory_order_relaxed))
            return {};
        auto blocks = upper_file_.grow(file_system_, needed, max_upper_blocks);
        DVEC_TRY(blocks);
        raise_to(state_.upper_capacity, blocks.value());
        return {};
    });
}

Status NodeStore::refresh() {
    return base::guarded([&]() -> Status {
        if (const auto slots = state_.capacity.load(std::memory_order_acquire);
            slots > mapped_slots_) {
            if (layout_.columns > 0) {
                DVEC_TRY(columns_file_.follow(file_system_, chunks_for(slots)));
                map_records();
            }
            DVEC_TRY(nodes_file_.follow(file_system_, slots));
            map_records();
            mapped_slots_ = slots;
        }
        if (const auto blocks = state_.upper_capacity.load(std::memory_order_acquire);
            blocks > mapped_blocks_) {
            DVEC_TRY(upper_file_.follow(file_system_, blocks));
            map_records();
            mapped_blocks_ = blocks;
        }
        return {};
    });
}

void NodeStore::warm(NodeId first, NodeId end) const noexcept {
    end = std::min(end, mapped_slots_);
    if (first >= end)
        return;
    nodes_file_.map().populate(nodes_file_.offset(first), nodes_file_.offset(end));
    if (layout_.columns > 0)
        columns_file_.map().populate(columns_file_.offset(first / column_chunk_ids),
                                     columns_file_.offset(chunks_for(end)));
}

Result<std::uint64_t> NodeStore::bring_in(bool (*interrupted)()) const {
    return base::guarded([&]() -> Result<std::uint64_t> {
        std::uint64_t bytes = 0;
        DVEC_TRY(each_file([&](const RecordFile &file) {
            bytes += file.bytes();
            return file.bring_in(file_system_, interrupted);
        }));
        return bytes;
    });
}

// A mapping keeps the advice when it is extended. No advice is given for keys, which are read one
// after the other as often as here and there.
void NodeStore::expect(base::Reading reading) const noexcept {
    const auto wanted = static_cast<std::uint8_t>(reading);
    if (expected_.exchange(wanted, std::memory_order_relaxed) == wanted)
        return;
    nodes_file_.map().expect(reading);
    upper_file_.map().expect(base::Reading::scattered);
}

bool NodeStore::in_memory(NodeId id) const noexcept {
    return nodes_file_.map().in_memory(nodes_file_.offset(id) + layout_.vector_offset);
}

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

std::uint32_t NodeStore::progress_checksum(const LinkingProgress &progress) const noexcept {
    return base::checksum(base::checksum(0, &identity_, sizeof(identity_)), &progress,
                          offsetof(LinkingProgress, checksum));
}

void NodeStore::note_progress() noexcept {
    LinkingProgress progress{};
    progress.entry_point = state_.entry_point.load(std::memory_order_relaxed);
    progress.linked = state_.linked.load(std::memory_order_relaxed);
    progress.upper_allocated = state_.upper_allocated.load(std::memory_order_relaxed);
    progress.checksum = progress_checksum(progress);
    std::memcpy(nodes_file_.map().data() + linking_progress_offset, &progress, sizeof(progress));
}

std::optional<LinkingProgress> NodeStore::noted_progress() const noexcept {
    LinkingProgress progress;
    std::memcpy(&progress, nodes_file_.map().data() + linking_progress_offset, sizeof(progress));
    if (progress.checksum != progress_checksum(progress))
        return std::nullopt;
    return progress;
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

std::optional<std::uint32_t> NodeStore::owned_upper_blocks(NodeId id,
                                                           std::uint32_t limit) const noexcept {
    const std::uint32_t reference = slot(id)->upper.load(std::memory_order_acquire);
    const auto level = static_cast<std::uint32_t>(node_level(id, layout_.m));
    if (reference == 0 || level == 0 || reference - 1 >= limit || limit - (reference - 1) < level)
        return std::nullopt;
    for (std::uint32_t block = reference - 1; block < reference - 1 + level; ++block)
        if (upper_block(block)[layout_.owner_word()].load(std::memory_order_relaxed) != id + 1)
            return std::nullopt;
    return reference - 1;
}

// Each file is opened only for the sync. The sync still reports writes that have failed since the
// last time anybody asked: the mapping keeps the kernel from forgetting the file and its error.
Status NodeStore::sync() {
    return base::guarded([&]() -> Status {
        return each_file([&](const RecordFile &mapped) -> Status {
            auto file = mapped.reopen(file_system_);
            DVEC_TRY(file);
            return file.value()->sync();
        });
    });
}

Result<std::uint64_t> NodeStore::file_change_time() {
    return base::guarded([&]() -> Result<std::uint64_t> {
        auto file = nodes_file_.reopen(file_system_);
        DVEC_TRY(file);
        return file.value()->change_time();
    });
}

}  // namespace dvec::graph
