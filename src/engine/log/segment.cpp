// Segment files. A segment is filled by writing zeros rather than by posix_fallocate. The file
// system marks space that was only allocated as unwritten, and the first sync of every part of it
// would have to change that mark too: a journal commit in each of the syncs that inserts wait for.
// After zeros have been written and synced once, a sync has only data to write.
//
// The zeros are written in small pieces. The page cache of newer kernels keeps what one call has
// written as one folio, and a store through a mapping makes its whole folio dirty: with pieces of 1
// MB, every sync of 256 kB of records wrote 1 MB. Far smaller pieces only cost more calls.
#include "engine/log/segment.hpp"

#include <algorithm>
#include <charconv>
#include <memory>

#include "engine/base/checksum.hpp"

namespace dvec::log {

namespace {

constexpr std::string_view name_prefix = "log.";
constexpr std::string_view unfinished_name = "log.new";
constexpr std::size_t fill_piece_bytes = std::size_t{1} << 16;

std::string unfinished_path(const Geometry &geometry) {
    return geometry.directory + "/" + std::string(unfinished_name);
}

base::Status remove_if_present(base::FileSystem &file_system, const std::string &path) {
    base::Status status = file_system.remove(path);
    if (status.code() == base::Code::not_found)
        return {};
    return status;
}

base::Status create_unfinished(base::FileSystem &file_system, const std::string &path,
                               std::uint64_t bytes) {
    DVEC_TRY(remove_if_present(file_system, path));
    auto file = file_system.open(path, base::OpenMode::create);
    DVEC_TRY(file);
    DVEC_TRY(write_zeros(*file.value(), 0, bytes));
    return file.value()->sync();
}

}  // namespace

std::string Geometry::segment_path(std::uint64_t segment) const {
    return directory + "/" + std::string(name_prefix) + std::to_string(segment);
}

base::Status validate(const Geometry &geometry) {
    const std::uint64_t bytes = geometry.segment_bytes;
    if (bytes == 0 || bytes % segment_bytes_unit != 0 || bytes > max_segment_bytes)
        return {base::Code::invalid_argument,
                "a log segment cannot have " + std::to_string(bytes) + " bytes"};
    return {};
}

std::optional<std::uint32_t> segment_number(std::string_view file_name) noexcept {
    if (!file_name.starts_with(name_prefix))
        return std::nullopt;
    const std::string_view digits = file_name.substr(name_prefix.size());
    // One spelling per number: "log.07" and "log.7" must not both be segment 7.
    if (digits.empty() || (digits.size() > 1 && digits.front() == '0'))
        return std::nullopt;
    std::uint32_t number = 0;
    const char *end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, number);
    if (error != std::errc() || stop != end)
        return std::nullopt;
    return number;
}

base::Result<std::vector<std::uint32_t>> list_segments(base::FileSystem &file_system,
                                                       const Geometry &geometry) {
    auto names = file_system.list(geometry.directory);
    DVEC_TRY(names);
    std::vector<std::uint32_t> segments;
    for (const std::string &name : names.value())
        if (const auto number = segment_number(name))
            segments.push_back(*number);
    std::sort(segments.begin(), segments.end());
    return segments;
}

base::Status create_segment(base::FileSystem &file_system, const Geometry &geometry,
                            std::uint64_t segment, std::uint64_t bytes) {
    const std::string unfinished = unfinished_path(geometry);
    const std::string final_path = geometry.segment_path(segment);
    base::Status status = create_unfinished(file_system, unfinished, bytes);
    if (status.ok())
        status = file_system.rename(unfinished, final_path);
    if (!status.ok()) {
        // The first failure is the one to report; if the removal fails too, the next attempt
        // repeats it.
        static_cast<void>(file_system.remove(unfinished));
        return status;
    }
    status = file_system.sync_directory(geometry.directory);
    if (!status.ok())
        static_cast<void>(file_system.remove(final_path));
    return status;
}

base::Status extend_segment(base::File &file, std::uint64_t from, std::uint64_t bytes) {
    auto size = file.size();
    DVEC_TRY(size);
    if (size.value() < from)
        return {base::Code::corrupt,
                "log segment \"" + file.path() + "\" is shorter than it was made"};
    base::Status status = write_zeros(file, from, bytes);
    // Report the failed write, whether or not this succeeds.
    if (!status.ok())
        static_cast<void>(file.truncate(from));
    return status;
}

base::Status write_zeros(base::File &file, std::uint64_t begin, std::uint64_t end) {
    if (begin >= end)
        return {};
    const std::size_t piece_bytes = std::min<std::uint64_t>(end - begin, fill_piece_bytes);
    const auto zeros = std::make_unique<std::byte[]>(piece_bytes);
    for (std::uint64_t offset = begin; offset < end; offset += piece_bytes)
        DVEC_TRY(
            file.write(offset, zeros.get(), std::min<std::uint64_t>(piece_bytes, end - offset)));
    return {};
}

base::Status remove_segment(base::FileSystem &file_system, const Geometry &geometry,
                            std::uint64_t segment) {
    const std::string path = geometry.segment_path(segment);
    // An idle process may keep the segment mapped for days; the file's space should not wait for
    // it.
    auto file = file_system.open(path, base::OpenMode::read_write);
    if (file.ok())
        static_cast<void>(file.value()->truncate(0));
    return remove_if_present(file_system, path);
}

base::Status remove_unfinished_segment(base::FileSystem &file_system, const Geometry &geometry) {
    return remove_if_present(file_system, unfinished_path(geometry));
}

std::uint32_t record_crc(std::uint32_t payload_crc, const RecordHeader &header, Position position,
                         std::uint64_t identity) noexcept {
    const RecordSeal seal{.length = header.length,
                          .segment = header.segment,
                          .type = header.type,
                          .reserved = header.reserved,
                          .node = header.node,
                          .lsn = header.lsn,
                          .position = position,
                          .identity = identity};
    return base::checksum(payload_crc, &seal, sizeof(seal));
}

}  // namespace dvec::log
