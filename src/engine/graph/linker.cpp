// Construction of the graph. hnswlib's class is made to work on the mapped files instead of memory
// of its own: its members are public, so the derived class points them at the slots, and gives them
// back empty before hnswlib's destructor would free them.
#include "engine/graph/linker.hpp"

#include <hnswlib/hnswlib.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "engine/graph/await_payload.hpp"
#include "engine/graph/candidate_search.hpp"
#include "engine/graph/mapped_graph.hpp"
#include "engine/graph/neighbour_selection.hpp"
#include "engine/graph/node_distances.hpp"
#include "engine/graph/prefetch.hpp"
#include "engine/graph/thread_pool.hpp"
#include "engine/graph/twin_linking.hpp"

namespace dvec::graph {
namespace {

// hnswlib is a template over its distance type. A type of this file keeps every instantiation
// private to this file: another hnswlib in the same process, of another version, cannot be mixed up
// with it.
struct Distance {
    float value;

    friend bool operator<(Distance a, Distance b) { return a.value < b.value; }
    friend bool operator>(Distance a, Distance b) { return a.value > b.value; }
    friend Distance operator-(Distance a) { return {-a.value}; }
};

}  // namespace

}  // namespace dvec::graph

template <>
struct std::numeric_limits<dvec::graph::Distance> {
    static constexpr dvec::graph::Distance max() { return {std::numeric_limits<float>::max()}; }
};

namespace dvec::graph {

using base::Code;
using base::Result;
using base::Status;

namespace {

using Graph = hnswlib::HierarchicalNSW<Distance>;
using LinkWord = std::atomic<std::uint32_t>;

// Below this many nodes per thread, waking a thread costs more than it brings.
constexpr std::uint32_t nodes_per_thread = 4;

constexpr NodeId slots_ahead = 16;

}  // namespace

class Linker::Construction final : private MappedGraph<Graph> {
  public:
    Construction(NodeStore &nodes, const Params &params)
        : nodes_(nodes),
          distances_(nodes, params.kernel, params.dimensions),
          measured_lines_(
              lines_ahead(nodes.layout().measured_offset(), nodes.layout().measured_bytes())),
          empty_tower_(std::size_t{max_level} * nodes.layout().upper_block_bytes),
          twins_(nodes, distances_.copies(), params.most_near_twins) {
        const Layout &layout = nodes.layout();
        M_ = maxM_ = layout.m;
        maxM0_ = layout.level0_links();
        ef_construction_ = std::max(params.ef_construction, layout.m);
        size_data_per_element_ = layout.stride;
        size_links_per_element_ = layout.upper_block_bytes;
        offsetLevel0_ = offsetof(SlotHeader, link_count);
        offsetData_ = layout.measured_offset();
        data_size_ = layout.measured_bytes();
        pool_ = std::make_unique<ThreadPool>(std::max(params.threads, 1u) - 1);
        scratch_.resize(pool_->helpers() + 1);
    }

    Status adopt();
    Status link(NodeId end, const std::atomic<bool> &stop);

  private:
    // The neighbours chosen for a new node on one level, nearest first in each part.
    struct Selection {
        std::vector<NodeId> ids;
        std::size_t diverse = 0;  // the first so many lie in different directions
    };
    // Memory of one thread, kept from node to node.
    struct Scratch {
        std::vector<Selection> selections;  // per level
        std::vector<NodeId> list;
        NeighbourSelection choice;
        CandidateSearch search;
        TwinLinking::Changes twins;  // of this batch
    };
    // Whether the node may become a near twin of one that was found.
    enum class Joining : std::uint8_t { allowed, refused };
    // What a walk on one level sees of the graph.
    struct LevelView;

    void adopt_node(NodeId id, NodeId linked, std::uint32_t blocks);
    bool entry_sound(EntryPoint entry, NodeId linked) const;
    Status follow_capacity();
    Status await_payloads(NodeId first, NodeId end, const std::atomic<bool> &stop);
    void find_twins(NodeId first, NodeId end);
    NodeId enter_vector(NodeId id);
    Status prepare_towers(NodeId first, NodeId end);
    void forget(NodeId first, NodeId end);
    void give_tower(NodeId id, std::uint32_t block);
    void work(Scratch &scratch, const std::atomic<bool> &stop);
    void link_node(NodeId id, Joining joining, Scratch &scratch);
    void attach_twins(const std::atomic<bool> &stop);
    void place_apart(NodeId id);
    NodeId find_neighbours(NodeId from, NodeId id, int level, Scratch &scratch);
    void store_own_links(NodeId id, int level, const Selection &selection, Scratch &scratch);
    void link_back(NodeId neighbour, NodeId id, int level, Scratch &scratch);
    void reselect(NodeId node, NodeId added, int level, Scratch &scratch);

