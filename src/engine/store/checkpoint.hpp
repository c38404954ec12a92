// The checkpoint file: what is known to be on disk. Two records are written alternately, each in a
// block of its own and under a CRC, so that a write torn by a crash leaves the one before it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/file.hpp"
#include "engine/graph/shared_state.hpp"
#include "engine/log/format.hpp"
#include "engine/store/description.hpp"
#include "engine/store/boot_id.hpp"
#include "engine/store/repair.hpp"

namespace dvec::store {

inline constexpr std::uint32_t checkpoint_magic = 0x43435644;  // "DVCC"
inline constexpr std::uint32_t checkpoint_version = 5;
inline constexpr std::size_t checkpoint_block_bytes = 4096;

// As it stands in the file, little-endian; the rest of its block is zero. Every version begins with
// the same 24 bytes, so that a newer record can be told from a damaged one.
struct CheckpointRecord {
    std::uint32_t magic = checkpoint_magic;
    std::uint32_t version = checkpoint_version;
    std::uint32_t bytes = 0;     // of the record
    std::uint32_t checksum = 0;  // CRC-32C of the record with 0 in this place
    std::uint64_t serial = 0;    // the higher of two valid records is the current one

    std::uint64_t owner_identity = 0;
    std::uint64_t owner_system = 0;
    std::uint32_t owner_database = 0;
    std::uint32_t owner_relation = 0;

    std::uint8_t element = 0;
    std::uint8_t metric = 0;
    std::uint16_t clean = 0;  // 1: nothing was written behind log_position
    std::uint32_t dimensions = 0;
    std::uint32_t m = 0;
    std::uint32_t ef_construction = 0;

    std::uint64_t log_position = 0;  // replay begins here
    std::uint64_t reconcile_lsn =
        0;                      // S: heap inserts of finished transactions below it are in here
    std::uint64_t max_lsn = 0;  // highest PostgreSQL LSN of anything the checkpoint covers

    std::uint64_t entry_point = 0;  // graph::EntryPoint::pack
    std::uint32_t nodes = 0;        // K: ids below have their payload on disk
    std::uint32_t linked = 0;       // ids below are linked, and their links are on disk
    std::uint32_t deleted = 0;
    std::uint32_t upper_blocks = 0;

    std::uint64_t boot = 0;
    std::uint64_t mount = 0;  // base::FileIdentity::mount
    std::uint64_t nodes_device = 0;
    std::uint64_t nodes_inode = 0;
    std::uint64_t nodes_born = 0;
    std::uint64_t nodes_change_time = 0;  // of a clean checkpoint, else 0

    std::uint64_t server_start = 0;  // during which the log behind log_position is written

    std::uint64_t segment_bytes = 0;

    std::uint64_t generation = 0;  // of the node files
    Repair repair = Repair::none;
    std::uint32_t links_unsound = 0;  // 1: as SharedState::links_unsound
    std::uint32_t connected = 0;      // as SharedState::connected
    std::uint32_t columns = 0;        // behind the vector

    std::uint64_t owner_device = 0;  // Owner::file
    std::uint64_t owner_inode = 0;
    std::uint64_t owner_born = 0;
};
static_assert(sizeof(CheckpointRecord) == 224);

class CheckpointFile {
  public:
    // Creates the file in `directory`, with both blocks empty.
    static base::Result<CheckpointFile> create(base::FileSystem &file_system,
                                               const std::string &directory);
    static base::Result<CheckpointFile> open(base::FileSystem &file_system,
                                             const std::string &directory);

    // The current record: the valid one with the higher serial. Code::corrupt when neither is
    // valid, Code::unsupported when the current one has a newer version.
    base::Result<CheckpointRecord> read();

    // Writes `record` over the older of the two and makes it durable. Fills magic, version, bytes,
    // serial (one above the current) and checksum.
    base::Status write(CheckpointRecord record);

    // Makes the record that was read durable: who wrote it may have died before.
    base::Status sync() { return file_->sync(); }

    // The places in the file of damaged records. A block that was never written is no damaged
    // record.
    base::Result<std::vector<std::uint64_t>> damaged_blocks();

    base::Result<base::FileIdentity> identity() { return file_->identity(); }

    const std::string &path() const noexcept { return file_->path(); }

  private:
    explicit CheckpointFile(std::unique_ptr<base::File> file) : file_(std::move(file)) {}

    base::Result<std::optional<CheckpointRecord>> read_block(unsigned block);

    std::unique_ptr<base::File> file_;
};

}  // namespace dvec::store
