// A file system that can show, at any moment, the folder that a crash at this moment would leave.
// It does what the one below does, so that files can be mapped and shared as ever, and keeps beside
// it what is durable: of a file its contents as of the last successful sync, of a folder its names
// as of the last sync_directory. Identities, change times and the boot id are made up, so that the
// remains of a crash can be the same files on another boot.
//
// A test looks on: everything that changes something durable or to be made durable is announced
// before it is done. Stores through mappings are not seen when they happen, but are in the remains.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "durable_content.hpp"
#include "engine/base/checksum.hpp"
#include "engine/base/file.hpp"
#include "faulty_file_system.hpp"

namespace dvec::test {

enum class Crash : std::uint8_t {
    process_death,  // all processes are gone, the page cache is not
    power_loss      // what was not synced is there, or is not, or in parts
};

class CrashFileSystem final : public base::FileSystem {
  public:
    // Called before an operation that changes something, without any lock held: it may take
    // remains().
    using Observer = std::function<void(Operation, const std::string &path)>;

    explicit CrashFileSystem(base::FileSystem &below = base::posix_file_system()) : below_(below) {}

    void observe(Observer observer) { observer_ = std::move(observer); }
    // Faults; a sync that fails loses what it should have written (see DurableContent).
    FaultPlan &plan() { return plan_; }
    // Operations announced so far.
    std::uint64_t mutations() const { return mutations_; }

    // The machine's boots are numbered; 0 is a system without boot ids.
    void set_boot(std::uint64_t boot) { boot_ = boot; }
    std::uint64_t boot() const { return boot_; }
    // The number of the mount that all files are on; 0 is a system that does not tell.
    void set_mount(std::uint64_t mount) { mount_ = mount; }

    // Writes what a crash now leaves of `folder` to the folder `target`, which must not exist, and
    // returns the file system in which the files there are the same files as here: on the same boot
    // after a process death, on the next one after a power loss. `target` is not made when the
    // crash leaves no folder. `seed` chooses among the possible remains of a power loss.
    std::unique_ptr<CrashFileSystem> remains(const std::string &folder, const std::string &target,
                                             Crash crash, std::uint32_t seed = 0) {
        const std::lock_guard guard(mutex_);
        auto image = std::make_unique<CrashFileSystem>(below_);
        image->boot_ = boot_ == 0 || crash == Crash::process_death ? boot_ : boot_ + 1;
        image->mount_ = mount_;
        image->last_number_ = last_number_;
        std::mt19937 random(seed);
        Folder &source = this->folder(folder);
        if (crash == Crash::power_loss && !source.durable && random() % 2 == 0)
            return image;
        expect(below_.make_directory(target));
        const Names names =
            crash == Crash::process_death ? source.names : names_after_power_loss(source, random);
        for (const auto &[name, node] : names)
            image->put(target, name, remains_of(*node, crash, random));
        image->folder(target).durable_names = image->folder(target).names;
        return image;
    }

    // The kernel writes back some of the pages that are not durable yet.
    void write_back(std::uint32_t seed) {
        const std::lock_guard guard(mutex_);
        std::mt19937 random(seed);
        for (auto &[path, folder] : folders_)
            for (auto &[name, node] : folder.names)
                node->durable.write_back(present_bytes(*node), random);
    }

