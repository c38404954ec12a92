// A history of inserts, removals, links, checkpoints, compactions and restarts that is crashed at
// every single operation on its files, one crash after the other, each examined on a copy: killed
// processes, power losses, and folders copied while they were in use. After each, and after what
// the heap has to tell where recovery asks for it, the index holds what the table holds.
//
// A crash inside a crash's recovery or repair is among them.
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "../support/crash_file_system.hpp"
#include "../support/sanitized.hpp"
#include "engine/store/compactor.hpp"
#include "engine/store/reconciler.hpp"
#include "heap_model.hpp"

namespace dvec::test {
namespace {

namespace fs = std::filesystem;
using store::CheckpointKind;
using store::Repair;
using store::Start;

// What sanitizers look for shows in a part of the points; only where all are crashed is it counted
// what was seen.
constexpr std::uint64_t stride = sanitized ? 6 : 1;

// An index, its table and the server they belong to, at one moment.
struct World {
    explicit World(CrashFileSystem &crash_files) : files(crash_files), store(crash_files) {}

    CrashFileSystem &files;
    StoreUnderTest store;
    HeapModel heap;
};

// What the examination of crashes came across: a test that never saw a kind of crash proves nothing
// about it.
struct Tally {
    std::map<Start, int> starts;
    int added = 0, removed = 0, damaged = 0, dropped = 0;

    friend std::ostream &operator<<(std::ostream &out, const Tally &tally) {
        for (const auto &[start, count] : tally.starts)
            out << name_of(start) << ' ' << count << ", ";
        return out << "rows added " << tally.added << ", removed " << tally.removed << ", damaged "
                   << tally.damaged << ", dropped " << tally.dropped;
    }
};

// What the server does with an index that recovery does not vouch for: it tells it the heap.
void reconcile(World &world, Tally &tally) {
    const Repair repair = world.store.state->repair.load();
    const std::uint64_t s = world.store.state->reconcile_lsn.load();
    const std::uint64_t wal_end = world.heap.wal_head;
    auto index = world.store.open();
    auto begun = store::Reconciler::begin(*index, repair, nullptr);
    ASSERT_TRUE(begun.ok()) << begun.status().message();
    store::Reconciler &reconciler = *begun.value();
    for (std::uint32_t block = 0; block < world.heap.blocks(); ++block) {
        if (repair == Repair::changed_pages && world.heap.block_lsn(block) < s)
            continue;
        const auto begin = world.heap.lines.lower_bound(HeapModel::key({block, 0}));
        const auto end = world.heap.lines.lower_bound(HeapModel::key({block + 1, 0}));
        for (auto line = begin; line != end; ++line) {
            if (line->second.state != HeapModel::State::present)
                continue;
            const auto data = world.store.data(line->second.version);
            const base::Status told = reconciler.row(HeapModel::tid(line->first), wal_end, data);
            ASSERT_TRUE(told.ok()) << told.message();
        }
        const base::Status finished = reconciler.finish_blocks(block, block + 1, wal_end);
        ASSERT_TRUE(finished.ok()) << finished.message();
        // What was dead there is gone for good.
        std::erase_if(world.heap.lines, [block](const auto &line) {
            return HeapModel::tid(line.first).block == block &&
                   line.second.state != HeapModel::State::present;
        });
    }
    const base::Status done = reconciler.complete(world.heap.blocks(), world.heap.wal, wal_end);
    ASSERT_TRUE(done.ok()) << done.message();
    EXPECT_EQ(world.store.state->repair.load(), Repair::none);
    tally.added += static_cast<int>(reconciler.report().added);
    tally.removed += static_cast<int>(reconciler.report().removed);
    tally.damaged += static_cast<int>(reconciler.report().damaged);
}

// The server starts: recovery, and repair where it is asked for.
Start start(World &world, std::uint64_t wal_end, Tally &tally) {
    const auto report = world.store.recover(wal_end);
    ++tally.starts[report.start];
    tally.dropped += static_cast<int>(report.dropped);
    if (report.start == Start::repair)
        reconcile(world, tally);
    return report.start;
}

// The index goes on being used: what recovery left can be linked, added to and closed.
void live_on(World &world) {
    auto index = world.store.open();
    auto maintainer = world.store.maintainer();
    ASSERT_NO_FATAL_FAILURE(link_all(*maintainer));
    ASSERT_NO_FATAL_FAILURE(expect_agrees(*index, world.heap));
    for (int i = 0; i < 5; ++i) {
        const std::uint64_t place = world.heap.begin_row();
        HeapModel::Line &line = world.heap.lines.at(place);
        const auto data = world.store.data(line.version);
        ASSERT_TRUE(index->insert(HeapModel::tid(place), line.lsn, data).ok());
        line.state = HeapModel::State::present;
    }
    ASSERT_NO_FATAL_FAILURE(link_all(*maintainer));
    ASSERT_TRUE(maintainer->checkpoint(world.heap.wal, CheckpointKind::clean).ok());
    index.reset();
    maintainer.reset();
    ASSERT_EQ(world.store.recover().start, Start::clean);
    index = world.store.open();
    ASSERT_NO_FATAL_FAILURE(expect_agrees(*index, world.heap));
}

// Short vectors put dozens of nodes on a page of the disk; of long ones no two share all pages, and
// few of them make the files grow.
struct Shape {
    std::uint32_t dimensions;
    std::uint64_t segment_bytes;
    std::uint32_t columns;
};

class CrashPoints : public testing::TestWithParam<Shape> {
  protected:
    CrashPoints() { take_shape(world_); }

