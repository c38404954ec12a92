// A record is trusted only when magic and CRC fit. The serial alone decides which of two records is
// current.
#include "engine/store/checkpoint.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include "engine/base/checksum.hpp"

namespace dvec::store {

using base::Code;
using base::Result;
using base::Status;

namespace {

constexpr unsigned blocks = 2;

std::string path_in(const std::string &directory) { return directory + "/checkpoint"; }

using Block = std::array<std::byte, checkpoint_block_bytes>;

constexpr std::size_t common_bytes = offsetof(CheckpointRecord, owner_identity);

std::uint32_t checksum_of(Block block, std::size_t bytes) {
    std::memset(block.data() + offsetof(CheckpointRecord, checksum), 0, sizeof(std::uint32_t));
    return base::checksum(0, block.data(), bytes);
}

}  // namespace

Result<CheckpointFile> CheckpointFile::create(base::FileSystem &file_system,
                                              const std::string &directory) {
    return base::guarded([&]() -> Result<CheckpointFile> {
        auto file = file_system.open(path_in(directory), base::OpenMode::create);
        DVEC_TRY(file);
        DVEC_TRY(file.value()->allocate(blocks * checkpoint_block_bytes));
        return CheckpointFile(std::move(file).value());
    });
}

Result<CheckpointFile> CheckpointFile::open(base::FileSystem &file_system,
                                            const std::string &directory) {
    return base::guarded([&]() -> Result<CheckpointFile> {
        auto file = file_system.open(path_in(directory), base::OpenMode::read_write);
        DVEC_TRY(file);
        return CheckpointFile(std::move(file).value());
    });
}

Result<std::optional<CheckpointRecord>> CheckpointFile::read_block(unsigned block) {
    Block bytes{};
    CheckpointRecord record;
    // A file that is too short holds no record.
    const auto read = [&](std::size_t size) -> Result<bool> {
        Status status = file_->read(block * checkpoint_block_bytes, bytes.data(), size);
        if (!status.ok() && status.code() != Code::corrupt)
            return status;
        std::memcpy(static_cast<void *>(&record), bytes.data(), sizeof record);
        return status.ok();
    };
    auto found = read(common_bytes);
    DVEC_TRY(found);
    if (!found.value() || record.magic != checkpoint_magic || record.bytes < common_bytes ||
        record.bytes > bytes.size())
        return std::optional<CheckpointRecord>();
    found = read(record.bytes);
    DVEC_TRY(found);
    if (!found.value() || record.checksum != checksum_of(bytes, record.bytes))
        return std::optional<CheckpointRecord>();
    return std::optional(record);
}

Result<CheckpointRecord> CheckpointFile::read() {
    return base::guarded([&]() -> Result<CheckpointRecord> {
        std::optional<CheckpointRecord> current;
        for (unsigned block = 0; block < blocks; ++block) {
            auto record = read_block(block);
            DVEC_TRY(record);
            if (record.value() && (!current || record.value()->serial > current->serial))
                current = record.value();
        }
        if (!current)
            return Status(Code::corrupt,
                          "file \"" + file_->path() + "\" holds no valid checkpoint");
        if (current->version != checkpoint_version || current->bytes != sizeof *current)
            return Status(Code::unsupported, "file \"" + file_->path() + "\" has format version " +
                                                 std::to_string(current->version));
        return *current;
    });
}

Result<std::vector<std::uint64_t>> CheckpointFile::damaged_blocks() {
    return base::guarded([&]() -> Result<std::vector<std::uint64_t>> {
        std::vector<std::uint64_t> damaged;
        for (unsigned block = 0; block < blocks; ++block) {
            auto record = read_block(block);
            DVEC_TRY(record);
            if (record.value())
                continue;
            const std::uint64_t offset = block * checkpoint_block_bytes;
            Block bytes;
            const Status status = file_->read(offset, bytes.data(), bytes.size());
            if (!status.ok() && status.code() != Code::corrupt)
                return status;
            const bool unwritten = std::all_of(bytes.begin(), bytes.end(),
                                               [](std::byte byte) { return byte == std::byte{}; });
            if (!status.ok() || !unwritten)
                damaged.push_back(offset);
        }
        return damaged;
    });
}

Status CheckpointFile::write(CheckpointRecord record) {
    return base::guarded([&]() -> Status {
        const auto current = read();
        if (!current.ok() && current.status().code() != Code::corrupt)
            return current.status();
        record.magic = checkpoint_magic;
        record.version = checkpoint_version;
        record.bytes = sizeof record;
        record.serial = current.ok() ? current.value().serial + 1 : 1;

        Block block{};
        std::memcpy(block.data(), &record, sizeof record);
        record.checksum = checksum_of(block, sizeof record);
        std::memcpy(block.data(), &record, sizeof record);
        DVEC_TRY(file_->write(record.serial % blocks * checkpoint_block_bytes, block.data(),
                              block.size()));
        return file_->sync();
    });
}

}  // namespace dvec::store