    base::Result<std::unique_ptr<base::File>> open(const std::string &path,
                                                   base::OpenMode mode) override {
        if (path == "/proc/sys/kernel/random/boot_id")
            return open_boot_id();
        DVEC_TRY(plan_.pass(Operation::open, path));
        if (mode == base::OpenMode::create)
            DVEC_TRY(begin(Operation::create, path));
        const std::lock_guard guard(mutex_);
        auto file = below_.open(path, mode);
        DVEC_TRY(file);
        std::shared_ptr<Node> node =
            mode == base::OpenMode::create ? create_node(path) : find_node(path, *file.value());
        return std::unique_ptr<base::File>(
            std::make_unique<CrashFile>(std::move(file).value(), *this, std::move(node)));
    }
    base::Status make_directory(const std::string &path) override {
        DVEC_TRY(begin(Operation::make_directory, path));
        const std::lock_guard guard(mutex_);
        DVEC_TRY(below_.make_directory(path));
        folders_[path] = Folder();
        folders_[path].durable = false;
        return {};
    }
    base::Status rename(const std::string &from, const std::string &to) override {
        DVEC_TRY(begin(Operation::rename, from));
        const std::lock_guard guard(mutex_);
        const std::shared_ptr<Node> node = known_node(from);
        DVEC_TRY(below_.rename(from, to));
        change(from, {.removed = name_of(from), .added = name_of(to), .node = node});
        return {};
    }
    base::Status remove(const std::string &path) override {
        DVEC_TRY(begin(Operation::remove, path));
        const std::lock_guard guard(mutex_);
        // Known from here on, because a power loss may bring it back.
        static_cast<void>(known_node(path));
        DVEC_TRY(below_.remove(path));
        change(path, {.removed = name_of(path), .added = {}, .node = nullptr});
        return {};
    }
    // Taken for durable at once.
    base::Status remove_directory(const std::string &path) override {
        DVEC_TRY(begin(Operation::remove, path));
        const std::lock_guard guard(mutex_);
        folders_.erase(path);
        return below_.remove_directory(path);
    }
    base::Result<bool> exists(const std::string &path) override { return below_.exists(path); }
    base::Result<std::vector<std::string>> list(const std::string &path) override {
        DVEC_TRY(plan_.pass(Operation::list, path));
        return below_.list(path);
    }
    base::Status sync_directory(const std::string &path) override {
        DVEC_TRY(begin(Operation::sync_directory, path));
        const std::lock_guard guard(mutex_);
        DVEC_TRY(below_.sync_directory(path));
        Folder &synced = folder(path);
        synced.durable_names = synced.names;
        synced.changes.clear();
        for (auto &[child, state] : folders_)
            if (folder_of(child) == without_slash(path))
                state.durable = true;
        return {};
    }

  private:
    // One file, whatever it is called.
    struct Node {
        std::unique_ptr<base::File> file;  // for reading what is present
        base::FileIdentity identity;       // as told
        DurableContent durable;
        std::uint32_t digest = 0;  // of the contents when change_time was set
        std::uint64_t change_time = 0;
        std::uint64_t durable_change_time = 0;
    };
    using Names = std::map<std::string, std::shared_ptr<Node>>;

    struct Change {
        std::string removed;  // a name, or empty
        std::string added;
        std::shared_ptr<Node> node;  // what `added` names
    };
    struct Folder {
        bool durable = true;
        Names names;
        Names durable_names;
        std::vector<Change> changes;  // since durable_names
    };

    class CrashFile final : public base::File {
      public:
        CrashFile(std::unique_ptr<base::File> file, CrashFileSystem &owner,
                  std::shared_ptr<Node> node)
            : File(file->path()), file_(std::move(file)), owner_(owner), node_(std::move(node)) {}

        base::Result<std::uint64_t> size() override { return file_->size(); }
        base::Result<base::FileIdentity> identity() override {
            base::FileIdentity identity = node_->identity;
            identity.mount = owner_.mount_;
            return identity;
        }
        base::Result<std::uint64_t> change_time() override {
            const std::lock_guard guard(owner_.mutex_);
            owner_.note_change(*node_, present_bytes(*node_));
            return node_->change_time;
        }
        base::Status read(std::uint64_t offset, void *data, std::size_t size) override {
            DVEC_TRY(owner_.plan_.pass(Operation::read, path()));
            return file_->read(offset, data, size);
        }
        // A process that is killed may have written the first pages of a long write.
        base::Status write(std::uint64_t offset, const void *data, std::size_t size) override {
            const std::size_t half = size / 2 / disk_page_bytes * disk_page_bytes;
            if (half != 0) {
                DVEC_TRY(owner_.begin(Operation::write, path()));
                DVEC_TRY(file_->write(offset, data, half));
            }
            DVEC_TRY(owner_.begin(Operation::write, path()));
            return file_->write(offset + half, static_cast<const char *>(data) + half, size - half);
        }
        base::Status allocate(std::uint64_t size) override {
            DVEC_TRY(owner_.begin(Operation::allocate, path()));
            return file_->allocate(size);
        }
        base::Status truncate(std::uint64_t size) override {
            DVEC_TRY(owner_.begin(Operation::truncate, path()));
            return file_->truncate(size);
        }
        base::Status sync() override {
            owner_.announce(Operation::sync, path());
            base::Status status = owner_.plan_.pass(Operation::sync, path());
            const std::lock_guard guard(owner_.mutex_);
            if (status.ok())
                status = file_->sync();
            const auto present = present_bytes(*node_);
            if (!status.ok()) {
                node_->durable.fail_sync(present);
                return status;
            }
            node_->durable.sync(present);
            owner_.note_change(*node_, present);
            node_->durable_change_time = node_->change_time;
            return {};
        }
        base::Result<base::Mapping> map(std::size_t size, base::Access access) override {
            DVEC_TRY(owner_.plan_.pass(Operation::map, path()));
            return file_->map(size, access);
        }

