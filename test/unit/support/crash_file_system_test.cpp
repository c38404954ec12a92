// The simulated crashes themselves: what must survive does, what may be lost sometimes is, and the
// identities are those the tested code relies on.
#include "crash_file_system.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>

#include "temp_directory.hpp"

namespace dvec::test {
namespace {

using base::OpenMode;

constexpr std::uint32_t seeds = 200;

class CrashFileSystemTest : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(files_.make_directory(folder()).ok());
        ASSERT_TRUE(files_.sync_directory(directory_.path()).ok());
    }

    std::string folder() const { return directory_.file("folder"); }
    std::string path(const std::string &name) const { return folder() + "/" + name; }

    std::unique_ptr<base::File> create(const std::string &name) {
        auto file = files_.open(path(name), OpenMode::create);
        EXPECT_TRUE(file.ok()) << file.status().message();
        return std::move(file).value();
    }
    static void fill(base::File &file, std::uint64_t offset, char letter,
                     std::size_t bytes = disk_page_bytes) {
        const std::vector<char> data(bytes, letter);
        ASSERT_TRUE(file.write(offset, data.data(), data.size()).ok());
    }
    // A file named `name` full of `letter`, durable with its name.
    std::unique_ptr<base::File> durable_file(const std::string &name, char letter,
                                             std::size_t pages = 1) {
        auto file = create(name);
        fill(*file, 0, letter, pages * disk_page_bytes);
        EXPECT_TRUE(file->sync().ok());
        EXPECT_TRUE(files_.sync_directory(folder()).ok());
        return file;
    }

    // Every outcome of a power loss, in as many tries as there are seeds.
    void for_each_loss(const std::function<void(const std::string &remains)> &look) {
        for (std::uint32_t seed = 0; seed < seeds; ++seed) {
            const std::string target = directory_.file("lost");
            auto image = files_.remains(folder(), target, Crash::power_loss, seed);
            ASSERT_NO_FATAL_FAILURE(look(target));
            std::filesystem::remove_all(target);
        }
    }
    // The bytes of one file after each of these crashes; none when it is not there.
    std::set<std::optional<std::vector<char>>> outcomes(const std::string &name) {
        std::set<std::optional<std::vector<char>>> all;
        for_each_loss([&](const std::string &remains) {
            const std::string file = remains + "/" + name;
            if (std::filesystem::exists(file))
                all.insert(read_bytes(file));
            else
                all.insert(std::nullopt);
        });
        return all;
    }
    static std::vector<char> page(char letter) {
        return std::vector<char>(disk_page_bytes, letter);
    }

    TempDirectory directory_;
    CrashFileSystem files_;
};

TEST_F(CrashFileSystemTest, AProcessDeathKeepsEverything) {
    auto file = create("a");
    fill(*file, 0, 'x');
    auto mapping = file->map(disk_page_bytes, base::Access::read_write);
    ASSERT_TRUE(mapping.ok());
    mapping.value().data()[7] = std::byte{'m'};
    ASSERT_TRUE(files_.rename(path("a"), path("b")).ok());

    const auto image = files_.remains(folder(), directory_.file("image"), Crash::process_death);
    auto expected = page('x');
    expected[7] = 'm';
    EXPECT_EQ(read_bytes(directory_.file("image/b")), expected);
    EXPECT_FALSE(std::filesystem::exists(directory_.file("image/a")));
    EXPECT_EQ(image->boot(), files_.boot());
}

TEST_F(CrashFileSystemTest, WhatWasSyncedSurvivesAPowerLoss) {
    auto file = durable_file("a", 'x', 3);
    EXPECT_EQ(outcomes("a"), std::set<std::optional<std::vector<char>>>{
                                 std::vector<char>(3 * disk_page_bytes, 'x')});
}

