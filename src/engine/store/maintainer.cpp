// Everything here is called from one thread; the linker's own threads live inside link().
#include "engine/store/maintainer.hpp"

#include <algorithm>
#include <mutex>

#include "engine/graph/hidden_nodes.hpp"
#include "engine/graph/sanitize.hpp"
#include "engine/graph/twins.hpp"
#include "engine/store/index.hpp"
#include "engine/store/preallocation.hpp"
#include "engine/store/recall_file.hpp"

namespace dvec::store {

using base::Result;
using base::Status;

namespace {

// When more than one node in so many is isolated, the graph is linked anew.
constexpr std::uint64_t most_isolated = 64;

// When one node in so many was linked since the last time, all nodes are connected again.
constexpr std::uint64_t connected_while_linking = 8;
constexpr std::uint64_t connected_at_rest = 256;

// Likewise for link codes. In a small graph a walk goes by links as fast.
constexpr std::uint64_t coded_while_linking = 32;
constexpr graph::NodeId least_coded = 10000;

// Likewise for rows removed and chains of twins.
constexpr std::uint64_t tidied_while_linking = 32;
constexpr std::uint64_t tidied_at_rest = 1024;

// Below so many rows a search that is to reach a target measures all of them while there is no
// curve.
constexpr graph::NodeId least_rows_measured = 640;
// A curve holds while the number of rows has not changed by more than one in so many.
constexpr std::uint64_t measured_again = 4;

}  // namespace

Maintainer::~Maintainer() = default;

Result<std::unique_ptr<Maintainer>> Maintainer::open(base::FileSystem &file_system,
                                                     const Description &description,
                                                     SharedState &state, Locks locks,
                                                     unsigned threads) {
    return base::guarded([&]() -> Result<std::unique_ptr<Maintainer>> {
        auto kernel = known_kernel(description);
        DVEC_TRY(kernel);
        std::unique_ptr<Maintainer> maintainer(
            new Maintainer(file_system, description, state, locks, threads));
        maintainer->kernel_ = kernel.value();
        auto nodes = graph::NodeStore::open(
            file_system, node_store_params(description, kernel.value(), state.generation.load()),
            state.graph);
        DVEC_TRY(nodes);
        maintainer->nodes_ = std::move(nodes).value();
        auto log = log::Writer::open(file_system, log_geometry(description), state.log, locks.sync);
        DVEC_TRY(log);
        maintainer->log_ = std::move(log).value();
        // Links that are coded must not change unnoticed.
        if (state.graph.coded.load() > 0 && maintainer->need_link_codes().ok())
            maintainer->nodes_->note_link_changes_in(
                maintainer->link_codes_->changes(state.graph.coded.load()));
        else
            state.graph.coded.store(0);
        return maintainer;
    });
}

Status Maintainer::need_linker(const std::atomic<bool> &stop) {
    if (linker_)
        return {};
    auto linker = graph::Linker::create(*nodes_, linker_params(description_, kernel_, threads_));
    if (linker.status().code() == base::Code::corrupt) {
        // The links of the entry point are damaged, so the linker cannot use the graph. Making the
        // links sound mends that.
        state_.links_unsound.store(1);
        DVEC_TRY(sanitize_links(stop));
        linker = graph::Linker::create(*nodes_, linker_params(description_, kernel_, threads_));
    }
    DVEC_TRY(linker);
    linker_ = std::move(linker).value();
    return {};
}

bool Maintainer::has_tail() const noexcept {
    return state_.graph.linked.load() < state_.graph.allocated.load();
}

std::uint64_t Maintainer::tail_bytes() const noexcept {
    const auto marks = graph::Watermarks::load(state_.graph);
    return std::uint64_t{marks.allocated - marks.linked} * nodes_->layout().vector_bytes;
}

// Looks at the space without the lock first; where there is too little, takes the lock and looks
// again.
Status Maintainer::allocate_ahead(std::uint32_t slots, std::uint64_t log_bytes) {
    const std::uint32_t allocated = state_.graph.allocated.load(std::memory_order_acquire);
    const log::Position head = state_.log.head.load(std::memory_order_acquire);
    if (state_.graph.capacity.load() >= allocated + slots &&
        state_.log.ready_end.load() >= head + log_bytes)
        return {};
    const std::lock_guard hold(locks_.grow);
    DVEC_TRY(nodes_->reserve_slots(slots));
    return log_->prepare(log_bytes, std::max(2 * log_bytes, log::Writer::least_ahead));
}

Status Maintainer::preallocate() {
    return base::guarded([&]() -> Status {
        const Preallocation ahead =
            preallocation_for(nodes_->layout(), state_, description_.segment_bytes);
        const auto slots = static_cast<std::uint32_t>(
            std::max<std::uint64_t>(1, ahead.slot_bytes / nodes_->layout().stride));
        Status space = allocate_ahead(slots, ahead.log_bytes);
        if (space.code() != base::Code::no_space && space.code() != base::Code::limit_exceeded)
            DVEC_TRY(std::move(space));
        // Slots are not warmed with every row, but before the warm ones are used up.
        const graph::NodeId next = state_.graph.allocated.load(std::memory_order_acquire);
        if (warm_end_ < next + slots / 2) {
            DVEC_TRY(nodes_->refresh());
            nodes_->warm(std::max(next, warm_end_), next + slots);
            warm_end_ = std::min(next + slots, nodes_->mapped_slots());
        }
        return {};
    });
}

Status Maintainer::link(std::uint32_t limit, const std::atomic<bool> &stop) {
    return base::guarded([&]() -> Status {
        if (!has_tail())
            return {};
        DVEC_TRY(leave_clean_state(file_system_, description_, state_, locks_));
        DVEC_TRY(sanitize_links(stop));
        DVEC_TRY(need_linker(stop));
        const std::uint32_t linked = state_.graph.linked.load();
        const std::uint32_t allocated = state_.graph.allocated.load(std::memory_order_acquire);
        return linker_->link(linked + std::min(limit, allocated - linked), stop);
    });
}

Status Maintainer::sanitize_links(const std::atomic<bool> &stop) {
    return base::guarded([&]() -> Status {
        if (state_.links_unsound.load() == 0)
            return {};
        DVEC_TRY(leave_clean_state(file_system_, description_, state_, locks_));
        DVEC_TRY(nodes_->refresh());
        drop_link_codes();
        auto report = graph::sanitize_links(*nodes_, stop);
        DVEC_TRY(report);
        // Mostly, no link leads to a node that no link leads out of.
        if (report.value().isolated * most_isolated > state_.graph.linked.load()) {
            state_.graph.entry_point.store(0);
            state_.graph.linked.store(0);
        }
        nodes_->note_progress();
        state_.connected.store(0);
        state_.links_unsound.store(0);
        return {};
    });
}

bool Maintainer::has_to_connect(Rest rest) const noexcept {
    const std::uint64_t linked = state_.graph.linked.load();
    const std::uint64_t before = state_.connected.load();
    if (linked == before)
        return false;
    const std::uint64_t since = before < linked ? linked - before : linked;
    if (rest == Rest::lasting && !has_tail())
        return true;
    return since * (has_tail() ? connected_while_linking : connected_at_rest) >= linked;
}

Status Maintainer::connect(const std::atomic<bool> &stop) {
    return base::guarded([&]() -> Status {
        DVEC_TRY(leave_clean_state(file_system_, description_, state_, locks_));
        DVEC_TRY(sanitize_links(stop));
        DVEC_TRY(nodes_->refresh());
        // It needs memory for each row, and remembers of each list what a selection has kept, which
        // will not be true of lists that change here. To make it takes far less time than this.
        relax();
        graph::HiddenSearch search;
        search.first_new = static_cast<graph::NodeId>(state_.connected.load());
        search.threads = threads_;
        DVEC_TRY(graph::make_findable(*nodes_, reachability_params(description_, kernel_), search,
                                      stop));
        state_.connected.store(state_.graph.linked.load());
        return {};
    });
}

bool Maintainer::has_to_code_links(Rest rest) const noexcept {
    const graph::NodeId linked = state_.graph.linked.load();
    if (state_.graph.codes_wanted.load() == 0)
        return state_.graph.coded.load() > 0;
    if (no_codes_ || linked < least_coded ||
        !graph::LinkCodes::possible(kernel_, description_.dimensions))
        return false;
    if (next_coded_ > 0 || coded_linked_ == 0)
        return true;
    const std::uint64_t since = linked > coded_linked_ ? linked - coded_linked_ : 0;
    return since > 0 &&
           ((rest == Rest::lasting && !has_tail()) || since * coded_while_linking >= linked);
}

Status Maintainer::code_links(std::uint32_t limit) {
    return base::guarded([&]() -> Status {
        if (state_.graph.codes_wanted.load() == 0)
            return remove_link_codes();
        Status coded = code_some_links(limit);
        if (coded.ok())
            return {};
        no_codes_ = true;
        DVEC_TRY(remove_link_codes());
        return coded.code() == base::Code::no_space ? Status() : std::move(coded);
    });
}

Status Maintainer::code_some_links(std::uint32_t limit) {
    DVEC_TRY(nodes_->refresh());
    DVEC_TRY(need_link_codes());
    const graph::NodeId linked = state_.graph.linked.load();
    const graph::NodeId end = linked - next_coded_ < limit ? linked : next_coded_ + limit;
    const graph::NodeId coded = state_.graph.coded.load();
    if (end > coded)
        DVEC_TRY(link_codes_->grow(end));
    using Before = graph::LinkCodes::Before;
    for (graph::NodeId id = next_coded_; id < end; ++id)
        if (id >= coded)
            link_codes_->code(*nodes_, id, Before::nothing);
        else if (!link_codes_->current(id))
            link_codes_->code(*nodes_, id, Before::coded);
    nodes_->note_link_changes_in(link_codes_->changes(std::max(coded, end)));
    state_.graph.coded.store(std::max(coded, end), std::memory_order_release);
    next_coded_ = end == linked ? 0 : end;
    if (end == linked)
        coded_linked_ = linked;
    return {};
}

// A file from before is as good as a new one as long as no id counts as coded.
Status Maintainer::need_link_codes() {
    if (link_codes_)
        return {};
    const auto params = node_store_params(description_, kernel_, state_.generation.load());
    const auto open = [&] {
        return graph::LinkCodes::open(file_system_, params, kernel_, description_.dimensions);
    };
    auto codes = open();
    if (!codes.ok()) {
        state_.graph.coded.store(0);
        DVEC_TRY(graph::LinkCodes::create(file_system_, params, kernel_, description_.dimensions));
        state_.graph.codes_file.fetch_add(1);
        codes = open();
    }
    DVEC_TRY(codes);
    if (state_.graph.codes_file.load() == 0)
        state_.graph.codes_file.store(1);
    DVEC_TRY(codes.value()->follow(state_.graph.coded.load()));
    link_codes_ = std::move(codes).value();
    return {};
}

// Searches go by the links from now on; what was coded is coded anew.
void Maintainer::drop_link_codes() noexcept {
    state_.graph.coded.store(0);
    nodes_->note_link_changes_in({});
    next_coded_ = coded_linked_ = 0;
}

Status Maintainer::remove_link_codes() {
    drop_link_codes();
    link_codes_.reset();
    return graph::LinkCodes::remove(
        file_system_, node_store_params(description_, kernel_, state_.generation.load()));
}

bool Maintainer::has_to_tidy() const noexcept {
    const std::uint64_t linked = state_.graph.linked.load();
    const std::uint64_t deleted = state_.graph.deleted.load();
    if (deleted <= tidied_deleted_ || linked == twinless_linked_)
        return false;
    return (deleted - tidied_deleted_) * (has_tail() ? tidied_while_linking : tidied_at_rest) >=
           linked;
}

Status Maintainer::tidy(const std::atomic<bool> &stop) {
    return base::guarded([&]() -> Status {
        DVEC_TRY(leave_clean_state(file_system_, description_, state_, locks_));
        DVEC_TRY(sanitize_links(stop));
        DVEC_TRY(nodes_->refresh());
        // Read before tidying: rows that are removed meanwhile may stay in their chains, and count
        // for the next time.
        const std::uint32_t deleted = state_.graph.deleted.load();
        auto report = graph::tidy_twins(*nodes_, graph::TwinCheck::membership, stop);
        DVEC_TRY(report);
        tidied_deleted_ = deleted;
        twinless_linked_ = report.value().twins == 0 ? state_.graph.linked.load() : 0;
        // A twin that lost its node has no links.
        if (report.value().parted > 0)
            state_.connected.store(0);
        return {};
    });
}

bool Maintainer::has_possible_marks() const noexcept {
    // Read in this order, each is at most the next one (graph::Watermarks::load).
    const auto entry = graph::EntryPoint::unpack(state_.graph.entry_point.load());
    const graph::NodeId linked = state_.graph.linked.load();
    const graph::NodeId allocated = state_.graph.allocated.load();
    const graph::NodeId capacity = state_.graph.capacity.load();
    const bool enters = entry.level >= 0 && entry.id < linked &&
                        entry.level <= graph::node_level(entry.id, description_.m);
    return linked <= allocated && allocated <= capacity && (entry.level == -1 || enters);
}

bool Maintainer::has_to_scrub() const noexcept {
    return state_.scrub_next.load() < state_.scrub_end.load();
}

Result<std::vector<Maintainer::Damaged>> Maintainer::scrub(std::uint32_t limit) {
    return base::guarded([&]() -> Result<std::vector<Damaged>> {
        DVEC_TRY(nodes_->refresh());
        std::vector<Damaged> damaged;
        const std::uint32_t begin = state_.scrub_next.load();
        const std::uint32_t end = std::min({state_.scrub_end.load(), state_.graph.allocated.load(),
                                            limit < ~begin ? begin + limit : ~std::uint32_t{0}});
        for (std::uint32_t id = begin; id < end; ++id)
            if (!nodes_->slot_intact(id))
                damaged.push_back({id, nodes_->nodes_path(), nodes_->file_offset(id)});
        state_.scrub_next.store(end);
        return damaged;
    });
}

bool Maintainer::has_to_measure_recall() const noexcept {
    if (state_.recall_wanted.load() == 0)
        return false;
    if (recall_)
        return true;
    const std::uint64_t rows = graph::RecallMeasure::rows_to_measure(state_.graph);
    if (rows < least_rows_measured)
        return false;
    const auto curve = state_.recall.load();
    if (!curve || curve->generation != state_.generation.load())
        return true;
    const std::uint64_t change = rows > curve->rows ? rows - curve->rows : curve->rows - rows;
    return change * measured_again > curve->rows;
}

Status Maintainer::measure_recall(std::chrono::microseconds most, const std::atomic<bool> &stop) {
    Status measured = base::guarded([&] { return go_on_measuring(most, stop); });
    // What has failed begins anew.
    if (!measured.ok() && measured.code() != base::Code::interrupted)
        recall_.reset();
    return measured;
}

Status Maintainer::go_on_measuring(std::chrono::microseconds most, const std::atomic<bool> &stop) {
    DVEC_TRY(sanitize_links(stop));
    const auto end = std::chrono::steady_clock::now() + most;
    if (!recall_) {
        DVEC_TRY(nodes_->refresh());
        recall_ = std::make_unique<graph::RecallMeasure>(
            *nodes_, state_.graph,
            graph::RecallMeasure::Params{kernel_, description_.dimensions,
                                         state_.generation.load()});
    }
    while (!recall_->done() && std::chrono::steady_clock::now() < end) {
        if (stop.load())
            return Status(base::Code::interrupted, std::string());
        DVEC_TRY(recall_->step());
    }
    if (!recall_->done())
        return {};
    const graph::RecallCurve curve = recall_->curve();
    recall_.reset();
    // Without its file, as on a full disk, it holds until the index is closed.
    Status written = write_recall(file_system_, description_, curve);
    state_.recall.store(curve);
    return written.code() == base::Code::no_space ? Status() : written;
}

Status Maintainer::sync_log() {
    return base::guarded([&]() -> Status {
        const std::lock_guard hold(locks_.sync);
        return log_->sync();
    });
}

std::uint64_t Maintainer::unsynced_log_bytes() const noexcept {
    // `synced` first: it never passes the head, which only grows.
    const std::uint64_t synced = state_.log.synced.load(std::memory_order_acquire);
    return state_.log.head.load(std::memory_order_acquire) - synced;
}

std::uint64_t Maintainer::replay_bytes() const noexcept {
    const std::uint64_t position = state_.checkpoint_position.load(std::memory_order_acquire);
    return state_.log.head.load(std::memory_order_acquire) - position;
}

std::uint32_t Maintainer::relink_nodes() const noexcept {
    return state_.graph.linked.load() - state_.checkpoint_linked.load();
}

bool Maintainer::has_large_log() const noexcept {
    const log::Position first = state_.log.first.load(std::memory_order_acquire);
    const log::Position ready = state_.log.ready_end.load(std::memory_order_acquire);
    return state_.log.head.load(std::memory_order_acquire) > first &&
           !small_beside_index(ready - first, nodes_->layout(), state_);
}

// A checkpoint frees the segments before the one its log begins in. Where that segment is large for
// its index, as after many changes of few rows, the log goes on in a new segment. When the disk is
// full, it stays in the large one.
Status Maintainer::leave_large_log() {
    const std::uint64_t segment_bytes = description_.segment_bytes;
    const log::Position head = state_.log.head.load(std::memory_order_acquire);
    const log::Position begin = head - head % segment_bytes;
    const log::Position ready = state_.log.ready_end.load(std::memory_order_acquire);
    if (head == begin ||
        small_beside_index(std::min(ready - begin, segment_bytes), nodes_->layout(), state_))
        return {};
    const std::lock_guard hold(locks_.grow);
    Status left = log_->end_segment(locks_.append);
    return left.code() == base::Code::no_space || left.code() == base::Code::limit_exceeded
               ? Status()
               : left;
}

Status Maintainer::checkpoint(WalFlusher &wal, CheckpointKind kind) {
    return base::guarded([&]() -> Status {
        DVEC_TRY(leave_large_log());
        DVEC_TRY(sync_log());
        if (kind == CheckpointKind::running) {
            // Makes sure that the segment in which the log goes on is there, so that recovery can
            // tell a log that is gone from one that was not begun. On a full disk this fails; then
            // recovery cannot tell, and may find more to repair than there is.
            const std::lock_guard hold(locks_.grow);
            Status prepared = log_->prepare(1);
            if (prepared.code() != base::Code::no_space)
                DVEC_TRY(std::move(prepared));
        }
        DVEC_TRY(take_checkpoint(file_system_, description_, state_, locks_, *nodes_, wal, kind));
        return log_->discard_before(state_.checkpoint_position.load());
    });
}

}  // namespace dvec::store