    static void take_shape(World &world) {
        world.store.description.dimensions = GetParam().dimensions;
        world.store.description.segment_bytes = GetParam().segment_bytes;
        world.store.description.columns = GetParam().columns;
    }

    // Takes the remains of `world` after a crash now and examines them. `deeper` is called at every
    // operation of the start.
    using Deeper = std::function<void(World &image)>;
    static constexpr std::nullptr_t nothing_more = nullptr;
    void examine(World &world, Crash crash, std::uint32_t seed, const Deeper &deeper) {
        SCOPED_TRACE(testing::Message()
                     << (crash == Crash::power_loss ? "power loss" : "process death") << " at "
                     << world.files.mutations() << ", seed " << seed);
        TempDirectory directory;
        const auto files =
            world.files.remains(world.store.folder(), directory.file("index"), crash, seed);
        World image(*files);
        take_shape(image);
        image.store.description.directory = directory.file("index");
        image.store.history = world.store.history;
        image.heap = world.heap;
        std::mt19937 random(seed);
        const std::uint64_t wal_end = image.heap.crash(random);
        if (deeper)
            files->observe([&](Operation, const std::string &) { deeper(image); });
        const Start how = start(image, wal_end, tally_[crash]);
        files->observe(nullptr);
        ++crashes_;
        if (how == Start::rebuild) {
            EXPECT_FALSE(built_) << "the files are of use after any crash";
            return;
        }
        if (HasFatalFailure())
            return;
        ASSERT_NO_FATAL_FAILURE(expect_agrees(*image.store.open(), image.heap));
        if (crashes_ % 4 == 0) {
            ASSERT_NO_FATAL_FAILURE(live_on(image));
        }
    }

    // Builds the index and lets it live, always in the same way. `examination` is called at every
    // crash point.
    void run(std::function<void()> examination) {
        constexpr int steps = 450;
        examination_ = std::move(examination);
        observe();
        ASSERT_NO_FATAL_FAILURE(build());
        ASSERT_EQ(world_.store.recover().start, Start::clean);
        open();
        for (int i = 0; i < steps && !HasFailure(); ++i) {
            SCOPED_TRACE(testing::Message() << "step " << i);
            step();
            // What was stored through mappings since is a state of its own.
            crash_point();
            advance_s();
        }
        close();
        files_.observe(nullptr);
    }

    // Whether this is one of every `n` points that are crashed.
    bool every(std::uint64_t n) const { return points_ % (n * stride) == 0; }

