// Link codes are left out: they are made anew after each start of the server.
#include "engine/store/prewarm.hpp"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "engine/base/signals.hpp"
#include "engine/graph/node_file_names.hpp"
#include "engine/store/checkpoint.hpp"

namespace dvec::store {

using base::Code;
using base::Status;

namespace {

// Between two looks at whether to go on.
constexpr std::uint64_t piece_bytes = std::uint64_t{8} << 20;

constexpr std::array prefixes{graph::nodes_prefix, graph::upper_prefix, graph::columns_prefix};

// IOPRIO_WHO_PROCESS and IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0) of linux/ioprio.h, for headers
// older than the kernel.
constexpr int of_process = 1;
constexpr int when_idle = 3 << 13;

// Of the calling thread alone; where it is refused, nothing is lost.
void take_lowest_priority() noexcept {
    constexpr int lowest = 19;
    (void)setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), lowest);
    (void)::syscall(SYS_ioprio_set, of_process, 0, when_idle);
}

std::uint64_t missing_bytes(const base::Mapping &map, std::uint64_t begin, std::uint64_t end) {
    const std::uint64_t page = base::small_page();
    std::uint64_t missing = 0;
    for (std::uint64_t at = begin; at < end; at += page)
        if (!map.in_memory(at))
            missing += std::min(page, end - at);
    return missing;
}

}  // namespace

Prewarm::~Prewarm() { stop(); }

Status Prewarm::begin(Params params) {
    return base::guarded([&]() -> Status {
        params_ = std::move(params);
        const base::SignalsBlocked blocked;
        thread_ = std::thread([this] { run(); });
        return {};
    });
}

void Prewarm::stop() noexcept {
    stop_.store(true);
    if (thread_.joinable())
        thread_.join();
}

void Prewarm::run() noexcept {
    take_lowest_priority();
    const auto begin = std::chrono::steady_clock::now();
    for (const std::string &directory : params_.directories) {
        Status read = base::guarded([&] { return read_index(directory); });
        if (read.code() == Code::interrupted)
            break;
        if (read.ok())
            ++outcome_.indexes;
        else if (read.code() != Code::not_found && outcome_.failure.ok())
            outcome_.failure = std::move(read);
    }
    outcome_.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    done_.store(true, std::memory_order_release);
}

// A compaction may remove the files that the checkpoint names; then nothing more is done for the
// index, whose new files were just written.
Status Prewarm::read_index(const std::string &directory) {
    auto checkpoints = CheckpointFile::open(file_system_, directory);
    DVEC_TRY(checkpoints);
    auto record = checkpoints.value().read();
    DVEC_TRY(record);
    const std::string generation = std::to_string(record.value().generation);
    for (const std::string_view prefix : prefixes) {
        if (prefix == graph::columns_prefix && record.value().columns == 0)
            continue;
        DVEC_TRY(read_file(directory + "/" + std::string(prefix) + generation));
    }
    return {};
}

Status Prewarm::read_file(const std::string &path) {
    auto file = file_system_.open(path, base::OpenMode::read_only);
    DVEC_TRY(file);
    auto size = file.value()->size();
    DVEC_TRY(size);
    if (size.value() == 0)
        return {};
    auto map = file.value()->map(size.value(), base::Access::read_only);
    DVEC_TRY(map);
    for (std::uint64_t at = 0; at < map.value().size(); at += piece_bytes) {
        if (must_end())
            return Status(Code::interrupted, std::string());
        DVEC_TRY(read_piece(*file.value(), map.value(), at));
    }
    return {};
}

// The file becomes shorter when its extension fails, which can happen at any time: where the disk
// is full.
Status Prewarm::read_piece(base::File &file, const base::Mapping &map, std::uint64_t at) {
    auto size = file.size();
    DVEC_TRY(size);
    const std::uint64_t end = std::min({at + piece_bytes, size.value(), std::uint64_t{map.size()}});
    if (at >= end)
        return {};
    const std::uint64_t missing = missing_bytes(map, at, end);
    if (missing > 0)
        DVEC_TRY(map.bring_in(at, end, base::pages_of(size.value())));
    outcome_.bytes += end - at;
    outcome_.read += missing;
    return {};
}

// Pages that are in memory already take room, too.
bool Prewarm::must_end() {
    if (stop_.load())
        return true;
    outcome_.out_of_room = outcome_.bytes + piece_bytes > params_.room();
    return outcome_.out_of_room;
}

}  // namespace dvec::store
