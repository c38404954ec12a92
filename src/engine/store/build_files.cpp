// What is taken of memory is taken when a file is extended, all of it at once: a page that the
// system could not find later, at the first store into it, would end the process.
#include "engine/store/build_files.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/base/available_memory.hpp"

namespace dvec::store {

using base::Code;
using base::File;
using base::Result;
using base::Status;

namespace {

constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20;

// What is written at a time, and given back before more is written: so much is in memory twice.
constexpr std::size_t piece_bytes = 4 * mebibyte;
// Of space that was taken and not used so much is left unwritten at a time.
constexpr std::size_t empty_bytes = 64 << 10;

// The system is asked once for so much, in proportion to what was taken.
constexpr std::uint64_t least_assured = mebibyte;
constexpr std::uint64_t most_assured = 256 * mebibyte;
constexpr std::uint64_t assured_share = 16;
// This share of what was taken must stay free besides, for others and for writing the files.
constexpr std::uint64_t spared_share = 8;

// What a linker takes for each row beside the files, or what connects nodes after it: linker.hpp,
// reachability.hpp.
constexpr std::uint64_t linking_bytes = 20;

bool all_zero(const std::byte *bytes, std::size_t count) {
    return bytes[0] == std::byte{} && std::memcmp(bytes, bytes + 1, count - 1) == 0;
}

}  // namespace

std::uint64_t memory_for_files(std::uint64_t memory, const graph::Layout &layout) {
    const std::uint64_t file_bytes =
        layout.stride + layout.upper_block_bytes / layout.m +
        (layout.columns > 0 ? layout.column_chunk_bytes() / graph::column_chunk_ids : 0);
    return memory / (file_bytes + linking_bytes) * file_bytes;
}

std::uint64_t available_to_process() { return base::available_memory(); }

bool MemoryAllowance::take(std::uint64_t bytes) {
    const std::lock_guard hold(mutex_);
    if (bytes > bytes_ - taken_) {
        system_short_ = false;
        return false;
    }
    const std::uint64_t wanted = taken_ + bytes;
    if (wanted > assured_) {
        const std::uint64_t more = std::min(
            bytes_, wanted + std::clamp(wanted / assured_share, least_assured, most_assured));
        const std::uint64_t spared = std::max(taken_ / spared_share, least_assured);
        if (available_() < more - taken_ + spared) {
            system_short_ = true;
            return false;
        }
        assured_ = more;
    }
    taken_ = wanted;
    return true;
}

void MemoryAllowance::was_refused(std::uint64_t bytes) {
    const std::lock_guard hold(mutex_);
    taken_ -= bytes;
    system_short_ = true;
}

bool MemoryAllowance::system_short() const noexcept {
    const std::lock_guard hold(mutex_);
    return system_short_;
}

// One opening of a file in memory, which stays when all of them are closed.
class BuildFiles::MemoryFile final : public File {
  public:
    MemoryFile(const std::string &path, std::shared_ptr<File> file, MemoryAllowance &allowance)
        : File(path), file_(std::move(file)), allowance_(allowance) {}

    Result<std::uint64_t> size() override { return file_->size(); }
    Result<base::FileIdentity> identity() override { return file_->identity(); }
    Result<std::uint64_t> change_time() override { return file_->change_time(); }
    Status read(std::uint64_t offset, void *data, std::size_t size) override {
        return file_->read(offset, data, size);
    }
    Status write(std::uint64_t offset, const void *data, std::size_t size) override {
        return file_->write(offset, data, size);
    }
    Status allocate(std::uint64_t size) override {
        auto current = file_->size();
        DVEC_TRY(current);
        if (size <= current.value())
            return {};
        const std::uint64_t more =
            base::memory_of_file(size) - base::memory_of_file(current.value());
        if (!allowance_.take(more))
            return Status(Code::no_space,
                          "file \"" + path() + "\" does not fit into memory any more");
        const Status status = file_->allocate(size);
        if (status.ok())
            return {};
        allowance_.was_refused(more);
        return Status(Code::no_space, status.message());
    }
    Status truncate(std::uint64_t size) override { return file_->truncate(size); }
    Status sync() override { return {}; }
    Result<base::Mapping> map(std::size_t size, base::Access access) override {
        return file_->map(size, access);
    }

