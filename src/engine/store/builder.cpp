// The adding thread and the linker each have their own mapping of the files, as two processes
// would; growing a file under one never moves memory under the other.
//
// Files leave memory between two batches, when no thread links, and while the adding thread does
// not write: it asks for that and waits, or is kept from writing by a lock.
#include "engine/store/builder.hpp"

#include <algorithm>
#include <chrono>
#include <limits>

#include "engine/base/signals.hpp"
#include "engine/graph/hidden_nodes.hpp"
#include "engine/store/index.hpp"

namespace dvec::store {

using base::Code;
using base::Result;
using base::Status;
using graph::NodeId;

namespace {

// The generation of the node files of a new index.
constexpr std::uint64_t first_generation = 1;

constexpr auto idle_wait = std::chrono::milliseconds(1);

std::string parent_of(const std::string &directory) {
    const auto slash = directory.rfind('/');
    return slash == std::string::npos ? "." : directory.substr(0, slash + 1);
}

}  // namespace

Result<std::unique_ptr<Builder>> Builder::create(base::FileSystem &file_system,
                                                 const Description &description, unsigned threads,
                                                 std::uint64_t memory) {
    return base::guarded([&]() -> Result<std::unique_ptr<Builder>> {
        auto kernel = known_kernel(description);
        DVEC_TRY(kernel);
        std::unique_ptr<Builder> builder(
            new Builder(file_system, description, kernel.value(), {std::max(threads, 1u), memory}));
        DVEC_TRY(builder->make_files());
        const base::SignalsBlocked blocked;
        builder->driver_ = std::thread([raw = builder.get()] { raw->drive(); });
        return builder;
    });
}

Builder::Builder(base::FileSystem &file_system, const Description &description,
                 const distance::Kernel &kernel, Means means)
    : file_system_(file_system),
      description_(description),
      threads_(means.threads),
      kernel_(kernel),
      params_(node_store_params(description_, kernel_, first_generation)),
      files_(file_system, memory_for_files(means.memory, params_.layout)) {}

Status Builder::make_files() {
    const bool wanted_in_memory = files_.in_memory();
    DVEC_TRY(file_system_.make_directory(description_.directory));
    DVEC_TRY(files_.create(params_));
    if (wanted_in_memory && !files_.in_memory())
        note_outgrown();
    for (auto *store : {&nodes_, &linker_nodes_}) {
        auto opened = graph::NodeStore::open(files_, params_, state_.graph);
        DVEC_TRY(opened);
        *store = std::move(opened).value();
    }
    auto linker =
        graph::Linker::create(*linker_nodes_, linker_params(description_, kernel_, threads_));
    DVEC_TRY(linker);
    linker_ = std::move(linker).value();
    return {};
}

Builder::~Builder() {
    stop_.store(true);
    if (driver_.joinable())
        driver_.join();
}

Result<bool> Builder::try_add(graph::Tid tid, const graph::Row &row) {
    return base::guarded([&]() -> Result<bool> {
        if (done())
            return driver_status_.ok() ? Status(Code::internal, "linking ended early")
                                       : driver_status_;
        if (move_wanted_.load(std::memory_order_acquire))
            return false;
        // The driver has it only while it moves the files, and may have begun by now.
        const std::unique_lock hold(moving_, std::try_to_lock);
        if (!hold.owns_lock())
            return false;
        auto room = make_room();
        if (!room.ok() || !room.value())
            return room;
        const NodeId id = state_.graph.allocated.load(std::memory_order_relaxed);
        nodes_->write_payload(id, tid, row);
        nodes_->publish(id);
        state_.graph.allocated.store(id + 1, std::memory_order_release);
        return true;
    });
}

Status Builder::add(graph::Tid tid, const graph::Row &row) {
    for (;;) {
        auto added = try_add(tid, row);
        DVEC_TRY(added);
        if (added.value())
            return {};
        std::this_thread::sleep_for(idle_wait);
    }
}

// Under moving_. False when the files have to leave memory first, which is asked for here.
Result<bool> Builder::make_room() {
    const NodeId id = state_.graph.allocated.load(std::memory_order_relaxed);
    if (id >= graph::max_nodes)
        return Status(Code::limit_exceeded, "index has reached its maximum of " +
                                                std::to_string(graph::max_nodes) + " entries");
    if (id < nodes_->mapped_slots() && id < state_.graph.capacity.load())
        return true;
    Status reserved = nodes_->reserve_slots(1);
    if (reserved.code() == Code::no_space && files_.in_memory()) {
        move_wanted_.store(true, std::memory_order_release);
        return false;
    }
    DVEC_TRY(std::move(reserved));
    DVEC_TRY(nodes_->refresh());
    return true;
}

void Builder::drive() {
    driver_status_ = link_all();
    driver_done_.store(true, std::memory_order_release);
}

Status Builder::link_all() {
    while (!stop_.load(std::memory_order_relaxed)) {
        // Read before `allocated`: when this says that adding has ended, `allocated` is final.
        const bool more_to_come = adding_.load(std::memory_order_acquire);
        const NodeId linked = state_.graph.linked.load(std::memory_order_relaxed);
        const NodeId allocated = state_.graph.allocated.load(std::memory_order_acquire);
        if (move_wanted_.load(std::memory_order_acquire)) {
            DVEC_TRY(outgrow_memory());
        } else if (linked < allocated) {
            DVEC_TRY(
                link_batch(std::min(allocated, linked + graph::Linker::batch_of_build(linked))));
        } else if (more_to_come) {
            std::this_thread::sleep_for(idle_wait);
        } else {
            DVEC_TRY(connect_all());
            writing_.store(true, std::memory_order_relaxed);
            return files_.in_memory() ? move_files() : Status();
        }
    }
    return Status(Code::interrupted, std::string());
}

// The linker makes sure of its space before it changes anything, so the batch can be linked again.
Status Builder::link_batch(NodeId end) {
    Status linked = linker_->link(end, stop_);
    if (linked.code() == Code::no_space && files_.in_memory())
        return outgrow_memory();
    return linked;
}

Status Builder::outgrow_memory() {
    move_wanted_.store(true, std::memory_order_release);
    DVEC_TRY(move_files());
    note_outgrown();
    move_wanted_.store(false, std::memory_order_release);
    return {};
}

Status Builder::move_files() {
    return base::guarded([&]() -> Status {
        const std::lock_guard hold(moving_);
        DVEC_TRY(files_.move_out(stop_));
        DVEC_TRY(nodes_->remap());
        return linker_nodes_->remap();
    });
}

void Builder::note_outgrown() noexcept {
    outgrown_when_ = {.rows = added(), .system_short = files_.system_short()};
    outgrown_.store(true, std::memory_order_release);
}

std::optional<Builder::Outgrown> Builder::outgrown() const noexcept {
    return outgrown_.load(std::memory_order_acquire) ? std::optional(outgrown_when_) : std::nullopt;
}

Status Builder::connect_all() {
    linker_.reset();  // both need memory for each row
    // All are looked for, however many: a graph is built once, and searched for a long time.
    const graph::HiddenSearch all{0, std::numeric_limits<NodeId>::max(), threads_};
    DVEC_TRY(graph::make_findable(*linker_nodes_, reachability_params(description_, kernel_), all,
                                  stop_));
    state_.connected.store(state_.graph.linked.load());
    return {};
}

Status Builder::complete(WalFlusher &wal, const Origin &origin) {
    return base::guarded([&]() -> Status {
        DVEC_TRY(driver_status_);
        state_.generation.store(first_generation);
        state_.server_start.store(origin.server_start);
        state_.reconcile_lsn.store(origin.reconcile_lsn);
        auto file = CheckpointFile::create(file_system_, description_.directory);
        DVEC_TRY(file);
        DVEC_TRY(linker_nodes_->refresh());
        DVEC_TRY(take_checkpoint(file_system_, description_, state_, Locks{append_, grow_, sync_},
                                 *linker_nodes_, wal, CheckpointKind::clean));
        DVEC_TRY(file_system_.sync_directory(description_.directory));
        return file_system_.sync_directory(parent_of(description_.directory));
    });
}

}  // namespace dvec::store
