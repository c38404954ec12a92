// Lets two arbitrary blocks be the checkpoint file of an otherwise sound folder: reading them,
// recovering the folder, and repairing it as recovery asks must neither crash nor hang, and
// whatever the checkpoint said, after a repair of every page the index holds what the table holds.
//
// The input is a script: a byte of flags, where the server's own recovery ended, then the two
// records, one after the other. Without help no input would get past a checksum or be taken for
// this index: flags have the fuzzer complete the seal, the owner and shape, and the place and time
// of writing.
//
// The seeds in corpus/checkpoint are the records of the folder below as it was left in use, of a
// clean one, of a repair under way, and some that contradict themselves. A run with
// DVEC_FUZZ_SEEDS=<folder> writes them.
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/base/checksum.hpp"
#include "engine/store/builder.hpp"
#include "engine/store/checkpoint.hpp"
#include "engine/store/index.hpp"
#include "engine/store/maintainer.hpp"
#include "engine/store/reconciler.hpp"
#include "engine/store/recovery.hpp"
#include "memory_file_system.hpp"

namespace {

using namespace dvec;
using fuzz::MemoryFileSystem;
using fuzz::require;
using fuzz::Script;
using store::CheckpointRecord;

constexpr std::uint8_t flag_seal = 1;       // magic, length and checksum are right
constexpr std::uint8_t flag_owner = 2;      // and the index is this one
constexpr std::uint8_t flag_place = 4;      // and the files are these, of this boot
constexpr std::uint8_t flag_foreign = 8;    // the server recovered from the WAL of another
constexpr std::uint8_t flag_version = 16;   // the format version is the known one
constexpr std::uint8_t flag_followed = 32;  // the server went on by the WAL of another

constexpr std::uint64_t server_start = 9;
constexpr std::uint32_t rows = 40;
constexpr std::uint32_t dimensions = 4;

store::Description description() {
    store::Description made;
    made.owner = {.identity = 0xD1CE,
                  .system = 77,
                  .database = 5,
                  .relation = 16385,
                  .file = {.device = 1, .inode = 2, .born = 3}};
    made.dimensions = dimensions;
    made.m = 4;
    made.ef_construction = 16;
    made.segment_bytes = 4096;
    made.directory = "index";
    return made;
}

class Lock final : public base::Mutex {
  public:
    void lock() override { mutex_.lock(); }
    void unlock() override { mutex_.unlock(); }

  private:
    std::mutex mutex_;
};

class History final : public store::WalHistory {
  public:
    bool file_system_held_since(std::uint64_t) const noexcept override { return false; }
    std::uint64_t current_start() const noexcept override { return server_start + 1; }
    std::optional<std::uint64_t> surviving_end(std::uint64_t start) const noexcept override {
        if (start != server_start)
            return start == server_start + 1 ? std::optional(nothing_lost) : std::nullopt;
        return end;
    }
    Foreign foreign_recovery_since(std::uint64_t) const noexcept override { return foreign; }

    std::uint64_t end = nothing_lost;
    Foreign foreign = Foreign::none;
};

class Wal final : public store::WalFlusher {
  public:
    base::Status flush(std::uint64_t) override { return {}; }
};

// What all parties share during one life of the index.
struct Life {
    explicit Life(MemoryFileSystem &file_system) : files(file_system) {}

    store::Locks locks() { return {append, grow, sync}; }
    std::unique_ptr<store::Index> open() {
        auto index = store::Index::open(files, description(), state, locks());
        require(index.ok());
        return std::move(index).value();
    }
    std::unique_ptr<store::Maintainer> maintainer() {
        auto opened = store::Maintainer::open(files, description(), state, locks(), 1);
        require(opened.ok());
        return std::move(opened).value();
    }