  private:
    std::shared_ptr<File> file_;
    MemoryAllowance &allowance_;
};

BuildFiles::BuildFiles(base::FileSystem &below, std::uint64_t memory,
                       MemoryAllowance::Available available)
    : below_(below), allowance_(memory, available), in_memory_(memory > 0) {}

Result<std::unique_ptr<File>> BuildFiles::open(const std::string &path, base::OpenMode mode) {
    {
        const std::lock_guard hold(mutex_);
        auto known = files_.find(path);
        if (known == files_.end() && mode == base::OpenMode::create && in_memory()) {
            auto made = base::make_memory_file(path, allowance_.bytes());
            if (!made.ok())
                allowance_.was_refused(0);  // nothing was taken yet
            DVEC_TRY(made);
            known = files_.emplace(path, std::move(made).value()).first;
        } else if (known != files_.end() && mode == base::OpenMode::create) {
            return Status(Code::already_exists, "file \"" + path + "\" exists already");
        }
        if (known != files_.end())
            return std::unique_ptr<File>(
                std::make_unique<MemoryFile>(path, known->second, allowance_));
    }
    return below_.open(path, mode);
}

Status BuildFiles::create(const graph::NodeStore::Params &params) {
    Status created = graph::NodeStore::create_files(*this, params);
    if (created.ok() || !in_memory())
        return created;
    forget();
    return graph::NodeStore::create_files(*this, params);
}

// New files are created below from then on.
void BuildFiles::forget() {
    const std::lock_guard hold(mutex_);
    files_.clear();
    in_memory_.store(false, std::memory_order_release);
}

Status BuildFiles::move_out(const std::atomic<bool> &stop) {
    return base::guarded([&]() -> Status {
        const std::lock_guard hold(mutex_);
        in_memory_.store(false, std::memory_order_release);
        for (auto file = files_.begin(); file != files_.end(); file = files_.erase(file))
            DVEC_TRY(write_below(*file->second, stop));
        return {};
    });
}

// Space that was taken and never written to stays unwritten below, where reading it gives zeros as
// well.
Status BuildFiles::write_below(File &file, const std::atomic<bool> &stop) {
    auto size = file.size();
    DVEC_TRY(size);
    auto target = below_.open(file.path(), base::OpenMode::create);
    DVEC_TRY(target);
    if (size.value() == 0)
        return {};
    DVEC_TRY(target.value()->allocate(size.value()));
    auto map = file.map(size.value(), base::Access::read_write);
    DVEC_TRY(map);
    const std::byte *bytes = map.value().data();
    // Written like this, a file would be in memory in pages of no one size.
    const base::Pages pages = base::pages_of(size.value());
    const auto view = target.value()->map(size.value(), base::Access::read_only);
    for (std::size_t at = 0; at < size.value(); at += piece_bytes) {
        if (stop.load(std::memory_order_relaxed))
            return Status(Code::interrupted, "writing the files of an index was stopped");
        const std::size_t end = std::min<std::size_t>(size.value(), at + piece_bytes);
        if (view.ok())
            (void)view.value().bring_in(at, end, pages);
        for (std::size_t begin = at; begin < end;) {
            std::size_t used = begin;  // up to here
            const auto next = [&] { return std::min(end, used + empty_bytes); };
            while (used < end && !all_zero(bytes + used, next() - used))
                used = next();
            if (used > begin)
                DVEC_TRY(target.value()->write(begin, bytes + begin, used - begin));
            begin = next();
        }
        map.value().give_back(at, end);
    }
    return {};
}

}  // namespace dvec::store
