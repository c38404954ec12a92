// A file system that does what another one does, except where a test tells it to fail: the nth
// operation of a kind returns a chosen errno instead of being done. Also counts, so that a test can
// first watch a history and then repeat it with every single operation failing in turn.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/file.hpp"

namespace dvec::test {

enum class Operation : std::uint8_t {
    open,
    read,
    write,
    allocate,
    truncate,
    sync,
    map,
    rename,
    remove,
    list,
    sync_directory,
    create,  // an open that makes the file; it counts as `open` too
    make_directory
};
inline constexpr std::size_t operation_count = 13;

enum class Persistence : std::uint8_t {
    once,    // only the nth operation fails
    forever  // the nth and all later ones
};

// What is to fail, shared between the file system and the files it opened. Any thread.
class FaultPlan {
  public:
    // The `nth` operation of this kind from now on (1 is the next) fails with `error_number`.
    void fail(Operation operation, std::uint64_t nth, int error_number,
              Persistence persistence = Persistence::once) {
        const std::lock_guard guard(mutex_);
        Rule &rule = rules_[index(operation)];
        rule.at = rule.count + nth;
        rule.error_number = error_number;
        rule.persistence = persistence;
    }

    void heal() {
        const std::lock_guard guard(mutex_);
        for (Rule &rule : rules_)
            rule.at = 0;
    }

    // Operations asked for so far, failed ones included.
    std::uint64_t count(Operation operation) const {
        const std::lock_guard guard(mutex_);
        return rules_[index(operation)].count;
    }

    base::Status pass(Operation operation, const std::string &path) {
        const int error_number = count_one(operation);
        if (error_number == 0)
            return {};
        if (after_fault)
            after_fault();
        return base::Status::from_errno(error_number, "injected fault on \"" + path + "\"");
    }

    // Runs when an operation has failed and before its caller is told.
    std::function<void()> after_fault;

  private:
    // Returns the errno to fail with, or 0.
    int count_one(Operation operation) {
        const std::lock_guard guard(mutex_);
        Rule &rule = rules_[index(operation)];
        ++rule.count;
        const bool hit =
            rule.at != 0 && (rule.persistence == Persistence::forever ? rule.count >= rule.at
                                                                      : rule.count == rule.at);
        return hit ? rule.error_number : 0;
    }

    struct Rule {
        std::uint64_t count = 0;
        std::uint64_t at = 0;  // 0: nothing fails
        int error_number = 0;
        Persistence persistence = Persistence::once;
    };

    static std::size_t index(Operation operation) { return static_cast<std::size_t>(operation); }

    mutable std::mutex mutex_;
    std::array<Rule, operation_count> rules_;
};

class FaultyFile final : public base::File {
  public:
    FaultyFile(std::unique_ptr<base::File> file, FaultPlan &plan)
        : File(file->path()), file_(std::move(file)), plan_(plan) {}

    base::Result<std::uint64_t> size() override { return file_->size(); }
    base::Result<base::FileIdentity> identity() override { return file_->identity(); }
    base::Result<std::uint64_t> change_time() override { return file_->change_time(); }
    base::Status read(std::uint64_t offset, void *data, std::size_t size) override {
        DVEC_TRY(plan_.pass(Operation::read, path()));
        return file_->read(offset, data, size);
    }
    base::Status write(std::uint64_t offset, const void *data, std::size_t size) override {
        DVEC_TRY(plan_.pass(Operation::write, path()));
        return file_->write(offset, data, size);
    }
    base::Status allocate(std::uint64_t size) override {
        DVEC_TRY(plan_.pass(Operation::allocate, path()));
        return file_->allocate(size);
    }
    base::Status truncate(std::uint64_t size) override {
        DVEC_TRY(plan_.pass(Operation::truncate, path()));
        return file_->truncate(size);
    }
    base::Status sync() override {
        DVEC_TRY(plan_.pass(Operation::sync, path()));
        return file_->sync();
    }
    base::Result<base::Mapping> map(std::size_t size, base::Access access) override {
        DVEC_TRY(plan_.pass(Operation::map, path()));
        return file_->map(size, access);
    }

  private:
    std::unique_ptr<base::File> file_;
    FaultPlan &plan_;
};

class FaultyFileSystem final : public base::FileSystem {
  public:
    explicit FaultyFileSystem(base::FileSystem &below = base::posix_file_system())
        : below_(below) {}

    FaultPlan &plan() { return plan_; }

    base::Result<std::unique_ptr<base::File>> open(const std::string &path,
                                                   base::OpenMode mode) override {
        DVEC_TRY(plan_.pass(Operation::open, path));
        if (mode == base::OpenMode::create)
            DVEC_TRY(plan_.pass(Operation::create, path));
        auto file = below_.open(path, mode);
        DVEC_TRY(file);
        return std::unique_ptr<base::File>(
            std::make_unique<FaultyFile>(std::move(file).value(), plan_));
    }
    base::Status make_directory(const std::string &path) override {
        DVEC_TRY(plan_.pass(Operation::make_directory, path));
        return below_.make_directory(path);
    }
    base::Status rename(const std::string &from, const std::string &to) override {
        DVEC_TRY(plan_.pass(Operation::rename, from));
        return below_.rename(from, to);
    }
    base::Status remove(const std::string &path) override {
        DVEC_TRY(plan_.pass(Operation::remove, path));
        return below_.remove(path);
    }
    base::Status remove_directory(const std::string &path) override {
        return below_.remove_directory(path);
    }
    base::Result<bool> exists(const std::string &path) override { return below_.exists(path); }
    base::Result<std::vector<std::string>> list(const std::string &path) override {
        DVEC_TRY(plan_.pass(Operation::list, path));
        return below_.list(path);
    }
    base::Status sync_directory(const std::string &path) override {
        DVEC_TRY(plan_.pass(Operation::sync_directory, path));
        return below_.sync_directory(path);
    }

  private:
    base::FileSystem &below_;
    FaultPlan plan_;
};

}  // namespace dvec::test
