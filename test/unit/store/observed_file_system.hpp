// A file system that does what another one does and lets a test look on: every operation is
// announced before it is done, and the boot of the machine can be pretended to be another.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/file.hpp"

namespace dvec::test {

enum class Action : std::uint8_t {
    open_for_writing,
    create,
    write,
    allocate,
    truncate,
    sync,
    make_directory,
    rename,
    remove,
    sync_directory
};

// Called before the action; the path is the file's, or the folder's.
using Observer = std::function<void(Action, const std::string &path)>;

class ObservedFileSystem final : public base::FileSystem {
  public:
    explicit ObservedFileSystem(base::FileSystem &below = base::posix_file_system())
        : below_(below) {}

    void observe(Observer observer) { observer_ = std::move(observer); }

    // From now on the boot id is read from the file `path`.
    void pretend_boot(std::string path) { boot_path_ = std::move(path); }

    base::Result<std::unique_ptr<base::File>> open(const std::string &path,
                                                   base::OpenMode mode) override {
        if (path == "/proc/sys/kernel/random/boot_id" && !boot_path_.empty())
            return below_.open(boot_path_, mode);
        if (mode == base::OpenMode::create)
            announce(Action::create, path);
        if (mode == base::OpenMode::read_write)
            announce(Action::open_for_writing, path);
        auto file = below_.open(path, mode);
        if (!file.ok())
            return std::move(file).status();
        return std::unique_ptr<base::File>(
            std::make_unique<ObservedFile>(std::move(file).value(), *this));
    }
    base::Status make_directory(const std::string &path) override {
        announce(Action::make_directory, path);
        return below_.make_directory(path);
    }
    base::Status rename(const std::string &from, const std::string &to) override {
        announce(Action::rename, to);
        return below_.rename(from, to);
    }
    base::Status remove(const std::string &path) override {
        announce(Action::remove, path);
        return below_.remove(path);
    }
    base::Status remove_directory(const std::string &path) override {
        return below_.remove_directory(path);
    }
    base::Result<bool> exists(const std::string &path) override { return below_.exists(path); }
    base::Result<std::vector<std::string>> list(const std::string &path) override {
        return below_.list(path);
    }
    base::Status sync_directory(const std::string &path) override {
        announce(Action::sync_directory, path);
        return below_.sync_directory(path);
    }

  private:
    class ObservedFile final : public base::File {
      public:
        ObservedFile(std::unique_ptr<base::File> file, ObservedFileSystem &owner)
            : File(file->path()), file_(std::move(file)), owner_(owner) {}

        base::Result<std::uint64_t> size() override { return file_->size(); }
        base::Result<base::FileIdentity> identity() override { return file_->identity(); }
        base::Result<std::uint64_t> change_time() override { return file_->change_time(); }
        base::Status read(std::uint64_t offset, void *data, std::size_t size) override {
            return file_->read(offset, data, size);
        }
        base::Status write(std::uint64_t offset, const void *data, std::size_t size) override {
            owner_.announce(Action::write, path());
            return file_->write(offset, data, size);
        }
        base::Status allocate(std::uint64_t size) override {
            owner_.announce(Action::allocate, path());
            return file_->allocate(size);
        }
        base::Status truncate(std::uint64_t size) override {
            owner_.announce(Action::truncate, path());
            return file_->truncate(size);
        }
        base::Status sync() override {
            owner_.announce(Action::sync, path());
            return file_->sync();
        }
        base::Result<base::Mapping> map(std::size_t size, base::Access access) override {
            return file_->map(size, access);
        }

      private:
        std::unique_ptr<base::File> file_;
        ObservedFileSystem &owner_;
    };

    void announce(Action action, const std::string &path) {
        if (observer_)
            observer_(action, path);
    }

    base::FileSystem &below_;
    Observer observer_;
    std::string boot_path_;
};

}  // namespace dvec::test
