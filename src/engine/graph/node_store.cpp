// The files of a graph together. What becomes of one row's slot is in node_payload.cpp.
#include "engine/graph/node_store.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "engine/base/checksum.hpp"
#include "engine/graph/node_file_names.hpp"

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

Status NodeStore::remap() {
    return base::guarded([&]() -> Status {
        for (RecordFile *file : {&nodes_file_, &upper_file_, &columns_file_})
            if (file != &columns_file_ || layout_.columns > 0) {
                DVEC_TRY(file->remap(file_system_));
                map_records();
            }
        expected_.store(nothing_expected, std::memory_order_relaxed);
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