    void observe() {
        files_.observe([this](Operation operation, const std::string &path) {
            exchanging_ = compactor_ != nullptr && operation == Operation::sync &&
                          path.ends_with("/checkpoint");
            crash_point();
            exchanging_ = false;
        });
    }

    void crash_point() {
        ++points_;
        if (every(1) && !HasFailure())
            examination_();
    }

    void expect_eventful_history() {
        EXPECT_GT(clean_starts_, 2);
        EXPECT_GT(compactions_, 3);
        EXPECT_GT(deaths_.starts[Start::replayed], 2);
        EXPECT_GT(points_, 500u);
    }

    // A copy of the folder as of now. Backups are made of this moment's and a later one's files.
    void begin_backup() {
        backup_ = std::make_unique<TempDirectory>();
        world_.files.remains(world_.store.folder(), backup_->file("index"), Crash::process_death);
    }

    void examine_copy() {
        if (!backup_ || !fs::exists(backup_->file("index")) || !fs::exists(world_.store.folder()))
            return;
        SCOPED_TRACE(testing::Message() << "copy at " << points_);
        std::mt19937 random(static_cast<unsigned>(points_));
        TempDirectory directory;
        const std::string early = backup_->file("index");
        const std::string late = directory.file("late");
        world_.files.remains(world_.store.folder(), late, Crash::process_death);
        CrashFileSystem files;
        World copy(files);
        take_shape(copy);
        fs::create_directory(copy.store.folder());
        mix(early, late, copy.store.folder(), random);
        copy.store.history = world_.store.history;
        copy.heap = world_.heap;
        if (start(copy, copy.heap.wal_head, copies_) == Start::repair && !HasFatalFailure()) {
            ASSERT_NO_FATAL_FAILURE(live_on(copy));
        }
    }

    // Each file in a state of the one moment, of the other, or in pages of both.
    static void mix(const std::string &early, const std::string &late, const std::string &to,
                    std::mt19937 &random) {
        std::set<std::string> names;
        for (const std::string &folder : {early, late})
            for (const auto &entry : fs::directory_iterator(folder))
                names.insert(entry.path().filename());
        for (const std::string &name : names) {
            const bool in_early = fs::exists(early + "/" + name);
            const bool in_late = fs::exists(late + "/" + name);
            if (in_early != in_late && random() % 4 == 0)
                continue;
            if (!in_early || !in_late || random() % 4 != 0) {
                const bool from_early = in_early && (!in_late || random() % 2 == 0);
                fs::copy(from_early ? early + "/" + name : late + "/" + name, to + "/" + name);
                continue;
            }
            auto bytes = read_bytes(late + "/" + name);
            const auto old = read_bytes(early + "/" + name);
            for (std::size_t at = 0; at < std::min(old.size(), bytes.size()); at += disk_page_bytes)
                if (random() % 2 == 0)
                    std::copy_n(old.begin() + static_cast<std::ptrdiff_t>(at),
                                std::min({disk_page_bytes, old.size() - at, bytes.size() - at}),
                                bytes.begin() + static_cast<std::ptrdiff_t>(at));
            write_bytes(to + "/" + name, bytes);
        }
    }

    // As the server does it when nothing of a folder can be used.
    void rebuild() {
        ASSERT_TRUE(files_.remove_directory(world_.store.folder()).ok());
        abort_running();
        std::erase_if(world_.heap.lines, [](const auto &line) {
            return line.second.state != HeapModel::State::present;
        });
        ASSERT_NO_FATAL_FAILURE(build());
        ASSERT_EQ(world_.store.recover().start, Start::clean);
    }

