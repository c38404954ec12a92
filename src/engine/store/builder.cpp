// The adding thread and the linker each have their own mapping of the files, as two processes
// would; growing a file under one never moves memory under the other.
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
                                                 const Description &description, unsigned threads) {
    return base::guarded([&]() -> Result<std::unique_ptr<Builder>> {
        auto kernel = known_kernel(description);
        DVEC_TRY(kernel);
        std::unique_ptr<Builder> builder(new Builder(file_system, description));
        builder->kernel_ = kernel.value();
        DVEC_TRY(builder->make_files(std::max(threads, 1u)));
        const base::SignalsBlocked blocked;
        builder->driver_ = std::thread([raw = builder.get()] { raw->drive(); });
        return builder;
    });
}

Status Builder::make_files(unsigned threads) {
    threads_ = threads;
    const graph::NodeStore::Params params =
        node_store_params(description_, kernel_, first_generation);
    DVEC_TRY(file_system_.make_directory(description_.directory));
    DVEC_TRY(graph::NodeStore::create_files(file_system_, params));
    for (auto *store : {&nodes_, &linker_nodes_}) {
        auto opened = graph::NodeStore::open(file_system_, params, state_.graph);
        DVEC_TRY(opened);
        *store = std::move(opened).value();
    }
    auto linker =
        graph::Linker::create(*linker_nodes_, linker_params(description_, kernel_, threads));
    DVEC_TRY(linker);
    linker_ = std::move(linker).value();
    return {};
}

Builder::~Builder() {
    stop_.store(true);
    if (driver_.joinable())
        driver_.join();
}

Status Builder::add(graph::Tid tid, const graph::Row &row) {
    return base::guarded([&]() -> Status {
        if (done())
            return driver_status_.ok() ? Status(Code::internal, "linking ended early")
                                       : driver_status_;
        const NodeId id = state_.graph.allocated.load(std::memory_order_relaxed);
        if (id >= graph::max_nodes)
            return Status(Code::limit_exceeded, "index has reached its maximum of " +
                                                    std::to_string(graph::max_nodes) + " entries");
        if (id >= nodes_->mapped_slots() || id >= state_.graph.capacity.load()) {
            DVEC_TRY(nodes_->reserve_slots(1));
            DVEC_TRY(nodes_->refresh());
        }
        nodes_->write_payload(id, tid, row);
        nodes_->publish(id);
        state_.graph.allocated.store(id + 1, std::memory_order_release);
        return {};
    });
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
        if (linked < allocated) {
            DVEC_TRY(linker_->link(
                std::min(allocated, linked + graph::Linker::batch_of_build(linked)), stop_));
        } else if (more_to_come) {
            std::this_thread::sleep_for(idle_wait);
        } else {
            return connect_all();
        }
    }
    return Status(Code::interrupted, std::string());
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
