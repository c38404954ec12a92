// Others may change links during the check, one atomic word at a time. So a list is judged word by
// word: each id must lie within the file, whichever state of the list it belongs to.
#include "engine/store/file_check.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "engine/graph/twins.hpp"
#include "engine/log/reader.hpp"
#include "engine/store/checkpoint.hpp"

namespace dvec::store {

using base::Code;
using base::Status;
using graph::NodeId;

namespace {

constexpr NodeId nodes_between_polls = 1024;

// While nodes are linked, some are cut off now and then, until the worker connects them again.
// Searches find even a node that no walk reaches, if they go on to their end. So it counts as
// damage only when next to nothing can be reached, at most one node in so many; or when a single
// node cannot be reached although the worker has made sure that there is none.
constexpr std::uint64_t reachable_share = 50;

class FileCheck {
  public:
    FileCheck(Index &index, const FileCheckCalls &calls)
        : index_(index), calls_(calls), nodes_(index.nodes()) {}

    Status run() {
        auto end = index_.refresh();
        DVEC_TRY(end);
        // Links may lead to nodes that were added after this, so the bound for a link is read after
        // the link (check_list).
        end_ = end.value();
        linked_ = graph::Watermarks::load(index_.state().graph).linked;
        DVEC_TRY(each_node([this](NodeId id) { check_node(id); }));
        DVEC_TRY(check_reachability());
        DVEC_TRY(check_log());
        DVEC_TRY(check_checkpoint());
        // Whatever was found counts only if these are still the files of the index.
        DVEC_TRY(index_.refresh());
        return {};
    }

  private:
    template <class Check>
    Status each_node(const Check &check) {
        const graph::ReadingInOrder reading(nodes_);
        for (NodeId id = 0; id < end_; ++id) {
            if (id % nodes_between_polls == 0)
                DVEC_TRY(poll());
            check(id);
        }
        return {};
    }
    Status poll() const {
        if (calls_.interrupted != nullptr && calls_.interrupted())
            return Status(Code::interrupted, "the check was stopped");
        return {};
    }

    void find(DamagedPart part, const std::string &file, std::uint64_t offset,
              std::string problem) const {
        calls_.report({part, file, offset, std::move(problem)});
    }
    void find_in_node(DamagedPart part, NodeId id, const std::string &problem) const {
        find(part, nodes_.nodes_path(), nodes_.file_offset(id),
             "node " + std::to_string(id) + ": " + problem);
    }

    void check_node(NodeId id) {
        if (!nodes_.slot_intact(id)) {
            find_in_node(DamagedPart::payload, id,
                         graph::flags_sound(graph::state_flags(nodes_.state(id)))
                             ? "the checksum does not match"
                             : "its state is impossible");
            return;
        }
        const auto *header = nodes_.slot(id);
        if (nodes_.layout().columns > 0)
            check_hints(id);
        check_twin(id);
        check_list(id, 0, header->link_count.load(std::memory_order_acquire), nodes_.links(id));
        check_upper(id, header->upper.load(std::memory_order_acquire));
    }

    // Each hint and the word of the slot that it is about are read in the opposite order to that in
    // which they are written.
    void check_hints(NodeId id) const {
        const bool gone = nodes_.is_gone(id);
        if (gone && graph::is_live(nodes_.state(id)))
            find_in_columns(id, "it is marked as gone and is not");
        const std::uint32_t word = nodes_.slot(id)->twin.load(std::memory_order_acquire);
        if (word != 0 && (word & graph::twin_mark) == 0 && !nodes_.is_shared(id))
            find_in_columns(id, "it has a chain of twins and is not marked so");
    }
    void find_in_columns(NodeId id, const std::string &problem) const {
        find(DamagedPart::links, nodes_.columns_path(), nodes_.chunk_offset(id),
             "node " + std::to_string(id) + ": " + problem);
    }

    // Checks the next twin that the slot names and, for a twin, whether it has the vector of its
    // node or is its near twin.
    void check_twin(NodeId id) const {
        const std::uint32_t word = nodes_.slot(id)->twin.load(std::memory_order_acquire);
        const std::uint32_t next = word & ~graph::twin_mark;
        if (next != 0 && (next - 1 <= id || next > index_.state().graph.capacity.load()))
            find_in_node(DamagedPart::links, id, "its next twin cannot be one");
        if ((word & graph::twin_mark) == 0 || id >= linked_ || !graph::is_live(nodes_.state(id)))
            return;
        const NodeId node = graph::named_node(nodes_, id);
        if (node >= id || !graph::is_sound_twin(nodes_, id))
            find_in_node(DamagedPart::links, id, "it is the twin of a node with another vector");
    }

    void check_list(NodeId id, int level, std::uint32_t count,
                    const std::atomic<NodeId> *links) const {
        const graph::Layout &layout = nodes_.layout();
        const std::uint32_t most = level == 0 ? layout.level0_links() : layout.m;
        const std::string where = " on level " + std::to_string(level);
        if (count > most) {
            find_in_node(DamagedPart::links, id,
                         std::to_string(count) + " links" + where + " are too many");
            return;
        }
        for (std::uint32_t i = 0; i < count; ++i) {
            const NodeId target = links[i].load(std::memory_order_acquire);
            // Lists may still hold ids that a crash took back; nobody follows those, so only ids
            // beyond the file are damage.
            if (target >= index_.state().graph.capacity.load(std::memory_order_acquire))
                find_in_node(DamagedPart::links, id,
                             "a link" + where + " leads to node " + std::to_string(target) +
                                 ", which does not exist");
        }
    }