    void build() {
        HeapModel &heap = world_.heap;
        const std::uint64_t wal_end = heap.wal_head;
        world_.store.history.begin_start();
        auto builder =
            store::Builder::create(world_.files, world_.store.description, 1, some_memory());
        ASSERT_TRUE(builder.ok()) << builder.status().message();
        // Two threads write here, in no fixed order, what nobody believes yet.
        files_.observe(nullptr);
        while (heap.lines.size() < 30)
            heap.begin_row();
        graph::NodeId id = 0;
        for (auto &[place, line] : heap.lines) {
            const auto data = world_.store.data(line.version);
            ASSERT_TRUE(builder.value()->add(HeapModel::tid(place), data).ok());
            line.state = HeapModel::State::present;
            line.id = id++;
        }
        builder.value()->finish_adding();
        while (!builder.value()->done())
            std::this_thread::yield();
        if (examination_)
            observe();
        // What a build reads from the heap is no longer on its way.
        heap.wal.flushed = heap.wal_head;
        const base::Status completed = builder.value()->complete(
            heap.wal,
            {.server_start = world_.store.history.current_start(), .reconcile_lsn = wal_end});
        ASSERT_TRUE(completed.ok()) << completed.message();
        built_ = true;
    }

    void open() {
        index_ = world_.store.open();
        maintainer_ = world_.store.maintainer();
    }
    void close() {
        compactor_.reset();
        index_.reset();
        maintainer_.reset();
        next_s_.reset();
        running_.clear();
    }

    void step() {
        switch (random_() % 23) {
            case 20:
            case 21:
                return compact();
            case 22:
                return insert_without_wal();
            case 0:
            case 1:
                return vacuum();
            case 2:
            case 3:
                return link();
            case 4:
                ASSERT_TRUE(index_->sync_log().ok());
                return;
            case 5:
                ASSERT_TRUE(maintainer_->checkpoint(world_.heap.wal, CheckpointKind::running).ok());
                return;
            case 6:
                return files_.write_back(static_cast<std::uint32_t>(random_()));
            case 7:
                if (random_() % 2 == 0)
                    return random_() % 2 == 0 ? shut_down() : die();
                return;
            case 8:
            case 9:
            case 10:
            case 11:
                // Rows that stand in the heap while others come to the index before them.
                running_.push_back(world_.heap.begin_row());
                return;
            default:
                return insert();
        }
    }

    void insert() {
        running_.push_back(world_.heap.begin_row());
        std::shuffle(running_.begin(), running_.end(), random_);
        for (std::size_t left = 1 + random_() % running_.size(); left > 0; --left) {
            const std::uint64_t place = running_.back();
            HeapModel::Line &line = world_.heap.lines.at(place);
            const auto data = world_.store.data(line.version);
            auto id = index_->insert(HeapModel::tid(place), line.lsn, data);
            ASSERT_TRUE(id.ok()) << id.status().message();
            line.id = id.value();
            line.state = HeapModel::State::present;
            running_.pop_back();
        }
        if (random_() % 2 == 0)
            world_.heap.wal.flushed = world_.heap.wal_head;
    }

    // No page LSN will tell of such rows: they are acknowledged when the sidecar's log is durable.
    void insert_without_wal() {
        std::vector<std::uint64_t> places(1 + random_() % 3);
        for (std::uint64_t &place : places) {
            place = world_.heap.begin_row(HeapModel::Wal::skipped);
            HeapModel::Line &line = world_.heap.lines.at(place);
            const auto data = world_.store.data(line.version);
            auto id = index_->insert(HeapModel::tid(place), 0, data);
            ASSERT_TRUE(id.ok()) << id.status().message();
            line.id = id.value();
        }
        ASSERT_TRUE(index_->sync_log().ok());
        for (const std::uint64_t place : places)
            world_.heap.lines.at(place).state = HeapModel::State::present;
    }

    // Line pointers are free for others once the removals are durable.
    void vacuum() {
        std::vector<std::uint64_t> victims;
        for (const auto &[place, line] : world_.heap.lines)
            if (line.state == HeapModel::State::present && random_() % 8 == 0)
                victims.push_back(place);
        for (const std::uint64_t place : victims)
            world_.heap.begin_removal(place);
        for (const std::uint64_t place : victims) {
            const base::Status removed =
                index_->remove(world_.heap.lines.at(place).id, world_.heap.wal_head);
            ASSERT_TRUE(removed.ok()) << removed.message();
        }
        ASSERT_TRUE(index_->sync_log().ok());
        for (const std::uint64_t place : victims)
            world_.heap.free_line(place);
    }

