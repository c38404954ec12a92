// Linking in batches. All that can fail, and all that must be the same for a whole batch, comes
// before its first link: payloads, levels, twins, towers. Then threads link its nodes, and what
// concerns twins follows. Only then do readers learn of the batch.
#include "engine/graph/linker.hpp"

#include <hnswlib/hnswlib.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "engine/graph/await_payload.hpp"
#include "engine/graph/link_lists.hpp"
#include "engine/graph/node_distances.hpp"
#include "engine/graph/node_linking.hpp"
#include "engine/graph/share_ids.hpp"
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

using Lists = LinkLists<hnswlib::HierarchicalNSW<Distance>>;
using Linking = NodeLinking<Lists>;

constexpr NodeId slots_ahead = 16;

}  // namespace

class Linker::Batches {
  public:
    Batches(NodeStore &nodes, const Params &params)
        : nodes_(nodes),
          lists_(nodes),
          distances_(nodes, params.kernel, params.dimensions),
          twins_(nodes, distances_.copies(), params.most_near_twins),
          linking_(nodes, lists_, distances_, twins_, params.ef_construction),
          pool_(std::max(params.threads, 1u) - 1),
          scratch_(pool_.helpers() + 1) {}

    Status adopt();
    Status link(NodeId end, const std::atomic<bool> &stop);

  private:
    void adopt_node(NodeId id, NodeId linked, std::uint32_t blocks);
    bool entry_sound(EntryPoint entry, NodeId linked) const;
    Status follow_capacity();
    Status await_payloads(NodeId first, NodeId end, const std::atomic<bool> &stop);
    void find_twins(NodeId first, NodeId end);
    NodeId enter_vector(NodeId id);
    Status prepare_lists(NodeId first, NodeId end);
    Status link_nodes(NodeId first, NodeId end, const std::atomic<bool> &stop);
    void attach_twins(const std::atomic<bool> &stop);
    void place_apart(NodeId id);
    void publish(NodeId end);

    NodeStore &nodes_;
    Lists lists_;
    NodeDistances distances_;
    TwinLinking twins_;
    Linking linking_;
    ThreadPool pool_;
    std::vector<Linking::Scratch> scratch_;  // of each thread

    NodeId known_end_ = 0;  // ids below are linked, as far as this linker knows
};