      private:
        std::unique_ptr<base::File> file_;
        CrashFileSystem &owner_;
        std::shared_ptr<Node> node_;
    };

    class BootIdFile final : public base::File {
      public:
        BootIdFile(const std::string &path, std::uint64_t boot) : File(path) {
            const std::string digits = std::to_string(boot);
            text_ = std::string(36 - digits.size(), '0') + digits;
        }
        base::Result<std::uint64_t> size() override { return std::uint64_t{text_.size()}; }
        base::Result<base::FileIdentity> identity() override { return base::FileIdentity{}; }
        base::Result<std::uint64_t> change_time() override { return std::uint64_t{0}; }
        base::Status read(std::uint64_t offset, void *data, std::size_t size) override {
            if (offset + size > text_.size())
                return {base::Code::corrupt, "unexpected end of file"};
            std::memcpy(data, text_.data() + offset, size);
            return {};
        }
        base::Status write(std::uint64_t, const void *, std::size_t) override { return refuse(); }
        base::Status allocate(std::uint64_t) override { return refuse(); }
        base::Status truncate(std::uint64_t) override { return refuse(); }
        base::Status sync() override { return refuse(); }
        base::Result<base::Mapping> map(std::size_t, base::Access) override { return refuse(); }

      private:
        static base::Status refuse() { return {base::Code::io_error, "not a regular file"}; }

        std::string text_;
    };

    struct Remains {
        std::vector<char> bytes;
        Node node;  // but for the open file
    };

    static std::string folder_of(const std::string &path) {
        return path.substr(0, path.rfind('/'));
    }
    static std::string name_of(const std::string &path) { return path.substr(path.rfind('/') + 1); }
    static std::string without_slash(std::string path) {
        while (path.size() > 1 && path.back() == '/')
            path.pop_back();
        return path;
    }
    // A failure that is the test's, not the tested code's.
    static void expect(const base::Status &status) {
        EXPECT_TRUE(status.ok()) << status.message();
        if (!status.ok())
            std::abort();
    }

    void announce(Operation operation, const std::string &path) {
        ++mutations_;
        if (observer_)
            observer_(operation, path);
    }
    base::Status begin(Operation operation, const std::string &path) {
        announce(operation, path);
        return plan_.pass(operation, path);
    }

    base::Result<std::unique_ptr<base::File>> open_boot_id() {
        if (boot_ == 0)
            return base::Status(base::Code::not_found, "no boot id");
        return std::unique_ptr<base::File>(
            std::make_unique<BootIdFile>("/proc/sys/kernel/random/boot_id", boot_));
    }

    Folder &folder(const std::string &path) { return folders_[without_slash(path)]; }

    // Valid until the next call. Read rather than mapped, since looking at the holes of a mapped
    // file fills them.
    static std::span<const char> present_bytes(Node &node) {
        static thread_local std::vector<char> buffer;
        auto size = node.file->size();
        expect(size.status());
        if (buffer.size() < size.value())
            buffer.resize(size.value());
        expect(node.file->read(0, buffer.data(), size.value()));
        return {buffer.data(), size.value()};
    }

    void note_change(Node &node, std::span<const char> present) {
        const std::uint64_t size = present.size();
        const std::uint32_t digest =
            base::checksum(base::checksum(0, present.data(), present.size()), &size, sizeof size);
        if (digest == node.digest)
            return;
        node.digest = digest;
        node.change_time = ++last_number_;
    }

