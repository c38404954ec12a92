// Nodes are copied in the order of their ids, so the new id of a node is the number of live nodes
// before it, and the array of origins is sorted.
//
// What makes the exchange safe: under the append lock nothing is inserted or removed, so when the
// last nodes are copied and the deletions carried over, the new files say exactly what the old ones
// do. The checkpoint that names the new files begins its log at that very position: a crash before
// it finds the old files and their log, a crash after it the new ones.
#include "engine/store/compactor.hpp"

#include <algorithm>
#include <mutex>

#include "engine/log/writer.hpp"
#include "engine/store/checkpoint.hpp"
#include "engine/store/index.hpp"

namespace dvec::store {

using base::Code;
using base::Result;
using base::Status;
using graph::NodeId;

namespace {

// So many nodes at most are left for the exchange: they are copied under the locks, and linked
// afterwards like any tail.
constexpr NodeId most_left = 1024;

// Of the nodes that the compaction links, one in so many may be a row that was added meanwhile. The
// others reduce what is left, so at the end it has linked twice as many nodes as there were at
// first.
constexpr NodeId linked_per_row_added = 2;

}  // namespace

Compactor::Compactor(base::FileSystem &file_system, const Description &description,
                     const distance::Kernel &kernel, SharedState &state, Locks locks,
                     std::uint64_t memory)
    : file_system_(file_system),
      description_(description),
      state_(state),
      locks_(locks),
      old_generation_(state.generation.load()),
      new_generation_(old_generation_ + 1),
      new_params_(node_store_params(description_, kernel, new_generation_)),
      files_(file_system, memory_for_files(memory, new_params_.layout)) {}

Compactor::~Compactor() {
    end_compaction(state_);
    // Removes only the files of this generation: by now the folder may hold the files of an index
    // that was built anew.
    if (!exchanged_ && created_)
        static_cast<void>(graph::NodeStore::remove_files(file_system_, new_params_));
}

Result<std::unique_ptr<Compactor>> Compactor::begin(base::FileSystem &file_system,
                                                    const Description &description,
                                                    SharedState &state, Locks locks,
                                                    unsigned threads, std::uint64_t memory) {
    return base::guarded([&]() -> Result<std::unique_ptr<Compactor>> {
        auto kernel = known_kernel(description);
        DVEC_TRY(kernel);
        std::unique_ptr<Compactor> compactor(
            new Compactor(file_system, description, kernel.value(), state, locks, memory));
        DVEC_TRY(compactor->open(kernel.value(), threads));
        return compactor;
    });
}

Status Compactor::open(const distance::Kernel &kernel, unsigned threads) {
    DVEC_TRY(graph::NodeStore::remove_other_files(file_system_, description_.directory,
                                                  old_generation_));
    auto old_nodes = graph::NodeStore::open(
        file_system_, node_store_params(description_, kernel, old_generation_), state_.graph);
    DVEC_TRY(old_nodes);
    old_nodes_ = std::move(old_nodes).value();

    created_ = true;
    DVEC_TRY(files_.create(new_params_));
    auto nodes = graph::NodeStore::open(files_, new_params_, graph_);
    DVEC_TRY(nodes);
    nodes_ = std::move(nodes).value();
    auto linker = graph::Linker::create(*nodes_, linker_params(description_, kernel, threads));
    DVEC_TRY(linker);
    linker_ = std::move(linker).value();
    note_progress(0);
    return {};
}

bool Compactor::little_is_left() const noexcept {
    return state_.graph.allocated.load(std::memory_order_acquire) - next_ <= most_left &&
           graph_.allocated.load() - graph_.linked.load() <= most_left;
}

// What was not used of an earlier admission lapses: the new one begins with the rows that are there
// now.
void Compactor::note_progress(NodeId linked_before) noexcept {
    const NodeId linked = graph_.linked.load();
    const NodeId allocated = state_.graph.allocated.load(std::memory_order_acquire);
    state_.compaction.done.store(linked);
    state_.compaction.left.store(allocated - next_ + (graph_.allocated.load() - linked));
    // Never 0, which would admit all.
    state_.compaction.admitted.store(
        std::max<NodeId>(1, allocated + (linked - linked_before) / linked_per_row_added),
        std::memory_order_release);
}

Result<bool> Compactor::step(std::uint32_t limit, const std::atomic<bool> &stop) {
    return base::guarded([&]() -> Result<bool> {
        const NodeId allocated = state_.graph.allocated.load(std::memory_order_acquire);
        const NodeId linked = graph_.linked.load();
        DVEC_TRY(old_nodes_->refresh());
        DVEC_TRY(copy_until(next_ + std::min(limit, allocated - next_), stop));
        DVEC_TRY(link(limit, stop));
        note_progress(linked);
        if (!little_is_left())
            return false;
        // Written and synced here, where nobody waits for it. It may take so long that many rows
        // arrive meanwhile.
        if (files_.in_memory())
            DVEC_TRY(move_files(stop));
        DVEC_TRY(nodes_->sync());
        return little_is_left();
    });
}

// The old mapping must cover `end`.
Status Compactor::copy_until(NodeId end, const std::atomic<bool> &stop) {
    for (; next_ < end; ++next_)
        if (graph::state_flags(old_nodes_->state(next_)) == graph::slot_ready)
            DVEC_TRY(copy(next_, stop));
        else if (!graph::flags_sound(graph::state_flags(old_nodes_->state(next_))))
            return Status(Code::corrupt, "node " + std::to_string(next_) + " of file \"" +
                                             old_nodes_->nodes_path() + "\" is damaged");
    return {};
}

Status Compactor::copy(NodeId id, const std::atomic<bool> &stop) {
    if (!old_nodes_->payload_intact(id))
        return Status(Code::corrupt, "node " + std::to_string(id) + " of file \"" +
                                         old_nodes_->nodes_path() + "\" is damaged");
    const NodeId copy = graph_.allocated.load(std::memory_order_relaxed);
    if (copy >= nodes_->mapped_slots()) {
        DVEC_TRY(with_room(stop, [this] { return nodes_->reserve_slots(1); }));
        DVEC_TRY(nodes_->refresh());
    }
    origin_.push_back(id);
    std::uint64_t keys[graph::max_columns];
    for (std::uint32_t column = 0; column < old_nodes_->layout().columns; ++column)
        keys[column] = old_nodes_->key(id, column);
    nodes_->write_payload(copy, graph::state_tid(old_nodes_->state(id)),
                          {old_nodes_->vector(id), keys});
    nodes_->publish(copy);
    graph_.allocated.store(copy + 1, std::memory_order_release);
    return {};
}

Status Compactor::link(std::uint32_t limit, const std::atomic<bool> &stop) {
    const NodeId begin = graph_.linked.load();
    const NodeId allocated = graph_.allocated.load();
    const NodeId end = begin + std::min(limit, allocated - begin);
    for (NodeId linked = begin; linked < end; linked = graph_.linked.load())
        DVEC_TRY(with_room(stop, [&] {
            return linker_->link(std::min(end, linked + graph::Linker::batch_of_build(linked)),
                                 stop);
        }));
    return {};
}

// Does what needs space in the new files, which may have to leave memory before there is enough.
template <class Do>
Status Compactor::with_room(const std::atomic<bool> &stop, const Do &apply) {
    Status status = apply();
    if (status.code() != Code::no_space || !files_.in_memory())
        return status;
    DVEC_TRY(move_files(stop));
    return apply();
}

Status Compactor::move_files(const std::atomic<bool> &stop) {
    DVEC_TRY(files_.move_out(stop));
    return nodes_->remap();
}

Status Compactor::finish(WalFlusher &wal, const std::function<void()> &on_exchange) {
    return base::guarded([&]() -> Status {
        DVEC_TRY(file_system_.sync_directory(description_.directory));
        {
            const std::lock_guard hold_grow(locks_.grow);
            const std::lock_guard hold_append(locks_.append);
            DVEC_TRY(begin_log());
            DVEC_TRY(old_nodes_->refresh());
            const std::atomic<bool> never{false};
            DVEC_TRY(copy_until(state_.graph.allocated.load(), never));
            carry_deletions_over();
            DVEC_TRY(nodes_->sync());
            DVEC_TRY(wal.flush(state_.log.max_lsn.load()));
            DVEC_TRY(write_checkpoint());
            exchange(on_exchange);
        }
        // If files stay behind, they only take space until the next start.
        static_cast<void>(graph::NodeStore::remove_other_files(file_system_, description_.directory,
                                                               new_generation_));
        return {};
    });
}

// Before every checkpoint of an index in use, the segment in which its log begins must be there.
Status Compactor::begin_log() {
    auto log = log::Writer::open(file_system_, log_geometry(description_), state_.log, locks_.sync);
    DVEC_TRY(log);
    return log.value()->prepare(1);
}

void Compactor::carry_deletions_over() noexcept {
    for (NodeId id = 0; id < origin_.size(); ++id)
        if (graph::state_flags(old_nodes_->state(origin_[id])) & graph::slot_deleted)
            nodes_->mark_deleted(id);
}

Status Compactor::write_checkpoint() {
    CheckpointRecord record = compose_record(description_, state_, graph_, mark(state_, graph_));
    record.generation = new_generation_;
    record.links_unsound = 0;
    record.connected = 0;
    note_place(file_system_, *nodes_, &record);
    auto file = CheckpointFile::open(file_system_, description_.directory);
    DVEC_TRY(file);
    return file.value().write(record);
}

// Every store after the first is a release, so that a process which reads one of the new values,
// and then the generation, finds that its own generation has ended.
void Compactor::exchange(const std::function<void()> &on_exchange) noexcept {
    state_.generation.store(0);
    const auto carry = [](auto &to, const auto &from) {
        to.store(from.load(), std::memory_order_release);
    };
    carry(state_.graph.entry_point, graph_.entry_point);
    carry(state_.graph.linked, graph_.linked);
    carry(state_.graph.allocated, graph_.allocated);
    carry(state_.graph.deleted, graph_.deleted);
    carry(state_.graph.capacity, graph_.capacity);
    carry(state_.graph.upper_allocated, graph_.upper_allocated);
    carry(state_.graph.upper_capacity, graph_.upper_capacity);
    carry(state_.graph.coded, graph_.coded);
    carry(state_.checkpoint_position, state_.log.head);
    carry(state_.checkpoint_linked, graph_.linked);
    // Every payload was verified when it was copied.
    state_.scrub_end.store(0);
    state_.scrub_next.store(0);
    state_.links_unsound.store(0);
    state_.connected.store(0);
    state_.unlogged_removals.store(0);
    on_exchange();
    state_.clean.store(0);
    state_.generation.store(new_generation_, std::memory_order_release);
    exchanged_ = true;
}

std::uint32_t Compactor::copied_below(std::uint32_t old_id) const noexcept {
    return static_cast<std::uint32_t>(std::lower_bound(origin_.begin(), origin_.end(), old_id) -
                                      origin_.begin());
}

}  // namespace dvec::store