    void link() {
        const std::atomic<bool> stop{false};
        const base::Status linked = maintainer_->link(1 + random_() % 30, stop);
        ASSERT_TRUE(linked.ok()) << linked.message();
    }

    // For new files: none, too little, or enough.
    std::uint64_t some_memory() {
        constexpr std::uint64_t kilobytes[] = {0, 12, 16, 1024};
        return kilobytes[memories_++ % 4] << 10;
    }

    // A piece of a compaction at a time, with all the rest in between.
    void compact() {
        if (!compactor_) {
            auto begun =
                store::Compactor::begin(files_, world_.store.description, *world_.store.state,
                                        world_.store.locks(), 1, some_memory());
            ASSERT_TRUE(begun.ok()) << begun.status().message();
            compactor_ = std::move(begun).value();
            return;
        }
        const std::atomic<bool> stop{false};
        auto stepped = compactor_->step(1 + random_() % 100, stop);
        ASSERT_TRUE(stepped.ok()) << stepped.status().message();
        if (!stepped.value() || random_() % 2 == 0)
            return;
        const base::Status finished = compactor_->finish(world_.heap.wal, [this] {
            for (auto &[place, line] : world_.heap.lines)
                line.id = compactor_->copied_below(line.id);
        });
        ASSERT_TRUE(finished.ok()) << finished.message();
        ++compactions_;
        compactor_.reset();
        open();
    }

    // S may become what the end of WAL was when every transaction that was running then has ended.
    void advance_s() {
        if (!next_s_) {
            next_s_ = NextS{world_.heap.wal_head, running_};
            return;
        }
        std::erase_if(next_s_->running, [this](std::uint64_t place) {
            return std::find(running_.begin(), running_.end(), place) == running_.end();
        });
        if (!next_s_->running.empty())
            return;
        world_.store.state->reconcile_lsn.store(next_s_->lsn);
        next_s_.reset();
    }

    void shut_down() {
        abort_running();
        ASSERT_TRUE(maintainer_->checkpoint(world_.heap.wal, CheckpointKind::clean).ok());
        world_.heap.wal.flushed = world_.heap.wal_head;
        close();
        ASSERT_EQ(world_.store.recover().start, Start::clean);
        open();
        ++clean_starts_;
    }
    void die() {
        abort_running();
        close();
        const Start how = start(world_, world_.heap.crash(random_), deaths_);
        ASSERT_TRUE(how == Start::clean || how == Start::replayed) << name_of(how);
        open();
    }
    // Transactions that never came to the index.
    void abort_running() {
        for (const std::uint64_t place : running_)
            world_.heap.free_line(place);
        running_.clear();
    }

    struct NextS {
        std::uint64_t lsn;
        std::vector<std::uint64_t> running;
    };