    std::shared_ptr<Node> new_node(const std::string &path) {
        auto node = std::make_shared<Node>();
        auto file = below_.open(path, base::OpenMode::read_only);
        expect(file.status());
        node->file = std::move(file).value();
        const std::uint64_t number = ++last_number_;
        node->identity = {.device = 1, .inode = number, .born = number, .mount = 0};
        return node;
    }
    std::shared_ptr<Node> create_node(const std::string &path) {
        auto node = new_node(path);
        change(path, {.removed = {}, .added = name_of(path), .node = node});
        return node;
    }
    // A file that was put there behind this object's back is durable.
    std::shared_ptr<Node> known_node(const std::string &path) {
        auto file = below_.open(path, base::OpenMode::read_only);
        return file.ok() ? find_node(path, *file.value()) : nullptr;
    }
    std::shared_ptr<Node> find_node(const std::string &path, base::File &real) {
        Folder &in = folder(folder_of(path));
        auto &node = in.names[name_of(path)];
        if (node && node->file->identity().value() == real.identity().value())
            return node;
        node = new_node(path);
        const auto present = present_bytes(*node);
        node->durable.sync(present);
        note_change(*node, present);
        node->durable_change_time = node->change_time;
        in.durable_names[name_of(path)] = node;
        return node;
    }

    void change(const std::string &path, Change change) {
        Folder &in = folder(folder_of(path));
        apply(in.names, change);
        in.changes.push_back(std::move(change));
    }
    static void apply(Names &names, const Change &change) {
        if (!change.removed.empty())
            names.erase(change.removed);
        if (!change.added.empty())
            names[change.added] = change.node;
    }

    // With a journal the changes up to some moment survive. Without one any of them do.
    static Names names_after_power_loss(const Folder &folder, std::mt19937 &random) {
        Names names = folder.durable_names;
        const bool journal = random() % 2 == 0;
        const std::size_t kept = random() % (folder.changes.size() + 1);
        for (std::size_t i = 0; i < folder.changes.size(); ++i)
            if (journal ? i < kept : random() % 2 == 0)
                apply(names, folder.changes[i]);
        return names;
    }

    Remains remains_of(Node &node, Crash crash, std::mt19937 &random) {
        const auto present = present_bytes(node);
        note_change(node, present);
        Remains remains;
        remains.node.identity = node.identity;
        remains.node.digest = node.digest;
        remains.node.change_time = node.change_time;
        remains.node.durable_change_time = node.durable_change_time;
        if (crash == Crash::process_death) {
            remains.bytes.assign(present.begin(), present.end());
            remains.node.durable = node.durable;
            return remains;
        }
        remains.bytes = node.durable.after_power_loss(present, random);
        remains.node.durable.sync(remains.bytes);
        // Neither order of writing back pages and times is promised.
        if (random() % 2 == 0)
            remains.node.change_time = node.durable_change_time;
        remains.node.durable_change_time = remains.node.change_time;
        return remains;
    }

    void put(const std::string &directory, const std::string &name, Remains remains) {
        const std::string path = directory + "/" + name;
        auto file = below_.open(path, base::OpenMode::create);
        expect(file.status());
        expect(file.value()->truncate(remains.bytes.size()));
        for (std::uint64_t number = 0; number < pages_in(remains.bytes.size()); ++number) {
            const std::uint64_t begin = number * disk_page_bytes;
            const std::size_t bytes =
                std::min<std::size_t>(disk_page_bytes, remains.bytes.size() - begin);
            if (!is_zero_page(remains.bytes, number))
                expect(file.value()->write(begin, remains.bytes.data() + begin, bytes));
        }
        auto node = std::make_shared<Node>(std::move(remains.node));
        node->file = std::move(file).value();
        // The digest is of what is there now, so that only a further change makes a new time.
        const std::uint64_t change_time = node->change_time;
        note_change(*node, remains.bytes);
        node->change_time = change_time;
        folder(directory).names[name] = std::move(node);
    }

    base::FileSystem &below_;
    FaultPlan plan_;
    Observer observer_;
    std::atomic<std::uint64_t> mutations_{0};
    std::uint64_t boot_ = 1;
    std::uint64_t mount_ = 1;

    std::mutex mutex_;  // for what follows
    std::map<std::string, Folder> folders_;
    std::uint64_t last_number_ = 0;  // of inodes and of times
};

}  // namespace dvec::test