TEST_F(CrashFileSystemTest, AnUnsyncedPageIsOldOrNewOrTornAtASector) {
    auto file = durable_file("a", 'x');
    fill(*file, 0, 'y');
    const auto all = outcomes("a");
    EXPECT_TRUE(all.contains(page('x')));
    EXPECT_TRUE(all.contains(page('y')));
    EXPECT_GT(all.size(), 10u);
    for (const auto &bytes : all) {
        ASSERT_TRUE(bytes);
        ASSERT_EQ(bytes->size(), disk_page_bytes);
        for (std::size_t i = 0; i < bytes->size(); ++i)
            ASSERT_EQ((*bytes)[i], (*bytes)[i / disk_sector_bytes * disk_sector_bytes]);
    }
}

TEST_F(CrashFileSystemTest, StoresThroughAMappingAreLostLikeWrites) {
    auto file = durable_file("a", 'x');
    auto mapping = file->map(disk_page_bytes, base::Access::read_write);
    ASSERT_TRUE(mapping.ok());
    mapping.value().data()[0] = std::byte{'y'};
    auto changed = page('x');
    changed[0] = 'y';
    using All = std::set<std::optional<std::vector<char>>>;
    EXPECT_EQ(outcomes("a"), (All{page('x'), changed}));
    ASSERT_TRUE(file->sync().ok());
    EXPECT_EQ(outcomes("a"), All{changed});
}

TEST_F(CrashFileSystemTest, PagesAreLostIndependently) {
    auto file = durable_file("a", 'x', 2);
    fill(*file, 0, 'y', 2 * disk_page_bytes);
    bool first_only = false, second_only = false;
    for (const auto &bytes : outcomes("a")) {
        ASSERT_TRUE(bytes);
        const std::vector<char> first(bytes->begin(), bytes->begin() + disk_page_bytes);
        const std::vector<char> second(bytes->begin() + disk_page_bytes, bytes->end());
        first_only |= first == page('y') && second == page('x');
        second_only |= first == page('x') && second == page('y');
    }
    EXPECT_TRUE(first_only);
    EXPECT_TRUE(second_only);
}

TEST_F(CrashFileSystemTest, AnUnsyncedSizeIsOldOrNew) {
    auto file = durable_file("a", 'x');
    ASSERT_TRUE(file->allocate(2 * disk_page_bytes).ok());
    auto longer = page('x');
    longer.resize(2 * disk_page_bytes);
    using All = std::set<std::optional<std::vector<char>>>;
    EXPECT_EQ(outcomes("a"), (All{page('x'), longer}));
    ASSERT_TRUE(file->truncate(0).ok());
    EXPECT_TRUE(outcomes("a").contains(page('x')));
    EXPECT_TRUE(outcomes("a").contains(std::vector<char>()));
}

TEST_F(CrashFileSystemTest, AnUnsyncedNameMayBeMissing) {
    auto file = create("a");
    fill(*file, 0, 'x');
    ASSERT_TRUE(file->sync().ok());
    using All = std::set<std::optional<std::vector<char>>>;
    EXPECT_EQ(outcomes("a"), (All{std::nullopt, page('x')}));
    ASSERT_TRUE(files_.sync_directory(folder()).ok());
    EXPECT_EQ(outcomes("a"), All{page('x')});
}

TEST_F(CrashFileSystemTest, ARemovedFileMayComeBackUntilItsFolderIsSynced) {
    durable_file("a", 'x');
    ASSERT_TRUE(files_.remove(path("a")).ok());
    using All = std::set<std::optional<std::vector<char>>>;
    EXPECT_EQ(outcomes("a"), (All{std::nullopt, page('x')}));
    ASSERT_TRUE(files_.sync_directory(folder()).ok());
    EXPECT_EQ(outcomes("a"), All{std::nullopt});
}

