// Lets arbitrary bytes be the graph files of an index: opening, searching, making links sound, and
// linking more nodes must neither crash nor hang nor touch memory outside of the files, and a
// search returns every live slot once and no other, whatever the links say.
//
// The input is a script: a byte of flags, one of which says that slots have codes; the watermarks
// that a checkpoint would give (linked and allocated nodes, upper blocks, entry point and its level
// plus one, a byte each); the number of slots; then the slots as they stand in the file; the rest
// are the upper blocks. Headers are made sound, but for one flag that lays bytes of the input over
// them.
//
// The seeds in corpus/graph come from the files of an index built with the description below:
// 24 rows, some of them removed, linked and not, with and without codes. A run with
// DVEC_FUZZ_SEEDS=<folder> writes them.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "engine/base/checksum.hpp"
#include "engine/distance/code.hpp"
#include "engine/graph/linker.hpp"
#include "engine/graph/node_store.hpp"
#include "engine/graph/sanitize.hpp"
#include "engine/graph/search.hpp"
#include "memory_file_system.hpp"

namespace {

using namespace dvec;
using fuzz::require;
using fuzz::Script;

constexpr std::uint32_t m = 4;
constexpr std::uint32_t dimensions = 4;
constexpr std::uint32_t spare_slots = 4;
constexpr std::uint8_t flag_damaged_headers = 1;
constexpr std::uint8_t flag_codes = 2;

// Whether the slots of this input have codes. Real ones have them only when they are long, which
// makes no difference to the code that reads them.
bool coded = false;

const distance::Kernel &kernel() {
    static const distance::Kernel *const found =
        distance::find_kernel(distance::Element::float32, distance::Metric::l2_squared);
    return *found;
}

graph::NodeStore::Params params() {
    const auto bytes = static_cast<std::uint32_t>(kernel().vector_bytes(dimensions));
    const auto code_bytes = static_cast<std::uint32_t>(distance::code_bytes(dimensions));
    return {"index", 77, graph::Layout::make(m, bytes, coded ? code_bytes : 0), 1};
}

graph::Linker::Params linker_params() {
    graph::Linker::Params made;
    made.kernel = kernel();
    made.dimensions = dimensions;
    made.ef_construction = 16;
    return made;
}

struct Watermarks {
    std::uint8_t linked, allocated, upper_blocks, entry, level, slots;
};

void damage(fuzz::MemoryFileSystem &files, const std::string &path, Script &script) {
    auto bytes = files.get(path);
    for (int i = 0; i < 4; ++i)
        bytes[script.byte() % sizeof(graph::FileHeader)] ^= static_cast<char>(script.byte());
    files.put(path, bytes.data(), bytes.size());
}

void append(fuzz::MemoryFileSystem &files, const std::string &path, const std::vector<char> &more) {
    auto bytes = files.get(path);
    bytes.insert(bytes.end(), more.begin(), more.end());
    files.put(path, bytes.data(), bytes.size());
}

// Both files as the script has them.
void make_files(fuzz::MemoryFileSystem &files, std::uint8_t flags, const Watermarks &marks,
                Script &script) {
    const auto layout = params().layout;
    require(graph::NodeStore::create_files(files, params()).ok());
    if ((flags & flag_damaged_headers) != 0) {
        damage(files, "index/nodes.1", script);
        damage(files, "index/upper.1", script);
    }
    std::vector<char> slots((std::size_t{marks.slots} + spare_slots) * layout.stride);
    script.take(slots.data(), std::size_t{marks.slots} * layout.stride);
    append(files, "index/nodes.1", slots);
    std::vector<char> blocks(script.left());
    script.take(blocks.data(), blocks.size());
    append(files, "index/upper.1", blocks);
}

// As far as recovery would believe them.
void set_watermarks(graph::NodeStore &nodes, graph::SharedState &state, const Watermarks &marks) {
    state.allocated = std::min<std::uint32_t>(marks.allocated, nodes.mapped_slots());
    state.linked = std::min<std::uint32_t>(marks.linked, state.allocated);
    state.upper_allocated =
        std::min<std::uint32_t>(marks.upper_blocks, nodes.mapped_upper_blocks());
    state.entry_point =
        graph::EntryPoint::pack({marks.entry, marks.level % (graph::max_level + 2) - 1});
}

void check_search(graph::NodeStore &nodes) {
    std::set<graph::NodeId> live;
    const std::uint32_t allocated = nodes.shared().allocated;
    for (graph::NodeId id = 0; id < allocated; ++id) {
        static_cast<void>(nodes.slot_intact(id));
        if (graph::is_live(nodes.state(id)))
            live.insert(id);
    }
    for (const std::uint32_t ef : {1u, 8u}) {
        const float query[dimensions] = {0.5f, -0.25f, 1, 0};
        graph::Search search;
        graph::Search::Params search_params;
        search_params.kernel = kernel();
        search_params.dimensions = dimensions;
        search_params.ef = ef;
        require(search.start(nodes, graph::Watermarks::load(nodes.shared()), query, search_params)
                    .ok());
        std::set<graph::NodeId> found;
        for (;;) {
            const auto hit = search.next();
            require(hit.ok());
            if (!hit.value())
                break;
            require(live.contains(hit.value()->id));
            require(hit.value()->tid == graph::state_tid(nodes.state(hit.value()->id)));
            require(found.insert(hit.value()->id).second);
        }
        require(found == live);
    }
}

void add_nodes(graph::NodeStore &nodes) {
    graph::SharedState &state = nodes.shared();
    while (state.allocated < nodes.mapped_slots()) {
        const graph::NodeId id = state.allocated;
        const float vector[dimensions] = {static_cast<float>(id % 5), 1, -1, 0.125f};
        nodes.write_payload(id, {id, 1}, vector);
        nodes.publish(id);
        state.allocated = id + 1;
    }
}

// What is allocated but was never published is not waited for: a log would have said what it is.
// Damaged payloads stay; they may be found later than the linker comes to them.
void settle(graph::NodeStore &nodes) {
    for (graph::NodeId id = 0; id < nodes.shared().allocated; ++id)
        if ((graph::state_flags(nodes.state(id)) & (graph::slot_ready | graph::slot_hole)) == 0)
            nodes.mark_hole(id);
}

void link_all(graph::NodeStore &nodes) {
    auto linker = graph::Linker::create(nodes, linker_params());
    require(linker.ok());
    const std::atomic<bool> stop{false};
    const base::Status linked = linker.value()->link(nodes.shared().allocated, stop);
    require(linked.ok());
    require(nodes.shared().linked == nodes.shared().allocated);
}

void check_links(graph::NodeStore &nodes) {
    const std::uint32_t linked = nodes.shared().linked;
    for (graph::NodeId id = 0; id < linked; ++id) {
        const std::uint32_t count = nodes.slot(id)->link_count;
        require(count <= nodes.layout().level0_links());
        for (std::uint32_t i = 0; i < count; ++i)
            require(nodes.links(id)[i] < linked && nodes.links(id)[i] != id);
    }
}

// --- Seeds ---

void write_seed(const std::string &path, const fuzz::MemoryFileSystem &files,
                const Watermarks &marks, std::uint32_t upper_blocks) {
    const auto layout = params().layout;
    const auto nodes = files.get("index/nodes.1");
    const auto upper = files.get("index/upper.1");
    std::ofstream out(path, std::ios::binary);
    out.put(coded ? flag_codes : 0);
    out.write(reinterpret_cast<const char *>(&marks), sizeof marks);
    out.write(nodes.data() + graph::file_header_bytes,
              static_cast<std::streamsize>(marks.slots * layout.stride));
    out.write(upper.data() + graph::file_header_bytes,
              static_cast<std::streamsize>(upper_blocks * layout.upper_block_bytes));
}

void write_seeds(const std::string &folder) {
    fuzz::MemoryFileSystem files;
    graph::SharedState state{};
    require(graph::NodeStore::create_files(files, params()).ok());
    auto opened = graph::NodeStore::open(files, params(), state);
    require(opened.ok());
    graph::NodeStore &nodes = *opened.value();
    require(nodes.reserve_slots(24).ok() && nodes.refresh().ok());
    auto linker = graph::Linker::create(nodes, linker_params());
    require(linker.ok());
    const std::atomic<bool> stop{false};
    std::minstd_rand random(5);
    const auto seed = [&](const char *name) {
        const auto entry = graph::EntryPoint::unpack(state.entry_point);
        const Watermarks marks{static_cast<std::uint8_t>(state.linked),
                               static_cast<std::uint8_t>(state.allocated),
                               static_cast<std::uint8_t>(state.upper_allocated),
                               static_cast<std::uint8_t>(entry.id),
                               static_cast<std::uint8_t>(entry.level + 1),
                               static_cast<std::uint8_t>(state.allocated)};
        write_seed(folder + "/" + (coded ? "coded_" : "") + name, files, marks,
                   state.upper_allocated);
    };
    for (graph::NodeId id = 0; id < 24; ++id) {
        float vector[dimensions];
        for (float &x : vector)
            x = static_cast<float>(random() % 2000) / 1000 - 1;
        nodes.write_payload(id, {id / 8, static_cast<std::uint16_t>(id % 8 + 1)}, vector);
        nodes.publish(id);
        state.allocated = id + 1;
        if (id == 3)
            seed("tail_only");
        if (id == 17)
            require(linker.value()->link(18, stop).ok());
    }
    seed("linked_and_tail");
    require(linker.value()->link(24, stop).ok());
    seed("linked");
    for (const graph::NodeId id : {2u, 9u, 23u})
        nodes.mark_deleted(id);
    nodes.mark_hole(5);
    seed("deleted_and_hole");
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int *, char ***) {
    if (const char *folder = std::getenv("DVEC_FUZZ_SEEDS")) {
        write_seeds(folder);
        coded = true;
        write_seeds(folder);
    }
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    Script script(data, size);
    const std::uint8_t flags = script.byte();
    coded = (flags & flag_codes) != 0;
    auto marks = script.number<Watermarks>();
    marks.slots %= 64;
    fuzz::MemoryFileSystem files;
    make_files(files, flags, marks, script);

    graph::SharedState state{};
    auto opened = graph::NodeStore::open_first(files, params(), state);
    if (!opened.ok()) {
        require((flags & flag_damaged_headers) != 0);
        return 0;
    }
    graph::NodeStore &nodes = *opened.value();
    require(nodes.mapped_slots() == marks.slots + spare_slots);
    set_watermarks(nodes, state, marks);
    require(nodes.refresh().ok());
    check_search(nodes);

    settle(nodes);
    check_search(nodes);
    const std::atomic<bool> stop{false};
    require(graph::sanitize_links(nodes, stop).ok());
    check_links(nodes);
    check_search(nodes);
    const auto again = graph::sanitize_links(nodes, stop);
    require(again.ok() && again.value().repairs == 0);

    add_nodes(nodes);
    link_all(nodes);
    check_links(nodes);
    check_search(nodes);
    return 0;
}
