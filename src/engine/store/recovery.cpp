// Recovery believes as little as it can. The page cache outlives every process, so on the same boot
// and in the same file the mapped bytes are what was last stored, and the log tells which of them
// were meant. On another boot, or in a copy, neither holds, and the heap has to tell.
//
// A clean folder is believed on any boot, but only in the very file that was left clean: a folder
// that was copied while it was clean (a base backup) may have missed rows that were inserted before
// the copy of the database was complete, and a tool may write a copy over the original.
#include "engine/store/recovery.hpp"

#include <algorithm>
#include <cstring>

#include "engine/graph/node_store.hpp"
#include "engine/log/writer.hpp"
#include "engine/store/checkpoint.hpp"
#include "engine/store/checkpointer.hpp"
#include "engine/store/index.hpp"
#include "engine/store/payload.hpp"

namespace dvec::store {

using base::Code;
using base::Result;
using base::Status;
using graph::NodeId;

namespace {

// A failure that says the folder cannot be believed, as opposed to one that may pass.
bool means_rebuild(const Status &status) {
    switch (status.code()) {
        case Code::not_found:
        case Code::corrupt:
        case Code::mismatch:
        case Code::unsupported:
            return true;
        default:
            return false;
    }
}

Status check_record(const CheckpointRecord &record, const Description &description) {
    const Owner owner{record.owner_identity, record.owner_system, record.owner_database,
                      record.owner_relation};
    if (!(owner == description.owner))
        return Status(Code::mismatch, "its files belong to another index");
    if (record.element != static_cast<std::uint8_t>(description.element) ||
        record.metric != static_cast<std::uint8_t>(description.metric) ||
        record.dimensions != description.dimensions || record.m != description.m ||
        record.segment_bytes != description.segment_bytes)
        return Status(Code::mismatch, "its files have another shape");
    if (record.linked > record.nodes)
        return Status(Code::corrupt, "its checkpoint contradicts itself");
    return {};
}

// What lies in WAL that PostgreSQL recovered is flushed already.
class AlreadyFlushed final : public WalFlusher {
  public:
    Status flush(std::uint64_t) override { return {}; }
};

class Recovery {
  public:
    Recovery(base::FileSystem &file_system, const Description &description, SharedState &state,
             Locks locks, const WalHistory &history)
        : file_system_(file_system),
          description_(description),
          state_(state),
          locks_(locks),
          history_(history) {}

    Result<StartReport> run() {
        state_.server_start.store(history_.current_start());
        const Status status = open_and_replay();
        if (!status.ok()) {
            if (!means_rebuild(status))
                return status;
            report_.start = Start::rebuild;
            report_.reason = status.message();
        }
        return std::move(report_);
    }

  private:
    Status open_and_replay() {
        auto file = CheckpointFile::open(file_system_, description_.directory);
        if (!file.ok())
            return std::move(file).status();
        auto record = file.value().read();
        if (!record.ok())
            return std::move(record).status();
        checkpoint_ = record.value();
        DVEC_TRY(check_record(checkpoint_, description_));
        DVEC_TRY(open_nodes());
        DVEC_TRY(check_place());
        DVEC_TRY(find_surviving_end());
        restore_watermarks();
        return replay_log();
    }

    Status open_nodes() {
        auto kernel = known_kernel(description_);
        if (!kernel.ok())
            return std::move(kernel).status();
        auto nodes = graph::NodeStore::open(
            file_system_, node_store_params(description_, kernel.value()), state_.graph);
        if (!nodes.ok())
            return std::move(nodes).status();
        nodes_ = std::move(nodes).value();
        if (checkpoint_.nodes > nodes_->mapped_slots() ||
            checkpoint_.upper_blocks > nodes_->mapped_upper_blocks())
            return Status(Code::corrupt, "its files are shorter than its checkpoint says");
        return {};
    }