TEST_F(CrashFileSystemTest, ARenameIsDoneOrNotButNeverHalf) {
    durable_file("old", 'x');
    durable_file("new", 'y');
    ASSERT_TRUE(files_.rename(path("old"), path("new")).ok());
    int done = 0, undone = 0;
    for_each_loss([&](const std::string &remains) {
        const auto bytes = read_bytes(remains + "/new");
        if (std::filesystem::exists(remains + "/old")) {
            ASSERT_EQ(bytes, page('y'));
            ++undone;
        } else {
            ASSERT_EQ(bytes, page('x'));
            ++done;
        }
    });
    EXPECT_GT(done, 20);
    EXPECT_GT(undone, 20);
}

TEST_F(CrashFileSystemTest, AnUnsyncedFolderMayBeMissing) {
    const std::string young = directory_.file("young");
    ASSERT_TRUE(files_.make_directory(young).ok());
    const auto there = [&] {
        int count = 0;
        for (std::uint32_t seed = 0; seed < seeds; ++seed) {
            const std::string target = directory_.file("lost");
            auto image = files_.remains(young, target, Crash::power_loss, seed);
            count += std::filesystem::exists(target);
            std::filesystem::remove_all(target);
        }
        return count;
    };
    EXPECT_GT(there(), 20);
    EXPECT_LT(there(), 180);
    ASSERT_TRUE(files_.sync_directory(directory_.path() + "/").ok());
    EXPECT_EQ(there(), static_cast<int>(seeds));
}

TEST_F(CrashFileSystemTest, WhatAFailedSyncGaveUpIsNotWrittenByTheNextOne) {
    auto file = durable_file("a", 'x', 2);
    fill(*file, 0, 'y', 2 * disk_page_bytes);
    files_.plan().fail(Operation::sync, 1, EIO);
    EXPECT_EQ(file->sync().code(), base::Code::io_error);
    fill(*file, disk_page_bytes, 'z');
    ASSERT_TRUE(file->sync().ok()) << "the failure was reported";
    bool lost = false;
    for (const auto &bytes : outcomes("a")) {
        ASSERT_TRUE(bytes);
        ASSERT_EQ(std::vector<char>(bytes->begin() + disk_page_bytes, bytes->end()), page('z'))
            << "written again after the failure";
        lost |= (*bytes)[0] == 'x';
    }
    EXPECT_TRUE(lost);
}

TEST_F(CrashFileSystemTest, WrittenBackPagesSurviveWithoutASync) {
    auto file = durable_file("a", 'x', 64);
    fill(*file, 0, 'y', 64 * disk_page_bytes);
    files_.write_back(1);
    fill(*file, 0, 'z', 64 * disk_page_bytes);
    std::set<char> letters;
    for (const auto &bytes : outcomes("a"))
        letters.insert(bytes->begin(), bytes->end());
    EXPECT_EQ(letters, (std::set<char>{'x', 'y', 'z'}));
}

TEST_F(CrashFileSystemTest, TheSameSeedGivesTheSameRemains) {
    auto file = durable_file("a", 'x', 16);
    fill(*file, 0, 'y', 16 * disk_page_bytes);
    std::vector<std::vector<char>> images;
    for (const char *name : {"one", "two"}) {
        auto image = files_.remains(folder(), directory_.file(name), Crash::power_loss, 5);
        images.push_back(read_bytes(directory_.file(name) + "/a"));
    }
    EXPECT_EQ(images[0], images[1]);
}