    void check_upper(NodeId id, std::uint32_t reference) const {
        const int level = graph::node_level(id, nodes_.layout().m);
        const auto block = nodes_.owned_upper_blocks(id, nodes_.mapped_upper_blocks());
        if (!block) {
            // The node may not be linked yet, or its blocks may have been made and mapped just now.
            const bool may_be_later =
                id >= linked_ || reference > nodes_.mapped_upper_blocks() || reference == 0;
            if (!may_be_later || (reference != 0 && level == 0))
                find_in_node(DamagedPart::links, id, "its upper links are not its own");
            return;
        }
        for (int at = 1; at <= level; ++at) {
            const auto *words = nodes_.upper_block(*block + static_cast<std::uint32_t>(at) - 1);
            check_list(id, at, words[0].load(std::memory_order_acquire), words + 1);
        }
    }

    // While nodes are linked, the only way to an older node may come to lead through a newer one
    // that does not count yet. So this is judged only when the index rests. Where the worker has
    // connected all nodes, none may be cut off.
    Status check_reachability() {
        const auto marks = graph::Watermarks::load(index_.state().graph);
        const auto kernel = known_kernel(index_.description());
        if (!kernel.ok() || !rests(marks))
            return {};
        const bool connected = is_connected(marks);
        auto counted = graph::count_unreachable(
            index_.writable_nodes(), reachability_params(index_.description(), kernel.value()),
            [this] { return calls_.interrupted != nullptr && calls_.interrupted(); });
        DVEC_TRY(counted);
        const std::uint64_t unreachable = counted.value();
        if (unreachable == 0 || !rests(marks))
            return {};
        if (connected && is_connected(marks)) {
            find(DamagedPart::links, nodes_.nodes_path(), 0,
                 std::to_string(unreachable) + " nodes cannot be reached through links");
            return {};
        }
        const std::uint64_t live = count_live(marks.linked);
        const std::uint64_t reached = live - std::min(live, unreachable);
        if (live > 1 && reached * reachable_share < live)
            find(DamagedPart::links, nodes_.nodes_path(), 0,
                 "only " + std::to_string(reached) + " of " + std::to_string(live) +
                     " linked nodes can be reached through links");
        return {};
    }

    bool rests(const graph::Watermarks &marks) const {
        const auto now = graph::Watermarks::load(index_.state().graph);
        return marks.linked > 0 && marks.linked == marks.allocated && marks.linked <= end_ &&
               now.linked == marks.linked && now.allocated == marks.allocated;
    }
    bool is_connected(const graph::Watermarks &marks) const {
        const SharedState &state = index_.state();
        return state.connected.load() == marks.linked && state.links_unsound.load() == 0;
    }
    std::uint64_t count_live(NodeId end) const {
        std::uint64_t live = 0;
        for (NodeId id = 0; id < end; ++id)
            live += graph::is_live(nodes_.state(id)) ? 1 : 0;
        return live;
    }

    // Others go on appending, so only the log before the head, which is read first, is judged. A
    // checkpoint that is taken meanwhile removes what was to be read.
    Status check_log() {
        const SharedState &state = index_.state();
        for (;;) {
            DVEC_TRY(poll());
            const log::Position begin = state.checkpoint_position.load();
            const log::Position head = state.log.head.load(std::memory_order_acquire);
            if (begin == head)
                return {};
            const log::Geometry geometry = log_geometry(index_.description());
            auto replayed = log::replay(index_.file_system(), geometry, begin,
                                        [](const log::Record &) { return Status(); });
            if (state.checkpoint_position.load() != begin)
                continue;
            DVEC_TRY(replayed);
            report_log_damage(geometry, replayed.value(), head);
            return {};
        }
    }

    void report_log_damage(const log::Geometry &geometry, const log::ReplayReport &replay,
                           log::Position head) const {
        for (const log::Damage &damage : replay.damage) {
            const auto segment =
                log::segment_number(damage.file.substr(damage.file.rfind('/') + 1));
            if (segment && geometry.start_of(*segment) + damage.offset >= head)
                continue;
            find(DamagedPart::log, damage.file, damage.offset, damage.reason);
        }
        if (geometry.place(replay.end, sizeof(log::RecordHeader)) < head)
            find(DamagedPart::log, geometry.segment_path(geometry.segment_of(replay.end)),
                 geometry.offset_of(replay.end), "the log ends here and should go on");
    }

    Status check_checkpoint() const {
        auto file = CheckpointFile::open(index_.file_system(), index_.description().directory);
        DVEC_TRY(file);
        auto damaged = file.value().damaged_blocks();
        DVEC_TRY(damaged);
        for (const std::uint64_t offset : damaged.value())
            find(DamagedPart::checkpoint, file.value().path(), offset,
                 "the checkpoint record is damaged");
        return {};
    }

    Index &index_;
    const FileCheckCalls &calls_;
    const graph::NodeStore &nodes_;
    NodeId end_ = 0;
    NodeId linked_ = 0;
};

}  // namespace

Status check_files(Index &index, const FileCheckCalls &calls) {
    return base::guarded([&] { return FileCheck(index, calls).run(); });
}

}  // namespace dvec::store