    CrashFileSystem files_;
    World world_{files_};
    std::mt19937 random_{4711};
    bool exchanging_ = false;  // a compaction has written its checkpoint and not synced it
    unsigned memories_ = 0;    // given to builds and compactions
    std::unique_ptr<store::Index> index_;
    std::unique_ptr<store::Maintainer> maintainer_;
    std::unique_ptr<store::Compactor> compactor_;
    std::vector<std::uint64_t> running_;
    std::optional<NextS> next_s_;
    std::function<void()> examination_;
    bool built_ = false;
    std::uint64_t points_ = 0;
    std::uint64_t crashes_ = 0;
    int clean_starts_ = 0;
    int compactions_ = 0;
    std::map<Crash, Tally> tally_;
    Tally deaths_;
    Tally copies_;
    std::unique_ptr<TempDirectory> backup_;
};

TEST_P(CrashPoints, NothingIsLostByAnyProcessDeath) {
    ASSERT_NO_FATAL_FAILURE(
        run([this] { examine(world_, Crash::process_death, 0, nothing_more); }));
    if (stride > 1)
        return;
    const Tally &tally = tally_[Crash::process_death];
    EXPECT_GT(tally.starts.at(Start::replayed), 5 * tally.starts.at(Start::clean)) << tally;
    EXPECT_EQ(tally.starts.count(Start::repair), 0u) << tally;
    EXPECT_GT(tally.dropped, 0) << tally;
    expect_eventful_history();
}

TEST_P(CrashPoints, NothingIsLostByAnyPowerLoss) {
    ASSERT_NO_FATAL_FAILURE(run([this] {
        examine(world_, Crash::power_loss, static_cast<std::uint32_t>(points_), nothing_more);
    }));
    if (stride > 1)
        return;
    const Tally &tally = tally_[Crash::power_loss];
    EXPECT_GT(tally.starts.at(Start::clean), 10) << tally;
    EXPECT_GT(tally.added, 100) << tally;
    EXPECT_GT(tally.removed, 20) << tally;
    EXPECT_EQ(tally.starts.count(Start::replayed), 0u) << tally;
    expect_eventful_history();
}

// The start after a crash is crashed at each of its own operations, repairs included.
TEST_P(CrashPoints, NothingIsLostByACrashDuringTheStartAfterACrash) {
    ASSERT_NO_FATAL_FAILURE(run([this] {
        if (!every(41) && !exchanging_)
            return;
        const auto seed = static_cast<std::uint32_t>(points_);
        for (const Crash crash : {Crash::process_death, Crash::power_loss})
            examine(world_, crash, seed, [this](World &image) {
                const auto inner = static_cast<std::uint32_t>(crashes_);
                examine(image, inner % 2 == 0 ? Crash::power_loss : Crash::process_death, inner,
                        nothing_more);
            });
    }));
    if (stride > 1)
        return;
    EXPECT_GT(tally_[Crash::process_death].starts.at(Start::repair), 10) << "crashed repairs";
    EXPECT_GT(crashes_, 100u);
}

// A backup takes each file at another moment, and the moments of one file's pages differ too.
TEST_P(CrashPoints, NothingIsLostInAFolderCopiedWhileInUse) {
    ASSERT_NO_FATAL_FAILURE(run([this] {
        if (every(5))
            examine_copy();
        if (every(40))
            begin_backup();
    }));
    EXPECT_EQ(copies_.starts.count(Start::clean), 0u) << copies_;
    EXPECT_EQ(copies_.starts.count(Start::replayed), 0u) << copies_;
    if (stride > 1)
        return;
    EXPECT_GT(copies_.starts.at(Start::repair), 20) << copies_;
    EXPECT_GT(copies_.added, 0) << copies_;
    EXPECT_GT(copies_.damaged, 0) << copies_;
}

// A sync of the graph files fails and the pages are gone from memory: what the checkpoint before
// says must do.
TEST_P(CrashPoints, NothingIsLostWhenACheckpointFails) {
    int failures = 0;
    files_.observe(nullptr);
    ASSERT_NO_FATAL_FAILURE(build());
    ASSERT_EQ(world_.store.recover().start, Start::clean);
    for (std::uint64_t nth = 1; nth <= 8; ++nth) {
        SCOPED_TRACE(nth);
        open();
        for (int i = 0; i < 30; ++i) {
            ASSERT_NO_FATAL_FAILURE(insert());
            if (i % 10 == 0) {
                ASSERT_NO_FATAL_FAILURE(link());
            }
        }
        files_.plan().fail(Operation::sync, nth, EIO);
        const base::Status status =
            maintainer_->checkpoint(world_.heap.wal, CheckpointKind::running);
        files_.plan().heal();
        failures += !status.ok();
        for (std::uint32_t seed = 0; seed < 20; ++seed)
            examine(world_, Crash::power_loss, seed, nothing_more);
        // The index is given up: what the server builds anew is as good as what a power loss left.
        close();
        ASSERT_NO_FATAL_FAILURE(rebuild());
    }
    EXPECT_GE(failures, 3) << "the log, both graph files and the checkpoint are synced";
    EXPECT_LT(failures, 8) << "some count reaches beyond the last sync";
}

INSTANTIATE_TEST_SUITE_P(Store, CrashPoints,
                         testing::Values(Shape{8, 4096, 0}, Shape{1000, 65536, 0},
                                         Shape{8, 4096, 2}));

}  // namespace
}  // namespace dvec::test