TEST_F(CrashFileSystemTest, RemainsAreTheSameFilesOnTheRightBoot) {
    auto file = durable_file("a", 'x');
    const auto boot_id = [](CrashFileSystem &files) {
        std::string text(36, ' ');
        auto opened = files.open("/proc/sys/kernel/random/boot_id", OpenMode::read_only);
        EXPECT_TRUE(opened.ok() && opened.value()->read(0, text.data(), text.size()).ok());
        return text;
    };
    for (const Crash crash : {Crash::process_death, Crash::power_loss}) {
        const std::string target = directory_.file(crash == Crash::power_loss ? "lost" : "dead");
        auto image = files_.remains(folder(), target, crash);
        auto same = image->open(target + "/a", OpenMode::read_only);
        ASSERT_TRUE(same.ok());
        EXPECT_EQ(same.value()->identity().value(), file->identity().value());
        EXPECT_EQ(same.value()->change_time().value(), file->change_time().value());
        EXPECT_EQ(boot_id(*image) == boot_id(files_), crash == Crash::process_death);

        std::filesystem::copy(target, target + "-copy", std::filesystem::copy_options::recursive);
        auto copy = image->open(target + "-copy/a", OpenMode::read_only);
        ASSERT_TRUE(copy.ok());
        EXPECT_NE(copy.value()->identity().value().inode, file->identity().value().inode);
    }
    files_.set_boot(0);
    EXPECT_EQ(files_.open("/proc/sys/kernel/random/boot_id", OpenMode::read_only).status().code(),
              base::Code::not_found);
}

TEST_F(CrashFileSystemTest, AChangeIsSeenInTheChangeTime) {
    auto file = durable_file("a", 'x');
    const auto before = file->change_time().value();
    EXPECT_EQ(file->change_time().value(), before);
    auto mapping = file->map(disk_page_bytes, base::Access::read_write);
    ASSERT_TRUE(mapping.ok());
    mapping.value().data()[0] = std::byte{'y'};
    EXPECT_GT(file->change_time().value(), before);
}

TEST_F(CrashFileSystemTest, EveryMutationIsAnnouncedBeforeItHappens) {
    std::vector<Operation> seen;
    files_.observe([&](Operation operation, const std::string &) { seen.push_back(operation); });
    auto file = create("a");
    fill(*file, 0, 'x');
    ASSERT_TRUE(file->allocate(8192).ok());
    ASSERT_TRUE(file->truncate(4096).ok());
    files_.observe([&](Operation operation, const std::string &) {
        seen.push_back(operation);
        if (operation != Operation::sync)
            return;
        // Nothing is durable before the sync is done; the observer may take the remains.
        EXPECT_TRUE(outcomes("a").contains(std::nullopt));
    });
    ASSERT_TRUE(file->sync().ok());
    ASSERT_TRUE(files_.sync_directory(folder()).ok());
    ASSERT_TRUE(files_.rename(path("a"), path("b")).ok());
    ASSERT_TRUE(files_.remove(path("b")).ok());
    EXPECT_EQ(seen, (std::vector{Operation::create, Operation::write, Operation::allocate,
                                 Operation::truncate, Operation::sync, Operation::sync_directory,
                                 Operation::rename, Operation::remove}));
    EXPECT_EQ(files_.mutations(), seen.size() + 2) << "the folder of the fixture";
}

TEST_F(CrashFileSystemTest, ALongWriteCanBeCutShortByAProcessDeath) {
    auto file = durable_file("a", 'x', 4);
    std::set<std::vector<char>> images;
    files_.observe([&](Operation, const std::string &) {
        const std::string target = directory_.file("image");
        auto image = files_.remains(folder(), target, Crash::process_death);
        images.insert(read_bytes(target + "/a"));
        std::filesystem::remove_all(target);
    });
    fill(*file, 0, 'y', 4 * disk_page_bytes);
    auto half = std::vector<char>(4 * disk_page_bytes, 'x');
    std::fill_n(half.begin(), 2 * disk_page_bytes, 'y');
    EXPECT_EQ(images, (std::set{std::vector<char>(4 * disk_page_bytes, 'x'), half}));
}

TEST_F(CrashFileSystemTest, InjectedFaultsChangeNothing) {
    auto file = durable_file("a", 'x');
    files_.plan().fail(Operation::allocate, 1, ENOSPC);
    EXPECT_EQ(file->allocate(8192).code(), base::Code::no_space);
    EXPECT_EQ(file->size().value(), disk_page_bytes);
    EXPECT_TRUE(file->allocate(8192).ok());
}

}  // namespace
}  // namespace dvec::test
