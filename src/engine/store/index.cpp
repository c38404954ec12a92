// Writing a row is one short critical section under the append lock: copy the payload into its
// slot, copy the record into the log, publish the slot, move `allocated`. What is computed from the
// vector (its code, its length, and one checksum that slot and record are sealed with) is computed
// before. So is everything done before that can fail (disk space, mappings, a new log segment).
// When others have used up the room in between, the section is left without any change and the
// preparation of the room is repeated.
//
// Holding one lock across slot and log makes ids appear in the log in order and every id below
// `allocated` complete, which the linker, the tail scan and replay all rely on.
#include "engine/store/index.hpp"

#include <array>
#include <cstring>
#include <mutex>
#include <optional>
#include <span>

#include "engine/base/checksum.hpp"
#include "engine/store/checkpointer.hpp"
#include "engine/store/payload.hpp"
#include "engine/store/preallocation.hpp"

namespace dvec::store {

using base::Code;
using base::Result;
using base::Status;
using graph::NodeId;

graph::NodeStore::Params node_store_params(const Description &description,
                                           const distance::Kernel &kernel, std::uint64_t files) {
    return {description.directory, description.owner.identity,
            graph::layout_of(kernel, description.dimensions, description.m, description.columns),
            files};
}

graph::Linker::Params linker_params(const Description &description, const distance::Kernel &kernel,
                                    unsigned threads) {
    graph::Linker::Params params;
    params.kernel = kernel;
    params.dimensions = description.dimensions;
    params.ef_construction = description.ef_construction;
    params.threads = threads;
    return params;
}

graph::ReachabilityParams reachability_params(const Description &description,
                                              const distance::Kernel &kernel) {
    return {kernel, description.dimensions, description.ef_construction};
}

log::Geometry log_geometry(const Description &description) {
    return {description.directory, description.segment_bytes, description.owner.identity};
}

Result<distance::Kernel> known_kernel(const Description &description) {
    const distance::Kernel *kernel = description.kernel();
    if (kernel == nullptr)
        return Status(Code::unsupported, "unknown element type or metric");
    return *kernel;
}

Result<std::unique_ptr<Index>> Index::open(base::FileSystem &file_system,
                                           const Description &description, SharedState &state,
                                           Locks locks) {
    return base::guarded([&]() -> Result<std::unique_ptr<Index>> {
        auto kernel = known_kernel(description);
        DVEC_TRY(kernel);
        std::unique_ptr<Index> index(new Index(file_system, description, state, locks));
        index->kernel_ = kernel.value();
        DVEC_TRY(index->check_current());
        auto nodes = graph::NodeStore::open(
            file_system, node_store_params(description, kernel.value(), index->generation_),
            state.graph);
        DVEC_TRY(index->check_current());
        DVEC_TRY(nodes);
        index->nodes_ = std::move(nodes).value();
        return index;
    });
}

// A party that replaces the files changes SharedState::generation before anything else in the
// shared state; its later stores are releases. So what was read of the shared state before this
// call, with acquire, belongs to the files that are mapped here.
Status Index::check_current() const {
    if (generation_ != 0 && is_current())
        return {};
    return Status(Code::stale, "the files of the index have been replaced");
}

Result<NodeId> Index::insert(graph::Tid tid, std::uint64_t lsn, const graph::Row &row) {
    return base::guarded([&]() -> Result<NodeId> {
        DVEC_TRY(ready_to_write());
        const graph::PayloadDraft payload = nodes_->draft(row);
        const PayloadFront front(tid, row.keys, nodes_->layout().columns);
        const std::uint32_t checksum = nodes_->checksum_with_vector(
            base::checksum(0, front.bytes().data(), front.bytes().size()), payload);
        const log::Draft record(log::RecordType::insert, lsn, front.bytes(),
                                {static_cast<const std::byte *>(row.vector), vector_bytes()},
                                checksum);
        for (;;) {
            auto id = try_insert(record, tid, payload);
            DVEC_TRY(id);
            if (id.value())
                return *id.value();
            DVEC_TRY(make_room(record.record_bytes()));
        }
    });
}

// The critical section. Returns no id when there is no room: then prepare and try again.
Result<std::optional<NodeId>> Index::try_insert(const log::Draft &record, graph::Tid tid,
                                                const graph::PayloadDraft &payload) {
    const std::lock_guard hold(locks_.append);
    DVEC_TRY(check_current());
    const NodeId id = state_.graph.allocated.load(std::memory_order_relaxed);
    if (id >= state_.graph.capacity.load(std::memory_order_acquire) || id >= nodes_->mapped_slots())
        return std::optional<NodeId>();
    auto fits = log_->fits(record);
    DVEC_TRY(fits);
    if (!fits.value())
        return std::optional<NodeId>();

    nodes_->write_payload(id, tid, payload);
    log_->append(record, id);
    nodes_->publish(id);
    state_.graph.allocated.store(id + 1, std::memory_order_release);
    return std::optional(id);
}

Status Index::make_room(std::size_t log_bytes) {
    {
        const std::lock_guard hold(locks_.grow);
        DVEC_TRY(check_current());
        const NodeId allocated = state_.graph.allocated.load(std::memory_order_acquire);
        if (allocated >= graph::max_nodes)
            return Status(Code::limit_exceeded, "index has reached its maximum of " +
                                                    std::to_string(graph::max_nodes) + " entries");
        DVEC_TRY(nodes_->reserve_slots(1));
        const Preallocation ahead =
            preallocation_for(nodes_->layout(), state_, description_.segment_bytes);
        DVEC_TRY(log_->prepare(log_bytes, std::max(2 * ahead.log_bytes, log::Writer::least_ahead)));
    }
    return refresh_nodes();
}

// When files that have been replaced meanwhile cannot be mapped, the answer is Code::stale and not
// that failure.
Status Index::refresh_nodes() {
    Status refreshed = nodes_->refresh();
    DVEC_TRY(check_current());
    return refreshed;
}

Status Index::open_log() {
    if (log_)
        return {};
    auto writer =
        log::Writer::open(file_system_, log_geometry(description_), state_.log, locks_.sync);
    DVEC_TRY(writer);
    log_ = std::move(writer).value();
    return {};
}

Status Index::ready_to_write() {
    DVEC_TRY(open_log());
    if (state_.clean.load(std::memory_order_acquire) == 0)
        return {};
    const std::lock_guard hold(locks_.grow);
    // By now the shared state may belong to another index, whose clean state must stay.
    DVEC_TRY(check_current());
    // The log is prepared before the clean state is left, so that recovery can tell a log that is
    // gone from one that was never begun.
    DVEC_TRY(log_->prepare(1));
    return leave_clean_state_locked(file_system_, description_, state_);
}

Status Index::remove(NodeId id, std::uint64_t lsn) {
    return base::guarded([&]() -> Status {
        auto end = refresh();
        DVEC_TRY(end);
        if (id >= end.value())
            return Status(Code::invalid_argument,
                          "index has no entry " + std::to_string(id) + " to be removed");
        const log::Draft draft(log::RecordType::remove, lsn, {});
        Status room = ready_to_write();
        while (room.ok()) {
            auto removed = try_remove(draft, id);
            DVEC_TRY(removed);
            if (removed.value())
                return {};
            const std::lock_guard hold(locks_.grow);
            DVEC_TRY(check_current());
            room = log_->prepare(draft.record_bytes());
        }
        return room.code() == Code::no_space ? remove_unlogged(id) : room;
    });
}

// The critical section. False when the log has no room.
Result<bool> Index::try_remove(const log::Draft &draft, NodeId id) {
    const std::lock_guard hold(locks_.append);
    DVEC_TRY(check_current());
    if (graph::state_flags(nodes_->state(id)) & (graph::slot_deleted | graph::slot_hole))
        return true;
    auto fits = log_->fits(draft);
    if (fits.ok() && fits.value()) {
        nodes_->mark_deleted(id);
        log_->append(draft, id);
    }
    return fits;
}

// A full disk must not keep anybody from removing rows. So the removal is marked in the node files
// alone, and the next checkpoint, which needs no space, makes it durable.
Status Index::remove_unlogged(NodeId id) {
    const std::lock_guard hold_grow(locks_.grow);
    DVEC_TRY(check_current());
    DVEC_TRY(leave_clean_state_locked(file_system_, description_, state_));
    const std::lock_guard hold(locks_.append);
    if (nodes_->mark_deleted(id))
        state_.unlogged_removals.store(1);
    return {};
}

Status Index::sync_log() {
    return base::guarded([&]() -> Status {
        DVEC_TRY(open_log());
        const std::lock_guard hold(locks_.sync);
        return log_->sync();
    });
}

Status Index::search(graph::Search &search, const void *query, const SearchParams &params) {
    return base::guarded([&]() -> Status {
        const auto marks = graph::Watermarks::load(state_.graph);
        DVEC_TRY(refresh_nodes());
        if (marks.linked > marks.allocated)
            return Status(Code::corrupt, "the watermarks of the index are impossible");
        graph::Search::Params search_params;
        // The kernel of the instruction set that the session's operators use now: another one may
        // have been selected since the index was opened.
        search_params.kernel = description_.kernel()->of_queries();
        search_params.dimensions = description_.dimensions;
        search_params.ef = params.ef;
        search_params.exact_after = params.exact_after;
        search_params.rest = params.rest;
        search_params.count_within = params.count_within;
        search_params.wanted_within = params.wanted_within;
        search_params.farthest_wanted = params.farthest_wanted;
        search_params.filter = params.filter;
        search_params.memory = &memory_;
        search_params.memory_bytes = params.memory_bytes;
        search_params.interrupted = params.interrupted;
        auto &wanted = state_.graph.codes_wanted;
        using LinkCodes = SearchParams::LinkCodes;
        if (const std::uint32_t wants = params.link_codes != LinkCodes::none ? 1 : 0;
            wanted.load() != wants)
            wanted.store(wants);
        if (params.link_codes == LinkCodes::used) {
            search_params.coded = state_.graph.coded.load(std::memory_order_acquire);
            search_params.link_codes = link_codes(search_params.coded);
        }
        return search.start(*nodes_, marks, query, search_params);
    });
}

// The codes of the ids below `coded`; null where there are none, or the file cannot be read.
std::shared_ptr<const graph::LinkCodes> Index::link_codes(NodeId coded) {
    if (coded == 0)
        return nullptr;
    const std::uint32_t file = state_.graph.codes_file.load(std::memory_order_acquire);
    if (file != codes_file_) {
        auto codes = graph::LinkCodes::open(file_system_,
                                            node_store_params(description_, kernel_, generation_),
                                            kernel_, description_.dimensions);
        link_codes_ = codes.ok() ? std::move(codes).value() : nullptr;
        codes_file_ = file;
    }
    // It is another file by now, which the next search opens.
    if (link_codes_ && !link_codes_->follow(coded).ok()) {
        link_codes_.reset();
        codes_file_ = 0;
    }
    return link_codes_;
}

Result<std::uint32_t> Index::refresh() {
    return base::guarded([&]() -> Result<std::uint32_t> {
        const std::uint32_t allocated = state_.graph.allocated.load(std::memory_order_acquire);
        DVEC_TRY(refresh_nodes());
        return allocated;
    });
}

Result<std::uint64_t> Index::bring_in(bool (*interrupted)()) {
    DVEC_TRY(refresh_nodes());
    auto bytes = nodes_->bring_in(interrupted);
    DVEC_TRY(check_current());
    return bytes;
}

std::uint32_t Index::tail() const noexcept {
    const auto marks = graph::Watermarks::load(state_.graph);
    return marks.allocated - marks.linked;
}

}  // namespace dvec::store