    std::uint32_t list_limit(int level) const {
        return static_cast<std::uint32_t>(level == 0 ? maxM0_ : maxM_);
    }
    // The count word of a node's list on one level; the ids follow it.
    LinkWord *list(NodeId id, int level) const {
        return level == 0 ? &nodes_.slot(id)->link_count
                          : reinterpret_cast<LinkWord *>(get_linklist(id, level));
    }
    // Whether `id`, met in a list of `level`, is a node that `self` may be linked to. Stale links
    // lead to nodes that are not linked yet, were passed over, or lie beyond the batch.
    bool linkable(NodeId id, NodeId self, int level) const {
        return id < end_ && id != self && element_levels_[id] >= level;
    }
    // The same for a node about to get a new link: holes among the nodes linked earlier are known
    // only by their state word, a cache line that reselecting old links can do without.
    bool usable(NodeId id, NodeId self, int level) const {
        return linkable(id, self, level) &&
               (state_flags(nodes_.state(id)) & (slot_ready | slot_hole)) == slot_ready;
    }

    NodeStore &nodes_;
    NodeDistances distances_;
    const std::size_t measured_lines_;  // of what is measured, cache lines worth prefetching
    // What linkLists_ points to for nodes without blocks: every list empty, at any level.
    std::vector<char> empty_tower_;
    std::vector<char *> towers_;  // linkLists_: per node, its first upper block
    // Per node, how many entries at the head of its level-0 list were kept together by an earlier
    // selection. Guarded by the node's lock. Zero is always true, so it need not survive.
    std::vector<std::uint8_t> settled_;
    std::unique_ptr<ThreadPool> pool_;
    std::vector<Scratch> scratch_;
    TwinLinking twins_;

    // hnswlib's element_levels_ holds the level of every linked node and of those of the current
    // batch that will be linked; -1 for all others.
    NodeId known_end_ = 0;  // ids below are linked, as far as this linker knows
    NodeId end_ = 0;        // of the current batch
    NodeId tried_end_ = 0;  // ids below may have links left from a batch that was stopped
    std::atomic<std::uint64_t> entry_{0};
    std::atomic<std::uint32_t> next_{0};
    std::mutex failure_mutex_;
    Status failure_;
    std::atomic<bool> failed_{false};
};

struct Linker::Construction::LevelView {
    const Construction &graph;
    NodeId node;  // whose neighbours are looked for
    int level;

