// Recovery believes as little as possible of the files (survival.hpp says how little). The log is
// applied in any case: its records carry checksums and are bound to their place and their index.
#include "engine/store/recovery.hpp"

#include <algorithm>
#include <cstring>

#include "engine/graph/node_store.hpp"
#include "engine/graph/reachability.hpp"
#include "engine/log/writer.hpp"
#include "engine/store/checkpoint.hpp"
#include "engine/store/checkpointer.hpp"
#include "engine/store/index.hpp"
#include "engine/store/payload.hpp"
#include "engine/store/recall_file.hpp"
#include "engine/store/survival.hpp"

namespace dvec::store {

using base::Code;
using base::Result;
using base::Status;
using graph::NodeId;

namespace {

// Whether a failure means that the folder cannot be believed; otherwise it may be a passing one.
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

bool entry_possible(std::uint64_t packed, NodeId linked, std::uint32_t m) {
    const auto entry = graph::EntryPoint::unpack(packed);
    if (entry.level < 0)
        return entry.level == -1;
    return entry.id < linked && entry.level <= graph::node_level(entry.id, m);
}

Status check_record(const CheckpointRecord &record, const Description &description) {
    const Owner owner{record.owner_identity, record.owner_system, record.owner_database,
                      record.owner_relation};
    if (!owner.same_index(description.owner))
        return Status(Code::mismatch, "its files belong to another index");
    if (record.element != static_cast<std::uint8_t>(description.element) ||
        record.metric != static_cast<std::uint8_t>(description.metric) ||
        record.dimensions != description.dimensions || record.m != description.m ||
        record.columns != description.columns || record.segment_bytes != description.segment_bytes)
        return Status(Code::mismatch, "its files have another shape");
    if (record.linked > record.nodes ||
        !entry_possible(record.entry_point, record.linked, record.m) ||
        record.log_position % log::record_alignment != 0 ||
        record.log_position / record.segment_bytes > log::max_segment_number)
        return Status(Code::corrupt, "its checkpoint contradicts itself");
    return {};
}

// WAL from which PostgreSQL has recovered is flushed already.
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
            state_.repair.store(Repair::rebuild);
        } else if (const auto curve = read_recall(file_system_, description_); curve.ok()) {
            state_.recall.store(curve.value());
        }
        return std::move(report_);
    }

  private:
    Status open_and_replay() {
        auto file = CheckpointFile::open(file_system_, description_.directory);
        DVEC_TRY(file);
        auto record = file.value().read();
        DVEC_TRY(record);
        checkpoint_ = record.value();
        DVEC_TRY(check_record(checkpoint_, description_));
        DVEC_TRY(open_nodes());
        auto survival =
            survival_of(file_system_, *nodes_, {checkpoint_, description_.owner}, history_);
        DVEC_TRY(survival);
        survived_ = survival.value().survived;
        need(checkpoint_.repair, "an earlier repair was not completed");
        if (survived_ == Survived::checksummed)
            need(Repair::every_page, survival.value().reason);
        if (survived_ == Survived::synced)
            need(Repair::changed_pages, survival.value().reason);
        if (survival.value().followed)
            need(Repair::changed_pages, "the server has followed another since");
        find_surviving_end();
        restore_state();
        return replay_log();
    }

    Status open_nodes() {
        auto kernel = known_kernel(description_);
        DVEC_TRY(kernel);
        auto nodes = graph::NodeStore::open_first(
            file_system_, node_store_params(description_, kernel.value(), checkpoint_.generation),
            state_.graph);
        DVEC_TRY(nodes);
        nodes_ = std::move(nodes).value();
        if (checkpoint_.nodes > nodes_->mapped_slots() ||
            checkpoint_.upper_blocks > nodes_->mapped_upper_blocks())
            return Status(Code::corrupt, "its files are shorter than its checkpoint says");
        return {};
    }

    void need(Repair repair, const char *reason) {
        if (repair <= repair_)
            return;
        repair_ = repair;
        report_.reason = reason;
    }

    // All records behind the checkpoint were written during the server start that wrote it: opening
    // the index in a later start begins with a checkpoint.
    void find_surviving_end() {
        if (checkpoint_.clean != 0)
            return;
        const auto end = history_.surviving_end(checkpoint_.server_start);
        if (end)
            surviving_end_ = *end;
        else
            need(Repair::every_page, "it is not known what the server lost since its last use");
    }

    void restore_state() {
        state_.generation.store(checkpoint_.generation);
        state_.reconcile_lsn.store(checkpoint_.reconcile_lsn);
        // Links count as unsound after any crash: a damaged byte in a link may be what made
        // processes die.
        state_.links_unsound.store(checkpoint_.links_unsound != 0 || survived_ != Survived::clean);
        state_.connected.store(survived_ == Survived::clean ? checkpoint_.connected : 0);
        state_.graph.allocated.store(checkpoint_.nodes);
        state_.graph.deleted.store(checkpoint_.deleted);
        restore_progress();
    }

    // When only processes died, what was linked after the checkpoint is still linked.
    void restore_progress() {
        graph::LinkingProgress progress{};
        progress.entry_point = checkpoint_.entry_point;
        progress.linked = checkpoint_.linked;
        progress.upper_allocated = checkpoint_.upper_blocks;
        if (survived_ == Survived::written && checkpoint_.links_unsound == 0)
            if (const auto noted = nodes_->noted_progress(); noted && possible(*noted))
                progress = *noted;
        state_.graph.upper_allocated.store(progress.upper_allocated);
        state_.graph.entry_point.store(progress.entry_point);
        state_.graph.linked.store(progress.linked);
    }

    bool possible(const graph::LinkingProgress &progress) const {
        return progress.linked <= nodes_->mapped_slots() &&
               progress.upper_allocated <= nodes_->mapped_upper_blocks() &&
               entry_possible(progress.entry_point, progress.linked, checkpoint_.m);
    }

    Status replay_log() {
        const log::Geometry geometry = log_geometry(description_);
        auto replayed = log::replay(file_system_, geometry, checkpoint_.log_position,
                                    [this](const log::Record &record) { return apply(record); });
        DVEC_TRY(replayed);
        log::ReplayReport &replay = replayed.value();
        DVEC_TRY(note_damage(geometry, replay));
        if (survived_ == Survived::clean && replay.records > 0)
            need(Repair::every_page, "its log goes on behind a clean shutdown");

        auto writer = log::Writer::open(file_system_, geometry, state_.log, locks_.sync);
        DVEC_TRY(writer);
        if (survived_ == Survived::clean && repair_ == Repair::none) {
            report_.start = Start::clean;
            return open_clean(*writer.value(), replay);
        }
        report_.start = repair_ == Repair::none ? Start::replayed : Start::repair;
        state_.repair.store(repair_);
        settle_lost_ids();
        forget_worn_graph();
        nodes_->note_progress();
        replay.max_lsn = std::max(checkpoint_.max_lsn, max_lsn_);
        // The log goes on in segments that the checkpoint before this one may need. The processes
        // that died may have written this one without syncing it, and then a power loss would bring
        // the other one back.
        if (survived_ == Survived::written)
            DVEC_TRY(sync_checkpoint());
        DVEC_TRY(writer.value()->resume(replay));
        // Makes sure that the segment in which the log goes on is there, so that the next recovery
        // can tell a log that is gone from one that was not begun. A full disk is no reason not to
        // start.
        static_cast<void>(writer.value()->prepare(1));
        // All payloads are to be scrubbed. A repair verifies them itself, or the scrub follows it.
        state_.scrub_end.store(state_.graph.allocated.load());
        // What was dropped must stay dropped: PostgreSQL will use those LSNs again, and the next
        // recovery must not take an old record for one of a row that survived.
        AlreadyFlushed wal;
        DVEC_TRY(take_checkpoint(file_system_, description_, state_, locks_, *nodes_, wal,
                                 CheckpointKind::running));
        remove_left_files();
        return {};
    }

    Status sync_checkpoint() {
        auto file = CheckpointFile::open(file_system_, description_.directory);
        DVEC_TRY(file);
        return file.value().sync();
    }

    // Files that stayed behind when others replaced them only take space. They are removed only
    // now, after a new checkpoint: the processes that died may have written the checkpoint that was
    // found without syncing it, and then a power loss would bring back the one before it, which
    // names the other files.
    void remove_left_files() {
        static_cast<void>(graph::NodeStore::remove_other_files(file_system_, description_.directory,
                                                               checkpoint_.generation));
    }

    // A damaged record is one insert or delete that is missing. Rows so lost are on heap pages that
    // were changed after the checkpoint, since S is below its log; so is whatever took the place of
    // a row whose removal was lost.
    Status note_damage(const log::Geometry &geometry, log::ReplayReport &replay) {
        report_.records = replay.records;
        report_.damage = std::move(replay.damage);
        // After a power loss a broken record at the end is to be expected, and no damage.
        if (replay.broken_tail && survived_ != Survived::synced)
            report_.damage.push_back(*replay.broken_tail);
        DVEC_TRY(find_missing_segment(geometry));
        if (!report_.damage.empty())
            need(Repair::changed_pages, "its log is damaged");
        return {};
    }

    // The segment in which the log of a checkpoint begins is there when the index was in use
    // (Maintainer::checkpoint, Index::ready_to_write, Compactor::begin_log). The log reader takes a
    // missing one for the regular end of the log, so it is looked for here.
    Status find_missing_segment(const log::Geometry &geometry) {
        if (survived_ != Survived::written || geometry.offset_of(checkpoint_.log_position) != 0)
            return {};
        const std::string path =
            geometry.segment_path(geometry.segment_of(checkpoint_.log_position));
        auto there = file_system_.exists(path);
        DVEC_TRY(there);
        if (!there.value())
            report_.damage.push_back({path, 0, 0, "the segment file is missing"});
        return {};
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
        if (record.node >= nodes_->mapped_slots()) {
            if (survived_ != Survived::synced)
                return contradiction("its log names a node beyond its files");
            // A file that was extended and not synced has its old size again after a power loss.
            DVEC_TRY(nodes_->reserve_slots(record.node + 1 - state_.graph.allocated.load()));
            DVEC_TRY(nodes_->refresh());
        }
        return record.type == log::RecordType::insert ? apply_insert(record) : apply_remove(record);
    }

    // Files from different moments may contradict each other; the repair of every page sets that
    // right.
    Status contradiction(const char *reason) const {
        return survived_ == Survived::checksummed ? Status() : Status(Code::corrupt, reason);
    }

    Status apply_insert(const log::Record &record) {
        const graph::Layout &layout = nodes_->layout();
        const std::size_t front_bytes = PayloadFront::bytes_with(layout.columns);
        if (record.payload.size() != front_bytes + layout.vector_bytes ||
            record.node < checkpoint_.nodes)
            return contradiction("its log contradicts its checkpoint");
        const PayloadFront front(record.payload.data(), layout.columns);
        note_survivor(record.node);
        nodes_->restore_payload(record.node, front.tid(),
                                {record.payload.data() + front_bytes, front.keys()});
        return {};
    }

    Status apply_remove(const log::Record &record) {
        nodes_->mark_deleted(record.node);
        ++removed_;
        return {};
    }

    void note_survivor(NodeId id) {
        const std::size_t index = id - checkpoint_.nodes;
        if (has_record_.size() <= index)
            has_record_.resize(index + 1, false);
        has_record_[index] = true;
        state_.graph.allocated.store(std::max(state_.graph.allocated.load(), id + 1));
    }

    // Ids from the checkpoint to the end whose record was dropped have no row, so they become
    // holes. Ids at the end that were linked stay allocated, too, since links lead to them.
    void settle_lost_ids() {
        if (const NodeId linked = state_.graph.linked.load();
            linked > state_.graph.allocated.load()) {
            has_record_.resize(linked - checkpoint_.nodes, false);
            state_.graph.allocated.store(linked);
        }
        for (std::size_t index = 0; index < has_record_.size(); ++index) {
            if (has_record_[index])
                continue;
            nodes_->mark_hole(checkpoint_.nodes + static_cast<NodeId>(index));
            ++report_.holes;
        }
        // Counted from the log's records: slots that were marked before the crash are still marked,
        // so marking them again would not count.
        state_.graph.deleted.store(checkpoint_.deleted + removed_ +
                                   static_cast<std::uint32_t>(report_.holes));
    }

    // Links to ids that belong to the tail now lead nowhere until these ids are linked again. They
    // had taken the places of links among the older nodes. When a third of those links are gone,
    // recall among the older nodes falls by several percent; when half of them are gone, it
    // collapses. So where too many links lead nowhere, all nodes become tail, and searches scan
    // them.
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
        if (lost * 6 <= links && !cut_off(linked))
            return;
        state_.graph.entry_point.store(0);
        state_.graph.linked.store(0);
    }

    // All links of one cluster may lead to the tail even where few links of the whole graph do.
    // This is looked for only in a small graph, which is linked anew in no time.
    bool cut_off(NodeId linked) const {
        constexpr NodeId small = 20000;
        constexpr std::uint64_t one_in = 64;
        if (linked > small)
            return false;
        const auto kernel = known_kernel(description_);
        if (!kernel.ok())
            return false;
        const auto unreachable = graph::count_unreachable(
            *nodes_, reachability_params(description_, kernel.value()), [] { return false; });
        return unreachable.ok() && unreachable.value() * one_in > linked;
    }

    base::FileSystem &file_system_;
    const Description &description_;
    SharedState &state_;
    Locks locks_;
    const WalHistory &history_;
    std::uint64_t surviving_end_ = WalHistory::nothing_lost;
    Survived survived_ = Survived::checksummed;
    Repair repair_ = Repair::none;

    StartReport report_;
    CheckpointRecord checkpoint_;
    std::unique_ptr<graph::NodeStore> nodes_;
    std::vector<bool> has_record_;  // by id, from checkpoint_.nodes on
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