    Status check_place() {
        auto identity = nodes_->file_identity();
        if (!identity.ok())
            return std::move(identity).status();
        if (!(identity.value() == base::FileIdentity{checkpoint_.nodes_device,
                                                     checkpoint_.nodes_inode,
                                                     checkpoint_.nodes_born}))
            return Status(Code::mismatch, "its files are copies");
        return checkpoint_.clean != 0 ? check_unchanged() : check_same_boot();
    }

    Status check_unchanged() {
        auto change_time = nodes_->file_change_time();
        if (!change_time.ok())
            return std::move(change_time).status();
        if (change_time.value() != checkpoint_.nodes_change_time)
            return Status(Code::mismatch, "its files were changed while the server was down");
        return {};
    }

    Status check_same_boot() {
        const std::uint64_t boot = current_boot(file_system_);
        if (boot == 0 || boot != checkpoint_.boot)
            return Status(Code::mismatch, "the machine was restarted while it was in use");
        return {};
    }

    // All records behind the checkpoint were written during the server start that wrote it: opening
    // the index in a later start begins with a checkpoint.
    Status find_surviving_end() {
        if (checkpoint_.clean != 0)
            return {};
        const auto end = history_.surviving_end(checkpoint_.server_start);
        if (!end)
            return Status(Code::mismatch,
                          "it is not known what the server lost since its last use");
        surviving_end_ = *end;
        return {};
    }

    void restore_watermarks() {
        state_.graph.allocated.store(checkpoint_.nodes);
        state_.graph.deleted.store(checkpoint_.deleted);
        state_.graph.upper_allocated.store(checkpoint_.upper_blocks);
        state_.graph.entry_point.store(checkpoint_.entry_point);
        state_.graph.linked.store(checkpoint_.linked);
    }

    Status replay_log() {
        const log::Geometry geometry = log_geometry(description_);
        auto replayed = log::replay(file_system_, geometry, checkpoint_.log_position,
                                    [this](const log::Record &record) { return apply(record); });
        if (!replayed.ok())
            return std::move(replayed).status();
        log::ReplayReport &replay = replayed.value();
        report_.records = replay.records;
        report_.damage = replay.damage;
        if (replay.broken_tail)
            report_.damage.push_back(*replay.broken_tail);
        if (!report_.damage.empty())
            return Status(Code::corrupt, "its log is damaged");
        DVEC_TRY(check_log_begun(geometry));

        auto writer = log::Writer::open(file_system_, geometry, state_.log);
        if (!writer.ok())
            return std::move(writer).status();
        if (checkpoint_.clean != 0 && replay.records == 0) {
            report_.start = Start::clean;
            return open_clean(*writer.value(), replay);
        }
        if (checkpoint_.clean != 0)
            return Status(Code::mismatch, "its log goes on behind a clean shutdown");
        report_.start = Start::replayed;
        settle_lost_ids();
        forget_worn_graph();
        replay.max_lsn = std::max(checkpoint_.max_lsn, max_lsn_);
        DVEC_TRY(writer.value()->resume(replay));
        // So that check_log_begun holds after the next crash too. A full disk is no reason not to
        // start.
        static_cast<void>(writer.value()->prepare(1));
        // What was dropped must stay dropped: PostgreSQL will use those LSNs again, and the next
        // recovery must not take an old record for one of a row that survived.
        AlreadyFlushed wal;
        return take_checkpoint(file_system_, description_, state_, locks_, *nodes_, wal,
                               CheckpointKind::running);
    }

    // Whoever leaves the clean state begins the log first. To the reader a segment that is missing
    // at its very beginning is the regular end of a log.
    Status check_log_begun(const log::Geometry &geometry) {
        if (checkpoint_.clean != 0 || geometry.offset_of(checkpoint_.log_position) != 0)
            return {};
        auto begun = file_system_.exists(
            geometry.segment_path(geometry.segment_of(checkpoint_.log_position)));
        if (!begun.ok())
            return std::move(begun).status();
        return begun.value() ? Status() : Status(Code::corrupt, "its log is missing");
    }

