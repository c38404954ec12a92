// Growing, mapping and checking one file of the graph.
#include "engine/graph/record_file.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/base/checksum.hpp"

namespace dvec::graph {

using base::Code;
using base::File;
using base::Mapping;
using base::Result;
using base::Status;

namespace {

constexpr std::uint64_t kibibyte = std::uint64_t{1} << 10;
constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20;

// Bytes that are read between two checks whether to stop.
constexpr std::uint64_t brought_in_at_once = 64 * mebibyte;

// The file's size when its header is sound and as expected.
Result<std::uint64_t> check_header(File &file, const FileHeader &expected) {
    auto size = file.size();
    DVEC_TRY(size);
    FileHeader header;
    if (size.value() < file_header_bytes)
        return Status(Code::corrupt, "file \"" + file.path() + "\" is too short");
    DVEC_TRY(file.read(0, &header, sizeof(header)));
    if (header.magic != expected.magic ||
        header.checksum != base::checksum(0, &header, offsetof(FileHeader, checksum)))
        return Status(Code::corrupt, "file \"" + file.path() + "\" has a damaged header");
    if (header.version != expected.version)
        return Status(Code::unsupported, "file \"" + file.path() + "\" has format version " +
                                             std::to_string(header.version));
    if (std::memcmp(&header, &expected, sizeof(header)) != 0)
        return Status(Code::mismatch, "file \"" + file.path() + "\" belongs to another index");
    return size;
}

std::uint64_t records_in(std::uint64_t file_bytes, std::uint32_t record_bytes,
                         std::uint64_t limit) {
    return std::min((file_bytes - file_header_bytes) / record_bytes, limit);
}

// Where nobody has written yet, the whole units of [begin, end) get large pages: a page that was
// written as a small one stays that. Through a mapping of its own, so that no advice stays with
// those that searches use. Nothing depends on its success.
void take_large_pages(File &file, std::uint64_t begin, std::uint64_t end) {
    if (base::pages_of(end) != base::Pages::large)
        return;
    begin = base::round_up(begin, base::large_page);
    end = end / base::large_page * base::large_page;
    if (begin >= end)
        return;
    if (const auto map = file.map(end, base::Access::read_only); map.ok())
        (void)map.value().bring_in(begin, end, base::Pages::large);
}

// Makes `map` at least `bytes` long, with room to grow before it has to move again.
Status cover(File &file, Mapping &map, std::uint64_t bytes) {
    if (map.size() >= bytes)
        return {};
    const std::uint64_t generous = (2 * bytes + mebibyte) / file_header_bytes * file_header_bytes;
    if (!map.empty())
        return map.extend(generous);
    auto fresh = file.map(generous, base::Access::read_write);
    DVEC_TRY(fresh);
    map = std::move(fresh).value();
    return {};
}

}  // namespace

Status RecordFile::create(base::FileSystem &file_system, const std::string &path,
                          const FileHeader &header) {
    auto file = file_system.open(path, base::OpenMode::create);
    DVEC_TRY(file);
    DVEC_TRY(file.value()->allocate(file_header_bytes));
    return file.value()->write(0, &header, sizeof(header));
}

Result<RecordFile> RecordFile::open(base::FileSystem &file_system, const std::string &path,
                                    const FileHeader &header) {
    auto opened = file_system.open(path, base::OpenMode::read_write);
    DVEC_TRY(opened);
    auto identity = opened.value()->identity();
    DVEC_TRY(identity);
    auto size = check_header(*opened.value(), header);
    DVEC_TRY(size);
    RecordFile file;
    file.path_ = path;
    file.identity_ = identity.value();
    file.bytes_ = size.value();
    file.record_bytes_ = header.record_bytes;
    DVEC_TRY(cover(*opened.value(), file.map_, file.bytes_));
    return file;
}

Result<std::unique_ptr<File>> RecordFile::reopen(base::FileSystem &file_system) const {
    auto file = file_system.open(path_, base::OpenMode::read_write);
    DVEC_TRY(file);
    auto identity = file.value()->identity();
    DVEC_TRY(identity);
    if (!(identity.value() == identity_))
        return Status(Code::corrupt,
                      "file \"" + path_ + "\" has been replaced while it was in use");
    return file;
}

// Steps in proportion to the file keep calls rare where there are many records, and save space
// where there are few. When the disk has no space for a whole step, it may still have space for
// what is really needed.
Result<std::uint64_t> RecordFile::grow(base::FileSystem &file_system, std::uint64_t needed,
                                       std::uint64_t limit) const {
    if (needed > limit)
        return Status(Code::limit_exceeded, "file \"" + path_ + "\" cannot hold more records");
    auto file = reopen(file_system);
    DVEC_TRY(file);
    auto size = file.value()->size();
    DVEC_TRY(size);
    const std::uint64_t exact = offset(needed);
    if (size.value() < exact) {
        const std::uint64_t step = std::clamp(size.value() / 16, 8 * kibibyte, 256 * mebibyte);
        std::uint64_t ample = std::max(exact, std::min(size.value() + step, offset(limit)));
        if (step >= base::large_page)
            ample = base::round_up(ample, base::large_page);
        const std::uint64_t before = size.value();
        Status status = file.value()->allocate(ample);
        if (status.code() == Code::no_space && exact < ample)
            status = file.value()->allocate(exact);
        DVEC_TRY(std::move(status));
        size = file.value()->size();
        DVEC_TRY(size);
        take_large_pages(*file.value(), before, size.value());
    }
    return records_in(size.value(), record_bytes_, limit);
}

// The file is looked at only when it has to have grown.
Status RecordFile::follow(base::FileSystem &file_system, std::uint64_t records) {
    const std::uint64_t bytes = offset(records);
    if (bytes <= bytes_)
        return {};
    auto file = reopen(file_system);
    DVEC_TRY(file);
    auto size = file.value()->size();
    DVEC_TRY(size);
    if (size.value() < bytes)
        return Status(Code::corrupt, "file \"" + path_ + "\" is shorter than its capacity");
    DVEC_TRY(cover(*file.value(), map_, bytes));
    bytes_ = bytes;
    return {};
}

Status RecordFile::remap(base::FileSystem &file_system) {
    auto file = file_system.open(path_, base::OpenMode::read_write);
    DVEC_TRY(file);
    auto identity = file.value()->identity();
    DVEC_TRY(identity);
    auto size = file.value()->size();
    DVEC_TRY(size);
    if (size.value() < bytes_)
        return Status(Code::corrupt, "file \"" + path_ + "\" is shorter than what it replaces");
    auto map = file.value()->map(map_.size(), base::Access::read_write);
    DVEC_TRY(map);
    map_ = std::move(map).value();
    identity_ = identity.value();
    return {};
}

Status RecordFile::bring_in(base::FileSystem &file_system, bool (*interrupted)()) const {
    auto file = reopen(file_system);
    DVEC_TRY(file);
    auto map = file.value()->map(bytes_, base::Access::read_only);
    DVEC_TRY(map);
    for (std::uint64_t at = 0; at < bytes_; at += brought_in_at_once) {
        if (interrupted != nullptr && interrupted())
            return Status(Code::interrupted, "reading the index was interrupted");
        DVEC_TRY(map.value().bring_in(at, std::min(bytes_, at + brought_in_at_once),
                                      base::pages_of(bytes_)));
    }
    return {};
}

std::uint64_t RecordFile::records(std::uint64_t limit) const noexcept {
    return records_in(bytes_, record_bytes_, limit);
}

}  // namespace dvec::graph