    MemoryFileSystem &files;
    store::SharedState state{};
    Lock append;
    Lock grow;
    Lock sync;
    Wal wal;
};

graph::Tid tid_of(std::uint32_t row) {
    return {row / 10, static_cast<std::uint16_t>(row % 10 + 1)};
}
std::vector<float> vector_of(std::uint32_t row) {
    return {static_cast<float>(row % 7), static_cast<float>(row % 11) / 2,
            static_cast<float>(row % 5) - 2, static_cast<float>(row)};
}

// Rows 0 to 19 are linked in one go, 20 to 29 in another, 30 to 39 only logged. The same every
// time: nothing is left to threads.
void fill(MemoryFileSystem &files) {
    Wal wal;
    {
        auto builder = store::Builder::create(files, description(), 1);
        require(builder.ok());
        builder.value()->finish_adding();
        while (!builder.value()->done())
            std::this_thread::yield();
        const base::Status completed =
            builder.value()->complete(wal, {.server_start = server_start, .reconcile_lsn = 100});
        require(completed.ok());
    }
    Life life(files);
    History history;
    require(store::recover(files, description(), life.state, life.locks(), history).ok());
    life.state.server_start = server_start;
    auto index = life.open();
    auto maintainer = life.maintainer();
    const std::atomic<bool> stop{false};
    for (std::uint32_t row = 0; row < rows; ++row) {
        require(index->insert(tid_of(row), 100 + row, vector_of(row).data()).ok());
        if (row != 19 && row != 29)
            continue;
        require(maintainer->link(rows, stop).ok());
        require(maintainer->checkpoint(wal, store::CheckpointKind::running).ok());
    }
}

// The files of the folder but for `checkpoint`, cut to what is used and a little more.
struct Template {
    std::vector<std::pair<std::string, std::vector<char>>> files;
    std::vector<char> checkpoint;
};

const Template &folder() {
    static const Template made = [] {
        MemoryFileSystem files;
        fill(files);
        Template result;
        for (const std::string &path : files.paths()) {
            auto bytes = files.get(path);
            if (path.ends_with("nodes.1") || path.ends_with("upper.1"))
                bytes.resize(
                    std::min<std::size_t>(bytes.size(), graph::file_header_bytes + 128 * 128));
            if (path.ends_with("checkpoint"))
                result.checkpoint = std::move(bytes);
            else if (path.starts_with("index/"))
                result.files.emplace_back(path, std::move(bytes));
        }
        return result;
    }();
    return made;
}

std::uint64_t boot() {
    MemoryFileSystem files;
    return store::current_boot_id(files);
}

void complete(CheckpointRecord &record, std::uint8_t flags) {
    const store::Description index = description();
    if ((flags & flag_version) != 0)
        record.version = store::checkpoint_version;
    if ((flags & flag_owner) != 0) {
        record.owner_identity = index.owner.identity;
        record.owner_system = index.owner.system;
        record.owner_database = index.owner.database;
        record.owner_relation = index.owner.relation;
        record.owner_device = index.owner.file.device;
        record.owner_inode = index.owner.file.inode;
        record.owner_born = index.owner.file.born;
        record.element = static_cast<std::uint8_t>(index.element);
        record.metric = static_cast<std::uint8_t>(index.metric);
        record.dimensions = index.dimensions;
        record.m = index.m;
        record.segment_bytes = index.segment_bytes;
        record.generation = 1;
    }
    if ((flags & flag_place) != 0) {
        static const std::uint64_t this_boot = boot();
        record.boot = this_boot;
        record.nodes_device = fuzz::file_identity.device;
        record.nodes_inode = fuzz::file_identity.inode;
        record.nodes_born = fuzz::file_identity.born;
        record.nodes_change_time = fuzz::file_change_time;
        record.server_start = server_start;
    }
    if ((flags & flag_seal) != 0) {
        record.magic = store::checkpoint_magic;
        record.serial &= 0xFFFFFFFF;  // no serial ever comes near its end
        record.bytes = sizeof record;
        record.checksum = 0;
        record.checksum = base::checksum(0, &record, sizeof record);
    }
}

void make_files(MemoryFileSystem &files, std::uint8_t flags, Script &script) {
    for (const auto &[path, bytes] : folder().files)
        files.put(path, bytes.data(), bytes.size());
    std::vector<char> blocks(2 * store::checkpoint_block_bytes);
    for (std::size_t block = 0; block < 2; ++block) {
        CheckpointRecord record;
        script.take(&record, sizeof record);
        complete(record, flags);
        std::memcpy(blocks.data() + block * store::checkpoint_block_bytes, &record, sizeof record);
    }
    files.put("index/checkpoint", blocks.data(), blocks.size());
}

std::set<std::uint32_t> found_rows(store::Index &index) {
    graph::Search search;
    const std::vector<float> query = vector_of(3);
    require(index.search(search, query.data(), {}).ok());
    std::set<graph::NodeId> ids;
    std::set<std::uint32_t> found;
    for (;;) {
        const auto hit = search.next();
        require(hit.ok());
        if (!hit.value())
            break;
        require(graph::is_live(index.nodes().state(hit.value()->id)));
        require(ids.insert(hit.value()->id).second);
        found.insert(hit.value()->tid.block * 10 + hit.value()->tid.offset - 1);
    }
    return found;
}

// Tells the index of the even rows only: the others are to go.
void repair(Life &life) {
    auto index = life.open();
    auto begun = store::Reconciler::begin(*index, store::Repair::every_page, nullptr);
    require(begun.ok());
    std::set<std::uint32_t> told;
    for (std::uint32_t row = 0; row < rows; row += 2) {
        require(begun.value()->row(tid_of(row), 500, vector_of(row).data()).ok());
        told.insert(row);
    }
    require(begun.value()->finish_blocks(0, 4, 500).ok());
    require(begun.value()->complete(4, life.wal, 500).ok());
    require(found_rows(*index) == told);
}

void live_on(Life &life) {
    auto maintainer = life.maintainer();
    const std::atomic<bool> stop{false};
    require(maintainer->sanitize_links(stop).ok());
    for (int turn = 0; maintainer->has_tail(); ++turn) {
        require(turn < 100);
        require(maintainer->link(16, stop).ok());
    }
    require(maintainer->checkpoint(life.wal, store::CheckpointKind::clean).ok());
}

void write_seeds(const std::string &target) {
    const auto write = [&](const char *name, auto change) {
        std::vector<char> bytes = folder().checkpoint;
        std::ofstream out(target + "/" + name, std::ios::binary);
        out.put(flag_seal | flag_owner | flag_place | flag_version);
        out.write("\xff\xff\xff\xff\xff\xff\xff\xff", 8);
        for (std::size_t block = 0; block < 2; ++block) {
            CheckpointRecord record;
            std::memcpy(static_cast<void *>(&record),
                        bytes.data() + block * store::checkpoint_block_bytes, sizeof record);
            change(record);
            out.write(reinterpret_cast<const char *>(&record), sizeof record);
        }
    };
    write("in_use", [](CheckpointRecord &) {});
    write("clean", [](CheckpointRecord &record) { record.clean = 1; });
    write("repair_under_way", [](CheckpointRecord &record) {
        record.repair = store::Repair::every_page;
        record.links_unsound = 1;
    });
    write("impossible_position", [](CheckpointRecord &record) { record.log_position += 1; });
    write("impossible_entry_point",
          [](CheckpointRecord &record) { record.entry_point |= std::uint64_t{1} << 63; });
    write("entry_point_without_links", [](CheckpointRecord &record) { record.upper_blocks = 0; });
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int *, char ***) {
    if (const char *target = std::getenv("DVEC_FUZZ_SEEDS"))
        write_seeds(target);
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    Script script(data, size);
    const std::uint8_t flags = script.byte();
    History history;
    history.end = script.number<std::uint64_t>();
    history.foreign = (flags & flag_foreign) != 0    ? store::WalHistory::Foreign::unknown
                      : (flags & flag_followed) != 0 ? store::WalHistory::Foreign::continuing
                                                     : store::WalHistory::Foreign::none;
    MemoryFileSystem files;
    make_files(files, flags, script);

    auto file = store::CheckpointFile::open(files, "index");
    require(file.ok());
    const auto record = file.value().read();
    require(record.ok() || record.status().code() == base::Code::corrupt ||
            record.status().code() == base::Code::unsupported);

    Life life(files);
    const auto report = store::recover(files, description(), life.state, life.locks(), history);
    require(report.ok());
    if (report.value().start == store::Start::rebuild)
        return 0;
    require(record.ok());
    static_cast<void>(found_rows(*life.open()));
    // A sealed record that says more than was on disk is none that was ever written; slots it
    // invents would be waited for. A repair of every page finds them.
    if (report.value().start == store::Start::repair || (flags & flag_seal) != 0)
        repair(life);
    const std::set<std::uint32_t> before = found_rows(*life.open());
    live_on(life);

    Life next(files);
    const auto again = store::recover(files, description(), next.state, next.locks(), History());
    require(again.ok() && again.value().start == store::Start::clean);
    require(found_rows(*next.open()) == before);
    return 0;
}