    Status open_clean(log::Writer &writer, log::ReplayReport &replay) {
        replay.max_lsn = checkpoint_.max_lsn;
        DVEC_TRY(writer.resume(replay));
        state_.checkpoint_position.store(checkpoint_.log_position);
        state_.checkpoint_linked.store(checkpoint_.linked);
        state_.clean.store(1, std::memory_order_release);
        return {};
    }

    Status apply(const log::Record &record) {
        if (record.lsn > surviving_end_) {
            ++report_.dropped;
            return {};
        }
        max_lsn_ = std::max(max_lsn_, record.lsn);
        if (record.node >= nodes_->mapped_slots())
            return Status(Code::corrupt, "its log names a node beyond its files");
        return record.type == log::RecordType::insert ? apply_insert(record) : apply_remove(record);
    }

    Status apply_insert(const log::Record &record) {
        const std::size_t vector_bytes = nodes_->layout().vector_bytes;
        if (record.payload.size() != sizeof(PayloadHead) + vector_bytes ||
            record.node < checkpoint_.nodes)
            return Status(Code::corrupt, "its log contradicts its checkpoint");
        PayloadHead head;
        std::memcpy(&head, record.payload.data(), sizeof head);
        note_survivor(record.node);
        nodes_->write_payload(record.node, payload_tid(head), record.payload.data() + sizeof head);
        nodes_->publish(record.node);
        return {};
    }

    Status apply_remove(const log::Record &record) {
        nodes_->mark_deleted(record.node);
        ++removed_;
        return {};
    }

    void note_survivor(NodeId id) {
        const std::size_t index = id - checkpoint_.nodes;
        if (survived_.size() <= index)
            survived_.resize(index + 1, false);
        survived_[index] = true;
        state_.graph.allocated.store(std::max(state_.graph.allocated.load(), id + 1));
    }

    // Ids between the checkpoint and the end whose record was dropped have no row.
    void settle_lost_ids() {
        for (std::size_t index = 0; index < survived_.size(); ++index) {
            if (survived_[index])
                continue;
            nodes_->mark_hole(checkpoint_.nodes + static_cast<NodeId>(index));
            ++report_.holes;
        }
        // Counted from the records, since a slot that was marked before the crash still is.
        state_.graph.deleted.store(checkpoint_.deleted + removed_ +
                                   static_cast<std::uint32_t>(report_.holes));
    }

    // Links to ids that are the tail now lead nowhere until these are linked again. They took the
    // places of links among the older nodes: with a third of them gone, recall among those falls by
    // several percent, with half of them it collapses. Then the older nodes are tail too, and
    // searches scan them.
    void forget_worn_graph() {
        constexpr NodeId sample = 4096;
        const NodeId linked = state_.graph.linked.load();
        std::uint64_t links = 0;
        std::uint64_t lost = 0;
        for (NodeId id = 0; id < linked; id += linked / sample + 1) {
            const std::uint32_t count =
                std::min(nodes_->slot(id)->link_count.load(), nodes_->layout().level0_links());
            links += count;
            for (std::uint32_t i = 0; i < count; ++i)
                lost += nodes_->links(id)[i].load() >= linked;
        }
        if (lost * 6 <= links)
            return;
        state_.graph.entry_point.store(0);
        state_.graph.linked.store(0);
    }

    base::FileSystem &file_system_;
    const Description &description_;
    SharedState &state_;
    Locks locks_;
    const WalHistory &history_;
    std::uint64_t surviving_end_ = WalHistory::nothing_lost;

    StartReport report_;
    CheckpointRecord checkpoint_;
    std::unique_ptr<graph::NodeStore> nodes_;
    std::vector<bool> survived_;  // by id, from checkpoint_.nodes on
    std::uint32_t removed_ = 0;
    std::uint64_t max_lsn_ = 0;
};

}  // namespace

Result<StartReport> recover(base::FileSystem &file_system, const Description &description,
                            SharedState &state, Locks locks, const WalHistory &history) {
    return base::guarded([&]() -> Result<StartReport> {
        return Recovery(file_system, description, state, locks, history).run();
    });
}

}  // namespace dvec::store