// Takes over the graph that is there.
Status Linker::Batches::adopt() {
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

void Linker::Batches::adopt_node(NodeId id, NodeId linked, std::uint32_t blocks) {
    // A chain of twins ends with the linked nodes. After a crash ids behind them may get other
    // vectors than they had when they were appended to the chain.
    auto &next = nodes_.slot(id)->twin;
    if (const std::uint32_t word = next.load(std::memory_order_relaxed);
        (word & ~twin_mark) > linked)
        next.store(word & twin_mark, std::memory_order_relaxed);
    lists_.set_level(id, Lists::no_node);
    if (is_twin(nodes_, id)) {
        if (twins_.adopt(id))
            enter_vector(id);
        return;
    }
    lists_.adopt(id, blocks);
    // A node that was passed over, since its row was gone before its turn, has no links. So no
    // later row with this vector can share them.
    const std::uint16_t flags = state_flags(nodes_.state(id));
    if ((flags & slot_deleted) == 0 ||
        nodes_.slot(id)->link_count.load(std::memory_order_relaxed) > 0)
        enter_vector(id);
}

bool Linker::Batches::entry_sound(EntryPoint entry, NodeId linked) const {
    return entry.level < 0 || (entry.id < linked && lists_.level(entry.id) == entry.level);
}

Status Linker::Batches::follow_capacity() {
    DVEC_TRY(lists_.follow_capacity());
    distances_.resize(nodes_.mapped_slots());
    return {};
}

Status Linker::Batches::link(NodeId end, const std::atomic<bool> &stop) {
    const SharedState &shared = nodes_.shared();
    const NodeId first = shared.linked.load(std::memory_order_relaxed);
    if (end > shared.allocated.load(std::memory_order_acquire))
        return Status(Code::invalid_argument, "cannot link ids that are not allocated");
    if (end <= first)
        return {};
    DVEC_TRY(follow_capacity());
    // Not the entry point that a stopped batch may have come to: that node's links are gone.
    const auto entry = EntryPoint::unpack(shared.entry_point.load(std::memory_order_relaxed));
    // Impossible, unless somebody else has written into the shared memory.
    if (end > nodes_.mapped_slots() || first > known_end_ || !entry_sound(entry, first))
        return Status(Code::corrupt, "the watermarks of the graph are impossible");
    DVEC_TRY(await_payloads(first, end, stop));
    find_twins(first, end);
    DVEC_TRY(prepare_lists(first, end));
    linking_.begin_batch(entry);
    DVEC_TRY(link_nodes(first, end, stop));
    attach_twins(stop);
    publish(end);
    return {};
}

// Waits until every id of the batch has its payload or is known to have none. Which of them get
// links is decided here for the whole batch: a node whose row goes while the batch is under way is
// linked like any other.
Status Linker::Batches::await_payloads(NodeId first, NodeId end, const std::atomic<bool> &stop) {
    for (NodeId id = first; id < end; ++id) {
        auto flags = await_payload(nodes_, id, stop);
        DVEC_TRY(flags);
        lists_.set_level(id, (flags.value() & (slot_deleted | slot_hole)) != 0
                                 ? Lists::no_node
                                 : node_level(id, nodes_.layout().m));
    }
    return {};
}

// Before anything is linked, and in order of ids. So it is always the later row that becomes the
// twin, and two copies in one batch know of each other.
void Linker::Batches::find_twins(NodeId first, NodeId end) {
    twins_.begin_batch(first);
    for (NodeId id = first; id < end; ++id) {
        if (lists_.level(id) < 0)
            continue;
        if (const NodeId node = enter_vector(id); node != id) {
            lists_.set_level(id, Lists::no_node);
            twins_.add({id, node});
        }
    }
}

// The node that has the vector of `id`; `id` itself where there is none.
NodeId Linker::Batches::enter_vector(NodeId id) {
    return twins_.enter(id, [this](NodeId node) { return lists_.is_sound_node(node); });
}

Status Linker::Batches::prepare_lists(NodeId first, NodeId end) {
    DVEC_TRY(lists_.reserve_towers(first, end));
    DVEC_TRY(follow_capacity());
    lists_.empty_lists(first, end);
    lists_.begin_batch(end);
    return {};
}

// The batch is complete when all its ids were taken.
Status Linker::Batches::link_nodes(NodeId first, NodeId end, const std::atomic<bool> &stop) {
    for (Linking::Scratch &scratch : scratch_)
        scratch.twins = {};
    return share_ids(pool_, first, end, stop, [this](NodeId id, unsigned worker) -> Status {
        if (lists_.level(id) >= 0)
            linking_.link(id, Linking::Joining::allowed, scratch_[worker]);
        return {};
    });
}

// When all nodes of the batch are linked, and before readers learn of it: hangs its twins into
// their chains, and gives near twins whose nodes are no clump places of their own.
void Linker::Batches::attach_twins(const std::atomic<bool> &stop) {
    for (const Linking::Scratch &scratch : scratch_) {
        for (const auto twin : scratch.twins.joined)
            lists_.make_twin(twin.id);
        twins_.add(scratch.twins);
    }
    for (const NodeId node : twins_.attach()) {
        // The batch is linked already, and the near twins are found where they are. So this may
        // end early.
        if (stop.load(std::memory_order_relaxed))
            break;
        for (const NodeId id : twins_.release(node, lists_.batch_end()))
            place_apart(id);
    }
}

// Makes a near twin that is in no chain a node, or the twin of a node with an equal vector.
void Linker::Batches::place_apart(NodeId id) {
    lists_.make_node(id);
    const NodeId former = named_node(nodes_, id);
    const NodeId node = enter_vector(id);
    if (node == id || node == former)
        return linking_.link(id, Linking::Joining::refused, scratch_[0]);
    lists_.set_level(id, Lists::no_node);
    twins_.attach_one(id, node);
}

void Linker::Batches::publish(NodeId end) {
    known_end_ = end;
    SharedState &shared = nodes_.shared();
    // In this order: Watermarks::load relies on it.
    shared.linked.store(end, std::memory_order_release);
    shared.entry_point.store(linking_.entry_point(), std::memory_order_release);
    nodes_.note_progress();
}

Linker::Linker(std::unique_ptr<Batches> batches) : batches_(std::move(batches)) {}
Linker::~Linker() = default;

Result<std::unique_ptr<Linker>> Linker::create(NodeStore &nodes, const Params &params) {
    return base::guarded([&]() -> Result<std::unique_ptr<Linker>> {
        auto batches = std::make_unique<Batches>(nodes, params);
        DVEC_TRY(batches->adopt());
        return std::unique_ptr<Linker>(new Linker(std::move(batches)));
    });
}

Status Linker::link(NodeId end, const std::atomic<bool> &stop) {
    return base::guarded([&] { return batches_->link(end, stop); });
}

}  // namespace dvec::graph
