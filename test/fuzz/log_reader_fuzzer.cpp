// Feeds arbitrary segment files to the log reader. Nothing but a crash, a hang, or a broken promise
// of the reader's contract counts: records come in order, inside the log, with readable payloads,
// and each is one whose seal is right.
//
// The input is a script: byte 0 holds flags, byte 1 the segment to begin in, byte 2 the offset to
// begin at (in 32-byte steps), byte 3 which segment numbers have files; the rest fills those files.
// Without help no input would get past a CRC, so one flag makes the fuzzer seal whatever looks like
// a header in the files, as the writer would have.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/checksum.hpp"
#include "engine/log/reader.hpp"

namespace {

using namespace dvec;

constexpr std::uint64_t segment_bytes = 4096;
constexpr std::uint64_t identity = 77;
constexpr std::uint8_t flag_seal = 1;         // complete the headers' segment numbers and CRCs
constexpr std::uint8_t flag_far_segment = 2;  // the last file has the highest number there is
constexpr std::size_t script_bytes = 4;

using Bytes = std::vector<std::uint8_t>;

void require(bool promise) {
    if (!promise)
        std::abort();
}

class MemoryFile final : public base::File {
  public:
    MemoryFile(const std::string &path, const Bytes &bytes) : File(path), bytes_(bytes) {}

    base::Result<std::uint64_t> size() override { return std::uint64_t{bytes_.size()}; }
    base::Result<base::FileIdentity> identity() override { return refuse(); }
    base::Result<std::uint64_t> change_time() override { return refuse(); }
    base::Status read(std::uint64_t offset, void *data, std::size_t size) override {
        if (offset > bytes_.size() || size > bytes_.size() - offset)
            return {base::Code::corrupt, "the end"};
        if (size != 0)
            std::memcpy(data, bytes_.data() + offset, size);
        return {};
    }
    base::Status write(std::uint64_t, const void *, std::size_t) override { return refuse(); }
    base::Status allocate(std::uint64_t) override { return refuse(); }
    base::Status truncate(std::uint64_t) override { return refuse(); }
    base::Status sync() override { return refuse(); }
    base::Result<base::Mapping> map(std::size_t, base::Access) override { return refuse(); }

  private:
    // The reader is promised to do nothing but read.
    static base::Status refuse() { std::abort(); }

    const Bytes &bytes_;
};

class MemoryFileSystem final : public base::FileSystem {
  public:
    std::map<std::string, Bytes> files;  // by name in the one folder "log"

    base::Result<std::unique_ptr<base::File>> open(const std::string &path,
                                                   base::OpenMode mode) override {
        require(mode == base::OpenMode::read_only);
        const auto found = files.find(path.substr(path.rfind('/') + 1));
        if (found == files.end())
            return base::Status(base::Code::not_found, path);
        return std::unique_ptr<base::File>(std::make_unique<MemoryFile>(path, found->second));
    }
    base::Result<std::vector<std::string>> list(const std::string &) override {
        std::vector<std::string> names;
        for (const auto &[name, bytes] : files)
            names.push_back(name);
        return names;
    }
    base::Result<bool> exists(const std::string &) override { return refuse(); }
    base::Status make_directory(const std::string &) override { return refuse(); }
    base::Status rename(const std::string &, const std::string &) override { return refuse(); }
    base::Status remove(const std::string &) override { return refuse(); }
    base::Status remove_directory(const std::string &) override { return refuse(); }
    base::Status sync_directory(const std::string &) override { return refuse(); }

  private:
    static base::Status refuse() { std::abort(); }
};

void seal_headers(Bytes &bytes, std::uint32_t segment) {
    for (std::size_t offset = 0; offset + sizeof(log::RecordHeader) <= bytes.size();
         offset += log::record_alignment) {
        log::RecordHeader header;
        std::memcpy(&header, bytes.data() + offset, sizeof(header));
        const std::size_t room = bytes.size() - offset - sizeof(header);
        if (header.magic != log::record_magic || header.length > room)
            continue;
        header.segment = segment;
        header.crc = log::record_crc(
            base::checksum(0, bytes.data() + offset + sizeof(header), header.length), header,
            segment * segment_bytes + offset, identity);
        std::memcpy(bytes.data() + offset, &header, sizeof(header));
    }
}

void check_report(const log::ReplayReport &report, std::uint64_t delivered, log::Position from) {
    require(report.records == delivered);
    require(report.end >= from || delivered == 0);
    require(report.first <= from && from - report.first < segment_bytes);
    for (const log::Damage &damage : report.damage) {
        require(damage.bytes > 0);
        require(damage.offset < segment_bytes);
        require(!damage.reason.empty());
    }
    if (report.broken_tail)
        require(report.broken_tail->offset < segment_bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    if (size < script_bytes)
        return 0;
    const std::uint8_t flags = data[0];
    const log::Position from = data[1] % 8 * segment_bytes + data[2] % 128 * 32;
    const std::uint8_t present = data[3];
    const std::uint8_t *cursor = data + script_bytes;
    const std::uint8_t *const end = data + size;

    MemoryFileSystem file_system;
    const log::Geometry geometry{
        .directory = "log", .segment_bytes = segment_bytes, .identity = identity};
    for (std::uint32_t bit = 0; bit < 8; ++bit) {
        if ((present >> bit & 1) == 0)
            continue;
        const bool far = bit == 7 && (flags & flag_far_segment) != 0;
        const std::uint32_t segment =
            far ? static_cast<std::uint32_t>(log::max_segment_number) : bit;
        const auto left = static_cast<std::size_t>(end - cursor);
        // All but the last file have their full size as long as the input lasts.
        Bytes bytes(cursor, cursor + std::min<std::size_t>(left, segment_bytes));
        cursor += bytes.size();
        if ((flags & flag_seal) != 0)
            seal_headers(bytes, segment);
        file_system.files["log." + std::to_string(segment)] = std::move(bytes);
    }

    std::uint64_t delivered = 0;
    log::Position behind_last = from;
    unsigned sum = 0;
    const auto report =
        log::replay(file_system, geometry, from, [&](const log::Record &record) -> base::Status {
            require(record.position >= behind_last);
            behind_last = record.position + log::record_bytes(record.payload.size());
            require(geometry.segment_of(record.position) == geometry.segment_of(behind_last - 1));
            require(record.type == log::RecordType::insert ||
                    record.type == log::RecordType::remove);
            for (const std::byte byte : record.payload)
                sum += static_cast<unsigned>(byte);
            ++delivered;
            return {};
        });
    if (report.ok()) {
        check_report(report.value(), delivered, from);
        require(report.value().end >= behind_last);
    } else {
        require(report.status().code() == base::Code::unsupported);
    }
    volatile unsigned sink = sum;
    static_cast<void>(sink);
    return 0;
}
