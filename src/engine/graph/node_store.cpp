// Growing, mapping and checking the two graph files, and the life of one slot's payload.
#include "engine/graph/node_store.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "engine/base/checksum.hpp"
#include "engine/distance/code.hpp"

namespace dvec::graph {

using base::Code;
using base::File;
using base::Mapping;
using base::Result;
using base::Status;

namespace {

constexpr std::uint64_t kibibyte = std::uint64_t{1} << 10;
constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20;

// Between two looks at whether to stop.
constexpr std::uint64_t brought_in_at_once = 64 * mebibyte;

constexpr std::string_view nodes_prefix = "nodes.";
constexpr std::string_view upper_prefix = "upper.";

std::string path_of(const NodeStore::Params &params, std::string_view prefix) {
    return params.directory + "/" + std::string(prefix) + std::to_string(params.generation);
}

Status remove_if_there(base::FileSystem &file_system, const std::string &path) {
    const Status removed = file_system.remove(path);
    return removed.code() == Code::not_found ? Status() : removed;
}

FileHeader make_header(const NodeStore::Params &params, std::uint32_t magic) {
    FileHeader header{};
    header.magic = magic;
    header.version = format_version;
    header.identity = params.identity;
    header.record_bytes =
        magic == nodes_magic ? params.layout.stride : params.layout.upper_block_bytes;
    header.m = params.layout.m;
    header.vector_bytes = params.layout.vector_bytes;
    header.checksum = base::checksum(0, &header, offsetof(FileHeader, checksum));
    return header;
}

Status create_file(base::FileSystem &file_system, const std::string &path,
                   const FileHeader &header) {
    auto file = file_system.open(path, base::OpenMode::create);
    DVEC_TRY(file);
    DVEC_TRY(file.value()->allocate(file_header_bytes));
    return file.value()->write(0, &header, sizeof(header));
}

// The file's size when its header is sound and as expected.
Result<std::uint64_t> check_header(File &file, const FileHeader &expected) {
    auto size = file.size();
    if (!size.ok())
        return size;
    FileHeader header;
    if (size.value() < file_header_bytes)
        return Status(Code::corrupt, "file \"" + file.path() + "\" is too short");
    DVEC_TRY(file.read(0, &header, sizeof(header)));
    if (header.magic != expected.magic ||
        header.checksum != base::checksum(0, &header, offsetof(FileHeader, checksum)))
        return Status(Code::corrupt, "file \"" + file.path() + "\" has a damaged header");
    if (header.version != expected.version)
        return Status(Code::unsupported, "file \"" + file.path() + "\" has format version " +
                                             std::to_string(header.version));
    if (std::memcmp(&header, &expected, sizeof(header)) != 0)
        return Status(Code::mismatch, "file \"" + file.path() + "\" belongs to another index");
    return size;
}

std::uint64_t records_in(std::uint64_t file_bytes, std::uint32_t record_bytes,
                         std::uint64_t limit) {
    return std::min((file_bytes - file_header_bytes) / record_bytes, limit);
}

std::uint64_t bytes_for(std::uint64_t records, std::uint32_t record_bytes) {
    return file_header_bytes + records * record_bytes;
}

void raise_to(std::atomic<std::uint32_t> &mark, std::uint64_t value) {
    auto current = mark.load(std::memory_order_relaxed);
    const auto wanted = static_cast<std::uint32_t>(value);
    while (current < wanted && !mark.compare_exchange_weak(current, wanted)) {
    }
}

// What one file's growth needs to know.
struct Growth {
    File &file;
    std::atomic<std::uint32_t> &capacity;
    std::uint64_t needed;  // records that must fit
    std::uint32_t record_bytes;
    std::uint64_t limit;  // records that may ever fit
};

// Steps in proportion to the file keep calls rare where rows are many, and space where they are
// few. When the disk cannot take an ample step it may still take what is really needed.
Status grow(const Growth &growth) {
    if (growth.needed > growth.limit)
        return Status(Code::limit_exceeded,
                      "file \"" + growth.file.path() + "\" cannot hold more records");
    auto size = growth.file.size();
    DVEC_TRY(size);
    const std::uint64_t exact = bytes_for(growth.needed, growth.record_bytes);
    const std::uint64_t step = std::clamp(size.value() / 16, 8 * kibibyte, 256 * mebibyte);
    const std::uint64_t ample = std::max(
        exact, std::min(size.value() + step, bytes_for(growth.limit, growth.record_bytes)));
    Status status = growth.file.allocate(ample);
    if (status.code() == Code::no_space && exact < ample)
        status = growth.file.allocate(exact);
    DVEC_TRY(std::move(status));
    size = growth.file.size();
    DVEC_TRY(size);
    raise_to(growth.capacity, records_in(size.value(), growth.record_bytes, growth.limit));
    return {};
}

// Makes `map` at least `bytes` long, with room to grow before it has to move again.
Status cover(File &file, Mapping &map, std::uint64_t bytes) {
    if (map.size() >= bytes)
        return {};
    const std::uint64_t generous = (2 * bytes + mebibyte) / file_header_bytes * file_header_bytes;
    if (!map.empty())
        return map.extend(generous);
    auto fresh = file.map(generous, base::Access::read_write);
    DVEC_TRY(fresh);
    map = std::move(fresh).value();
    return {};
}

// A block may be named by 1 + its index in 32 bits.
constexpr std::uint64_t max_upper_blocks = 0xFFFFFFF0u;

}  // namespace

Status NodeStore::create_files(base::FileSystem &file_system, const Params &params) {
    return base::guarded([&]() -> Status {
        DVEC_TRY(create_file(file_system, path_of(params, nodes_prefix),
                             make_header(params, nodes_magic)));
        return create_file(file_system, path_of(params, upper_prefix),
                           make_header(params, upper_magic));
    });
}

Status NodeStore::remove_files(base::FileSystem &file_system, const Params &params) {
    return base::guarded([&]() -> Status {
        for (const std::string_view prefix : {nodes_prefix, upper_prefix})
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
        for (const std::string &name : names.value()) {
            const bool graph_file =
                name.starts_with(nodes_prefix) || name.starts_with(upper_prefix);
            if (!graph_file || name.substr(nodes_prefix.size()) == kept)
                continue;
            DVEC_TRY(remove_if_there(file_system, directory + "/" + name));
        }
        return {};
    });
}

Result<std::unique_ptr<NodeStore>> NodeStore::open(base::FileSystem &file_system,
                                                   const Params &params, SharedState &state) {
    return base::guarded([&]() -> Result<std::unique_ptr<NodeStore>> {
        std::unique_ptr<NodeStore> store(new NodeStore(file_system, params, state));
        auto open_checked = [&](const std::string &path, std::uint32_t magic,
                                MappedFile &mapped) -> Result<std::uint64_t> {
            auto opened = file_system.open(path, base::OpenMode::read_write);
            DVEC_TRY(opened);
            auto identity = opened.value()->identity();
            DVEC_TRY(identity);
            mapped.path = path;
            mapped.identity = identity.value();
            auto size = check_header(*opened.value(), make_header(params, magic));
            if (!size.ok())
                return size;
            mapped.bytes = size.value();
            DVEC_TRY(cover(*opened.value(), mapped.map, mapped.bytes));
            return size;
        };
        const auto nodes_size =
            open_checked(path_of(params, nodes_prefix), nodes_magic, store->nodes_file_);
        if (!nodes_size.ok())
            return nodes_size.status();
        const auto upper_size =
            open_checked(path_of(params, upper_prefix), upper_magic, store->upper_file_);
        if (!upper_size.ok())
            return upper_size.status();
        store->slots_ = store->nodes_file_.map.data() + file_header_bytes;
        store->blocks_ = store->upper_file_.map.data() + file_header_bytes;
        // Only by the first party. Later a file may be longer than its capacity for a moment, while
        // a growth is under way that fails and is taken back.
        if (state.capacity.load() == 0)
            raise_to(state.capacity,
                     records_in(nodes_size.value(), params.layout.stride, max_nodes));
        if (state.upper_capacity.load() == 0)
            raise_to(
                state.upper_capacity,
                records_in(upper_size.value(), params.layout.upper_block_bytes, max_upper_blocks));
        DVEC_TRY(store->refresh());
        return store;
    });
}

// The file that is mapped, and no other one: growing or syncing a file that has got its name since
// would leave the mapped one as it is.
Result<std::unique_ptr<File>> NodeStore::open_mapped(const MappedFile &mapped) const {
    auto file = file_system_.open(mapped.path, base::OpenMode::read_write);
    DVEC_TRY(file);
    auto identity = file.value()->identity();
    DVEC_TRY(identity);
    if (!(identity.value() == mapped.identity))
        return Status(Code::corrupt,
                      "file \"" + mapped.path + "\" has been replaced while it was in use");
    return file;
}

Status NodeStore::reserve_slots(std::uint32_t extra) {
    return base::guarded([&]() -> Status {
        const std::uint64_t needed =
            std::uint64_t{state_.allocated.load(std::memory_order_relaxed)} + extra;
        if (needed <= state_.capacity.load(std::memory_order_relaxed))
            return {};
        auto file = open_mapped(nodes_file_);
        DVEC_TRY(file);
        return grow({*file.value(), state_.capacity, needed, layout_.stride, max_nodes});
    });
}

Status NodeStore::reserve_upper_blocks(std::uint32_t extra) {
    return base::guarded([&]() -> Status {
        const std::uint64_t needed =
            std::uint64_t{state_.upper_allocated.load(std::memory_order_relaxed)} + extra;
        if (needed <= state_.upper_capacity.load(std::memory_order_relaxed))
            return {};
        auto file = open_mapped(upper_file_);
        DVEC_TRY(file);
        return grow({*file.value(), state_.upper_capacity, needed, layout_.upper_block_bytes,
                     max_upper_blocks});
    });
}

// The file is looked at only when it has to have grown.
Status NodeStore::follow(MappedFile &mapped, std::uint64_t bytes) const {
    if (bytes <= mapped.bytes)
        return {};
    auto file = open_mapped(mapped);
    DVEC_TRY(file);
    auto size = file.value()->size();
    DVEC_TRY(size);
    if (size.value() < bytes)
        return Status(Code::corrupt, "file \"" + mapped.path + "\" is shorter than its capacity");
    DVEC_TRY(cover(*file.value(), mapped.map, bytes));
    mapped.bytes = bytes;
    return {};
}

Status NodeStore::refresh() {
    return base::guarded([&]() -> Status {
        if (const auto slots = state_.capacity.load(std::memory_order_acquire);
            slots > mapped_slots_) {
            DVEC_TRY(follow(nodes_file_, bytes_for(slots, layout_.stride)));
            slots_ = nodes_file_.map.data() + file_header_bytes;
            mapped_slots_ = slots;
        }
        if (const auto blocks = state_.upper_capacity.load(std::memory_order_acquire);
            blocks > mapped_blocks_) {
            DVEC_TRY(follow(upper_file_, bytes_for(blocks, layout_.upper_block_bytes)));
            blocks_ = upper_file_.map.data() + file_header_bytes;
            mapped_blocks_ = blocks;
        }
        return {};
    });
}

void NodeStore::warm(NodeId first, NodeId end) const noexcept {
    end = std::min(end, mapped_slots_);
    if (first < end)
        nodes_file_.map.populate(bytes_for(first, layout_.stride), bytes_for(end, layout_.stride));
}

Result<std::uint64_t> NodeStore::bring_in(bool (*interrupted)()) const {
    return base::guarded([&]() -> Result<std::uint64_t> {
        DVEC_TRY(bring_in(upper_file_, interrupted));
        DVEC_TRY(bring_in(nodes_file_, interrupted));
        return upper_file_.bytes + nodes_file_.bytes;
    });
}

Status NodeStore::bring_in(const MappedFile &mapped, bool (*interrupted)()) const {
    auto file = open_mapped(mapped);
    if (!file.ok())
        return std::move(file).status();
    auto map = file.value()->map(mapped.bytes, base::Access::read_only);
    if (!map.ok())
        return std::move(map).status();
    for (std::uint64_t at = 0; at < mapped.bytes; at += brought_in_at_once) {
        if (interrupted != nullptr && interrupted())
            return Status(Code::interrupted, "reading the index was interrupted");
        DVEC_TRY(map.value().bring_in(at, std::min(mapped.bytes, at + brought_in_at_once)));
    }
    return {};
}

// The advice stays with a mapping that is extended.
void NodeStore::expect(base::Reading reading) const noexcept {
    const auto wanted = static_cast<std::uint8_t>(reading);
    if (expected_.exchange(wanted, std::memory_order_relaxed) == wanted)
        return;
    nodes_file_.map.expect(reading);
    upper_file_.map.expect(base::Reading::scattered);
}

bool NodeStore::in_memory(NodeId id) const noexcept {
    return nodes_file_.map.in_memory(bytes_for(id, layout_.stride) + layout_.vector_offset);
}

std::uint32_t NodeStore::payload_checksum(NodeId id, Tid tid) const noexcept {
    const std::uint32_t sum = base::checksum(head_checksum(id, tid), code(id), layout_.code_bytes);
    const std::uint32_t with_vector = base::checksum(sum, vector(id), layout_.vector_bytes);
    return layout_.lengths == Lengths::none
               ? with_vector
               : base::checksum(with_vector, vector(id) + layout_.length_behind(), sizeof(float));
}

std::uint32_t NodeStore::head_checksum(NodeId id, Tid tid) noexcept {
    // No padding: every byte of the array is written.
    const std::uint32_t head[3] = {id, tid.block, tid.offset};
    return base::checksum(0, head, sizeof(head));
}

std::uint32_t NodeStore::vector_hash(NodeId id) const noexcept {
    return vector_checksum_(slot(id)->checksum, head_checksum(id, state_tid(state(id))));
}

void NodeStore::write_length(NodeId id) noexcept {
    const std::byte *elements = vector(id);
    const float length =
        layout_.lengths == Lengths::of_floats
            ? distance::inverse_length(reinterpret_cast<const float *>(elements),
                                       layout_.vector_bytes / sizeof(float))
            : distance::inverse_length(reinterpret_cast<const distance::Half *>(elements),
                                       layout_.vector_bytes / sizeof(distance::Half));
    std::memcpy(slot_bytes(id) + layout_.vector_offset + layout_.length_behind(), &length,
                sizeof(length));
}

void NodeStore::write_payload(NodeId id, Tid tid, const void *vector) noexcept {
    SlotHeader *header = slot(id);
    // Not ready from the first store on, whatever the slot said before.
    header->state.store(pack_state(tid, 0), std::memory_order_relaxed);
    header->link_count.store(0, std::memory_order_relaxed);
    header->twin.store(0, std::memory_order_relaxed);
    std::memcpy(slot_bytes(id) + layout_.vector_offset, vector, layout_.vector_bytes);
    if (layout_.coded())
        // From the copy, which is aligned.
        distance::encode(reinterpret_cast<const float *>(this->vector(id)),
                         layout_.vector_bytes / sizeof(float),
                         slot_bytes(id) + layout_.code_offset);
    if (layout_.lengths != Lengths::none)
        write_length(id);
    header->checksum = payload_checksum(id, tid);
}

// Nobody else writes the word before the id is published. A locked instruction would wait until the
// payload's stores have reached the cache, which the release does not need.
void NodeStore::publish(NodeId id) noexcept {
    auto &word = slot(id)->state;
    word.store(word.load(std::memory_order_relaxed) | slot_ready, std::memory_order_release);
}

void NodeStore::restore_payload(NodeId id, Tid tid, const void *vector) noexcept {
    const std::uint64_t word = state(id);
    const bool there =
        (state_flags(word) & (slot_ready | slot_hole)) == slot_ready && state_tid(word) == tid &&
        std::memcmp(this->vector(id), vector, layout_.vector_bytes) == 0 && payload_intact(id);
    if (there) {
        slot(id)->state.store(pack_state(tid, slot_ready), std::memory_order_release);
        return;
    }
    write_payload(id, tid, vector);
    publish(id);
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
    std::memcpy(nodes_file_.map.data() + linking_progress_offset, &progress, sizeof(progress));
}

std::optional<LinkingProgress> NodeStore::noted_progress() const noexcept {
    LinkingProgress progress;
    std::memcpy(&progress, nodes_file_.map.data() + linking_progress_offset, sizeof(progress));
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
    return (before & slot_hole) == 0;
}

bool NodeStore::mark_deleted(NodeId id) noexcept {
    auto &word = slot(id)->state;
    std::uint64_t current = word.load(std::memory_order_relaxed);
    do {
        if ((current & (slot_deleted | slot_hole)) != 0)
            return false;
    } while (!word.compare_exchange_weak(current, current | slot_deleted, std::memory_order_acq_rel,
                                         std::memory_order_relaxed));
    state_.deleted.fetch_add(1, std::memory_order_relaxed);
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

// Through a descriptor of the moment, which reports what failed to be written since anybody last
// asked: the mapping keeps the kernel from forgetting the file.
Status NodeStore::sync() {
    return base::guarded([&]() -> Status {
        for (const MappedFile *mapped : {&nodes_file_, &upper_file_}) {
            auto file = open_mapped(*mapped);
            DVEC_TRY(file);
            DVEC_TRY(file.value()->sync());
        }
        return {};
    });
}

Result<std::uint64_t> NodeStore::file_change_time() {
    return base::guarded([&]() -> Result<std::uint64_t> {
        auto file = open_mapped(nodes_file_);
        return file.ok() ? file.value()->change_time() : std::move(file).status();
    });
}

Result<std::uint64_t> NodeStore::disk_bytes() {
    return base::guarded([&]() -> Result<std::uint64_t> {
        std::uint64_t bytes = 0;
        for (const MappedFile *mapped : {&nodes_file_, &upper_file_}) {
            auto file = open_mapped(*mapped);
            DVEC_TRY(file);
            auto size = file.value()->size();
            if (!size.ok())
                return size;
            bytes += size.value();
        }
        return bytes;
    });
}

}  // namespace dvec::graph
