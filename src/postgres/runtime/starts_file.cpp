#include "postgres/runtime/starts_file.hpp"

#include <optional>

#include "engine/base/checksum.hpp"
#include "engine/base/file.hpp"
#include "engine/store/wal_history.hpp"
#include "postgres/runtime/registry.hpp"

namespace dvec::postgres {

static_assert(ServerStart::unknown == store::WalHistory::nothing_lost);

namespace {

constexpr const char *path = "dvec/starts";
constexpr const char *new_path = "dvec/starts.new";

constexpr uint32 starts_magic = 0x53435644;  // "DVCS"
constexpr uint32 starts_version = 4;

// At the beginning of a block; the starts follow it.
struct BlockHeader {
    uint32 magic;
    uint32 version;
    uint64 serial;  // the higher of two valid blocks is the current one
    uint32 count;
    uint32 checksum;  // CRC-32C of the header with 0 in this place, and of the starts
};
static_assert(sizeof(BlockHeader) == 24);

constexpr uint64 block_bytes = 28 * 1024;
constexpr uint64 blocks = 2;
static_assert(sizeof(BlockHeader) + most_starts * sizeof(ServerStart) <= block_bytes);

uint32 checksum_of(BlockHeader header, const Starts &starts) {
    header.checksum = 0;
    return base::checksum(base::checksum(0, &header, sizeof header), starts.data(),
                          starts.size() * sizeof(ServerStart));
}

struct Block {
    uint64 serial;
    Starts starts;
};

// Returns nothing if the block is not valid.
std::optional<Block> read_block(base::File &file, uint64 number) {
    BlockHeader header;
    const uint64 offset = number * block_bytes;
    if (!file.read(offset, &header, sizeof header).ok() || header.magic != starts_magic ||
        header.version != starts_version || header.count > most_starts)
        return std::nullopt;
    Starts starts(header.count);
    if (!file.read(offset + sizeof header, starts.data(), starts.size() * sizeof(ServerStart))
             .ok() ||
        checksum_of(header, starts) != header.checksum)
        return std::nullopt;
    return Block{header.serial, std::move(starts)};
}

Block read_current(base::File &file) {
    Block current{0, {}};
    for (uint64 number = 0; number < blocks; ++number)
        if (auto block = read_block(file, number); block && block->serial > current.serial)
            current = *std::move(block);
    return current;
}

base::Status write_block(base::File &file, uint64 serial, const Starts &starts) {
    BlockHeader header{starts_magic, starts_version, serial, static_cast<uint32>(starts.size()), 0};
    header.checksum = checksum_of(header, starts);
    const uint64 offset = serial % blocks * block_bytes;
    DVEC_TRY(
        file.write(offset + sizeof header, starts.data(), starts.size() * sizeof(ServerStart)));
    DVEC_TRY(file.write(offset, &header, sizeof header));
    return file.sync();
}

// Written under a temporary name first, since an incomplete file might not have all of its disk
// space.
base::Status make_file(const Starts &starts) {
    base::FileSystem &files = base::posix_file_system();
    base::Status removed = files.remove(new_path);
    if (!removed.ok() && removed.code() != base::Code::not_found)
        return removed;
    auto file = files.open(new_path, base::OpenMode::create);
    DVEC_TRY(file);
    DVEC_TRY(file.value()->allocate(blocks * block_bytes));
    DVEC_TRY(write_block(*file.value(), 1, starts));
    DVEC_TRY(files.rename(new_path, path));
    return files.sync_directory(sidecar_root);
}

}  // namespace

base::Result<Starts> read_starts() {
    auto file = base::posix_file_system().open(path, base::OpenMode::read_only);
    if (!file.ok()) {
        if (file.status().code() == base::Code::not_found)
            return Starts();
        return std::move(file).status();
    }
    return read_current(*file.value()).starts;
}

base::Status write_starts(const Starts &starts) {
    auto file = base::posix_file_system().open(path, base::OpenMode::read_write);
    if (file.status().code() == base::Code::not_found)
        return make_file(starts);
    DVEC_TRY(file);
    auto size = file.value()->size();
    DVEC_TRY(size);
    const uint64 serial = read_current(*file.value()).serial;
    if (size.value() != blocks * block_bytes || serial == 0)
        return make_file(starts);
    return write_block(*file.value(), serial + 1, starts);
}

base::Status forget_starts() {
    base::Status removed = base::posix_file_system().remove(path);
    if (removed.ok())
        return base::posix_file_system().sync_directory(sidecar_root);
    return removed.code() == base::Code::not_found ? base::Status() : removed;
}

}  // namespace dvec::postgres