    const LinkWord *list(NodeId id) const { return graph.list(id, level); }
    std::uint32_t limit() const { return graph.list_limit(level); }
    // A list on level 0 has every node, with or without links; the others are few.
    bool followable(NodeId id) const {
        return id < graph.end_ && (level == 0 || graph.usable(id, node, level));
    }
    Candidate measure(NodeId id) const {
        return make_candidate(graph.distances_.between(node, id), id);
    }
    void prefetch(NodeId id) const {
        prefetch_lines(graph.getDataByInternalId(id), graph.measured_lines_);
    }
    void prefetch_list(NodeId id) const {
        if (level == 0)
            prefetch_lines(graph.nodes_.slot(id), graph.nodes_.layout().link_lines());
    }
};

// Takes over the graph that is there: towers and levels of the linked nodes.
Status Linker::Construction::adopt() {
    const SharedState &shared = nodes_.shared();
    const NodeId linked = shared.linked.load(std::memory_order_acquire);
    const auto entry = EntryPoint::unpack(shared.entry_point.load(std::memory_order_acquire));
    DVEC_TRY(follow_capacity());
    twins_.begin_batch(linked);
    if (linked > nodes_.mapped_slots())
        return Status(Code::corrupt, "more nodes are linked than there are slots");
    const std::uint32_t blocks = std::min(shared.upper_allocated.load(std::memory_order_acquire),
                                          nodes_.mapped_upper_blocks());
    for (NodeId id = 0; id < linked; ++id) {
        __builtin_prefetch(nodes_.slot(id + slots_ahead));
        adopt_node(id, linked, blocks);
    }
    known_end_ = linked;
    return entry_sound(entry, linked)
               ? Status()
               : Status(Code::corrupt, "the entry point is not a linked node");
}

// Chains end with the linked nodes: what a crash left behind them may get other vectors.
void Linker::Construction::adopt_node(NodeId id, NodeId linked, std::uint32_t blocks) {
    auto &next = nodes_.slot(id)->twin;
    if (const std::uint32_t word = next.load(std::memory_order_relaxed);
        (word & ~twin_mark) > linked)
        next.store(word & twin_mark, std::memory_order_relaxed);
    element_levels_[id] = -1;
    if (is_twin(nodes_, id)) {
        if (twins_.adopt(id))
            enter_vector(id);
        return;
    }
    int level = node_level(id, nodes_.layout().m);
    if (level > 0) {
        if (const auto block = nodes_.owned_upper_blocks(id, blocks))
            towers_[id] = reinterpret_cast<char *>(nodes_.upper_block(*block));
        else
            level = 0;
    }
    element_levels_[id] = level;
    // Those that were passed over have no links to be shared.
    const std::uint16_t flags = state_flags(nodes_.state(id));
    if ((flags & slot_deleted) == 0 ||
        nodes_.slot(id)->link_count.load(std::memory_order_relaxed) > 0)
        enter_vector(id);
}

bool Linker::Construction::entry_sound(EntryPoint entry, NodeId linked) const {
    return entry.level < 0 || (entry.id < linked && element_levels_[entry.id] == entry.level);
}

// Brings this process's view up to the files' current size.
Status Linker::Construction::follow_capacity() {
    const char *blocks_before = reinterpret_cast<char *>(nodes_.upper_block(0));
    DVEC_TRY(nodes_.refresh());
    data_level0_memory_ = reinterpret_cast<char *>(nodes_.slot(0));
    if (const auto moved = reinterpret_cast<char *>(nodes_.upper_block(0)) - blocks_before;
        moved != 0)
        for (char *&tower : towers_)
            if (tower != empty_tower_.data())
                tower += moved;

    const std::size_t capacity = nodes_.mapped_slots();
    if (capacity > max_elements_ || towers_.empty()) {
        std::vector<std::mutex> locks(capacity);
        element_levels_.resize(capacity, -1);
        towers_.resize(capacity, empty_tower_.data());
        settled_.resize(capacity, 0);
        distances_.resize(capacity);
        link_list_locks_.swap(locks);
        max_elements_ = capacity;
    }
    linkLists_ = towers_.data();
    return {};
}

Status Linker::Construction::link(NodeId end, const std::atomic<bool> &stop) {
    SharedState &shared = nodes_.shared();
    const NodeId first = shared.linked.load(std::memory_order_relaxed);
    if (end > shared.allocated.load(std::memory_order_acquire))
        return Status(Code::invalid_argument, "cannot link ids that are not allocated");
    if (end <= first)
        return {};
    DVEC_TRY(follow_capacity());
    // Only where another has written into shared memory.
    const std::uint64_t entry = shared.entry_point.load(std::memory_order_relaxed);
    if (end > nodes_.mapped_slots() || first > known_end_ ||
        !entry_sound(EntryPoint::unpack(entry), first))
        return Status(Code::corrupt, "the watermarks of the graph are impossible");
    DVEC_TRY(await_payloads(first, end, stop));
    find_twins(first, end);
    DVEC_TRY(prepare_towers(first, end));
    forget(end, tried_end_);
    tried_end_ = end_ = end;

    // Not the one a stopped batch may have left: that node's links are gone.
    entry_.store(entry, std::memory_order_relaxed);
    next_.store(first, std::memory_order_relaxed);
    failed_.store(false, std::memory_order_relaxed);
    failure_ = Status();
    for (Scratch &scratch : scratch_)
        scratch.twins = {};
    pool_->run((end - first) / nodes_per_thread,
               [&](unsigned worker) { work(scratch_[worker], stop); });
    if (!failure_.ok())
        return failure_;
    if (next_.load(std::memory_order_relaxed) < end)
        return Status(Code::interrupted, "linking was stopped");

    attach_twins(stop);
    known_end_ = end;
    // In this order: Watermarks::load relies on it.
    shared.linked.store(end, std::memory_order_release);
    shared.entry_point.store(entry_.load(std::memory_order_relaxed), std::memory_order_release);
    nodes_.note_progress();
    return {};
}

// Waits until every id of the batch has its payload or is known to have none, and fixes for the
// whole batch which ones are linked: a node deleted later in the batch is linked like any other.
Status Linker::Construction::await_payloads(NodeId first, NodeId end,
                                            const std::atomic<bool> &stop) {
    for (NodeId id = first; id < end; ++id) {
        const auto flags = await_payload(nodes_, id, stop);
        if (!flags.ok())
            return flags.status();
        element_levels_[id] = (flags.value() & (slot_deleted | slot_hole)) != 0
                                  ? -1
                                  : node_level(id, nodes_.layout().m);
    }
    return {};
}

// Before anything is linked, in order of ids: so it is always the later row that becomes a twin,
// and two copies in one batch know of each other.
void Linker::Construction::find_twins(NodeId first, NodeId end) {
    twins_.begin_batch(first);
    for (NodeId id = first; id < end; ++id) {
        if (element_levels_[id] < 0)
            continue;
        if (const NodeId node = enter_vector(id); node != id) {
            element_levels_[id] = -1;
            twins_.add({id, node});
        }
    }
}

NodeId Linker::Construction::enter_vector(NodeId id) {
    return twins_.enter(id, [this](NodeId node) {
        return element_levels_[node] >= 0 &&
               (state_flags(nodes_.state(node)) & (slot_ready | slot_hole)) == slot_ready;
    });
}

// Gives every node of the batch empty lists on all its levels. All that can fail comes first.
Status Linker::Construction::prepare_towers(NodeId first, NodeId end) {
    SharedState &shared = nodes_.shared();
    std::uint32_t allocated = shared.upper_allocated.load(std::memory_order_relaxed);
    const std::uint32_t reusable = std::min(allocated, nodes_.mapped_upper_blocks());
    std::uint32_t fresh = 0;
    for (NodeId id = first; id < end; ++id)
        if (element_levels_[id] > 0 && !nodes_.owned_upper_blocks(id, reusable))
            fresh += static_cast<std::uint32_t>(element_levels_[id]);
    if (fresh > 0) {
        DVEC_TRY(nodes_.reserve_upper_blocks(fresh));
        DVEC_TRY(follow_capacity());
    }
    for (NodeId id = first; id < end; ++id) {
        nodes_.slot(id)->link_count.store(0, std::memory_order_relaxed);
        nodes_.slot(id)->twin.store(0, std::memory_order_relaxed);
        settled_[id] = 0;
        if (element_levels_[id] <= 0) {
            // Blocks it had before a crash may be given to another node.
            if (auto &upper = nodes_.slot(id)->upper; upper.load(std::memory_order_relaxed) != 0)
                upper.store(0, std::memory_order_relaxed);
            continue;
        }
        if (const auto block = nodes_.owned_upper_blocks(id, reusable)) {
            give_tower(id, *block);
        } else {
            give_tower(id, allocated);
            allocated += static_cast<std::uint32_t>(element_levels_[id]);
        }
    }
    shared.upper_allocated.store(allocated, std::memory_order_release);
    return {};
}

void Linker::Construction::give_tower(NodeId id, std::uint32_t block) {
    const auto blocks = static_cast<std::uint32_t>(element_levels_[id]);
    for (std::uint32_t index = block; index < block + blocks; ++index) {
        LinkWord *words = nodes_.upper_block(index);
        words[0].store(0, std::memory_order_relaxed);
        words[nodes_.layout().owner_word()].store(id + 1, std::memory_order_relaxed);
    }
    nodes_.slot(id)->upper.store(block + 1, std::memory_order_release);
    towers_[id] = reinterpret_cast<char *>(nodes_.upper_block(block));
}

// Takes nodes of an earlier, longer, stopped batch out of the graph again, so that searches for
// candidates are not led on among nodes that cannot be used.
void Linker::Construction::forget(NodeId first, NodeId end) {
    for (NodeId id = first; id < end; ++id) {
        nodes_.slot(id)->link_count.store(0, std::memory_order_relaxed);
        element_levels_[id] = -1;
        towers_[id] = empty_tower_.data();
    }
}

void Linker::Construction::work(Scratch &scratch, const std::atomic<bool> &stop) {
    Status status = base::guarded([&]() -> Status {
        // An id is taken only to be finished, so the batch is complete when all were taken.
        while (!stop.load(std::memory_order_relaxed) && !failed_.load(std::memory_order_relaxed)) {
            const NodeId id = next_.fetch_add(1, std::memory_order_relaxed);
            if (id >= end_)
                break;
            if (element_levels_[id] >= 0)
                link_node(id, Joining::allowed, scratch);
        }
        return {};
    });
    if (status.ok())
        return;
    failed_.store(true, std::memory_order_relaxed);
    const std::lock_guard lock(failure_mutex_);
    failure_ = std::move(status);
}

// First all candidates, from the top level down, then all connections, from level 0 up: whoever
// finds the node on a level finds it connected on every level below. A near twin gets none. No lock
// is held while another is taken, except `global`, which only nodes that raise the top level hold,
// and nobody takes under another lock.
void Linker::Construction::link_node(NodeId id, Joining joining, Scratch &scratch) {
    const int level = element_levels_[id];
    std::unique_lock<std::mutex> top(global, std::defer_lock);
    auto entry = EntryPoint::unpack(entry_.load(std::memory_order_acquire));
    if (level > entry.level) {
        top.lock();
        entry = EntryPoint::unpack(entry_.load(std::memory_order_acquire));
        if (level <= entry.level)
            top.unlock();
    }

    const int shared_levels = std::min(level, entry.level) + 1;
    if (scratch.selections.size() < static_cast<std::size_t>(shared_levels))
        scratch.selections.resize(static_cast<std::size_t>(shared_levels));
    NodeId near = entry.id;
    for (int above = entry.level; above > level; --above)
        near = CandidateSearch::descend(LevelView{*this, id, above}, near);
    for (int at = shared_levels - 1; at >= 0; --at)
        near = find_neighbours(near, id, at, scratch);
    const auto joinable = [&](NodeId other) {
        return usable(other, id, 0) && !twins_.is_full(other);
    };
    if (shared_levels > 0 && joining == Joining::allowed &&
        twins_.join(id, distances_.least_apart(id, scratch.search.found(), joinable),
                    scratch.twins))
        return;

    for (int at = 0; at < shared_levels; ++at) {
        const Selection &selection = scratch.selections[static_cast<std::size_t>(at)];
        store_own_links(id, at, selection, scratch);
        for (const NodeId neighbour : selection.ids)
            link_back(neighbour, id, at, scratch);
    }
    if (level > entry.level)
        entry_.store(EntryPoint::pack({id, level}), std::memory_order_release);
}

// When all nodes of a batch are linked, and before readers know of them.
void Linker::Construction::attach_twins(const std::atomic<bool> &stop) {
    for (const Scratch &scratch : scratch_) {
        for (const auto twin : scratch.twins.joined) {
            element_levels_[twin.id] = -1;
            towers_[twin.id] = empty_tower_.data();
            nodes_.slot(twin.id)->upper.store(0, std::memory_order_relaxed);
        }
        twins_.add(scratch.twins);
    }
    // The batch is linked, whatever becomes of them now.
    for (const NodeId node : twins_.attach()) {
        if (stop.load(std::memory_order_relaxed))
            break;
        for (const NodeId id : twins_.release(node, end_))
            place_apart(id);
    }
}

// Makes a near twin that is in no chain a node, or the twin of one with an equal vector. It has no
// list above level 0.
void Linker::Construction::place_apart(NodeId id) {
    settled_[id] = 0;
    element_levels_[id] = 0;
    const NodeId former = named_node(nodes_, id);
    const NodeId node = enter_vector(id);
    if (node == id || node == former)
        return link_node(id, Joining::refused, scratch_[0]);
    element_levels_[id] = -1;
    twins_.attach_one(id, node);
}

// Fills scratch.selections[level]; returns where the search on the next level starts.
//
// Those that lie in different directions are often far fewer than M. The nearest of the others fill
// the selection up to M, as Malkov & Yashunin's algorithm 4 allows: on clustered data the few
// diverse links leave parts of the graph that hardly anything leads to.
NodeId Linker::Construction::find_neighbours(NodeId from, NodeId id, int level, Scratch &scratch) {
    Selection &selection = scratch.selections[static_cast<std::size_t>(level)];
    selection.ids.clear();
    selection.diverse = 0;
    NeighbourSelection &choice = scratch.choice;
    choice.begin(M_);
    NodeId nearest = from;
    const Beam &found = scratch.search.run(LevelView{*this, id, level}, from, ef_construction_);
    for (std::size_t i = found.size(); i-- > 0;)
        if (const NodeId candidate = candidate_id(found[i]); usable(candidate, id, level)) {
            choice.add({candidate_distance(found[i]), candidate, false});
            nearest = candidate;
        }
    distances_.keep_diverse(id, choice);
    choice.fill_up();
    for (const auto &member : choice.kept())
        selection.ids.push_back(member.id);
    selection.diverse = choice.diverse();
    // All that was near was stale. Any link is better than none, and leads on.
    if (selection.ids.empty() && usable(from, id, level))
        selection.ids.push_back(from);
    return nearest;
}

// Through a stale link other threads may have found this node early and linked themselves to it:
// such links are kept, behind the selected ones.
void Linker::Construction::store_own_links(NodeId id, int level, const Selection &selection,
                                           Scratch &scratch) {
    const std::lock_guard lock(link_list_locks_[id]);
    LinkWord *words = list(id, level);
    auto &links = scratch.list;
    links = selection.ids;
    const auto existing = std::min(words[0].load(std::memory_order_relaxed), list_limit(level));
    for (std::uint32_t i = 1; i <= existing && links.size() < list_limit(level); ++i) {
        const NodeId other = words[i].load(std::memory_order_relaxed);
        if (std::find(links.begin(), links.end(), other) == links.end())
            links.push_back(other);
    }
    for (std::size_t i = 0; i < links.size(); ++i)
        words[i + 1].store(links[i], std::memory_order_relaxed);
    words[0].store(static_cast<std::uint32_t>(links.size()), std::memory_order_release);
    if (level == 0) {
        settled_[id] = static_cast<std::uint8_t>(selection.diverse);
        // Only now, if it was a twin: no list begins before this one.
        nodes_.slot(id)->twin.store(0, std::memory_order_release);
    }
}

void Linker::Construction::link_back(NodeId neighbour, NodeId id, int level, Scratch &scratch) {
    const std::lock_guard lock(link_list_locks_[neighbour]);
    LinkWord *words = list(neighbour, level);
    const std::uint32_t limit = list_limit(level);
    const std::uint32_t count = std::min(words[0].load(std::memory_order_relaxed), limit);
    // A link from before a crash may be there already.
    for (std::uint32_t i = 1; i <= count; ++i)
        if (words[i].load(std::memory_order_relaxed) == id)
            return;
    if (count < limit) {
        words[count + 1].store(id, std::memory_order_relaxed);
        words[0].store(count + 1, std::memory_order_release);
    } else {
        reselect(neighbour, id, level, scratch);
    }
}

void Linker::Construction::reselect(NodeId node, NodeId added, int level, Scratch &scratch) {
    LinkWord *words = list(node, level);
    const std::uint32_t limit = list_limit(level);
    const std::uint32_t settled = level == 0 ? settled_[node] : 0;
    for (std::uint32_t i = 1; i <= limit; ++i)
        __builtin_prefetch(getDataByInternalId(words[i].load(std::memory_order_relaxed)));
    NeighbourSelection &choice = scratch.choice;
    choice.begin(limit);
    choice.add({distances_.between(node, added), added, false});
    for (std::uint32_t i = 1; i <= limit; ++i) {
        const NodeId other = words[i].load(std::memory_order_relaxed);
        if (linkable(other, node, level))
            choice.add({distances_.between(node, other), other, i <= settled});
    }
    distances_.keep_diverse(node, choice);
    const std::uint32_t count = choice.store(words);
    if (level == 0)
        settled_[node] = static_cast<std::uint8_t>(count);
}

Linker::Linker(std::unique_ptr<Construction> construction)
    : construction_(std::move(construction)) {}
Linker::~Linker() = default;

Result<std::unique_ptr<Linker>> Linker::create(NodeStore &nodes, const Params &params) {
    return base::guarded([&]() -> Result<std::unique_ptr<Linker>> {
        auto construction = std::make_unique<Construction>(nodes, params);
        DVEC_TRY(construction->adopt());
        return std::unique_ptr<Linker>(new Linker(std::move(construction)));
    });
}

Status Linker::link(NodeId end, const std::atomic<bool> &stop) {
    return base::guarded([&] { return construction_->link(end, stop); });
}

}  // namespace dvec::graph
