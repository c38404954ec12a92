#include "engine/store/recall_file.hpp"

#include <cmath>
#include <cstddef>
#include <string>
#include <type_traits>

#include "engine/base/checksum.hpp"

namespace dvec::store {

using base::Code;
using base::Result;
using base::Status;

namespace {

constexpr std::uint32_t magic = 0x52435644;  // "DVCR"
constexpr std::uint32_t version = 1;

// As it stands in the file, little-endian.
struct Record {
    std::uint32_t magic;
    std::uint32_t version;
    std::uint32_t bytes;
    std::uint32_t checksum;  // CRC-32C of the record with 0 in this place
    std::uint64_t identity;
    graph::RecallCurve curve;
};
static_assert(std::is_trivially_copyable_v<Record> && sizeof(Record) == 552,
              "no padding is written, and the points are part of the format");

std::string path_of(const Description &description) {
    return description.directory + "/" + std::string(recall_file_name);
}

std::uint32_t checksum_of(Record record) {
    record.checksum = 0;
    return base::checksum(0, &record, sizeof record);
}

bool is_share(float number) { return number >= 0 && number <= 1; }

// What a checksum cannot tell: whoever wrote the file may have been wrong.
bool is_possible(const graph::RecallCurve &curve) {
    if (curve.rows == 0)
        return false;
    for (const auto &points : curve.points)
        for (const graph::RecallCurve::Point point : points)
            if (!is_share(point.recall) || !is_share(point.error))
                return false;
    return true;
}

}  // namespace

Result<graph::RecallCurve> read_recall(base::FileSystem &file_system,
                                       const Description &description) {
    return base::guarded([&]() -> Result<graph::RecallCurve> {
        auto file = file_system.open(path_of(description), base::OpenMode::read_only);
        DVEC_TRY(file);
        Record record;
        DVEC_TRY(file.value()->read(0, &record, sizeof record));
        if (record.magic != magic || record.version != version || record.bytes != sizeof record ||
            record.identity != description.owner.identity ||
            record.checksum != checksum_of(record) || !is_possible(record.curve))
            return Status(Code::not_found, "the file has no recall curve of this index");
        return record.curve;
    });
}

// Under another name first, so that nobody reads a part of it.
Status write_recall(base::FileSystem &file_system, const Description &description,
                    const graph::RecallCurve &curve) {
    return base::guarded([&]() -> Status {
        Record record{magic, version, sizeof(Record), 0, description.owner.identity, curve};
        record.checksum = checksum_of(record);
        const std::string path = path_of(description);
        const std::string unfinished = path + ".new";
        if (Status removed = file_system.remove(unfinished); removed.code() != Code::not_found)
            DVEC_TRY(std::move(removed));
        auto file = file_system.open(unfinished, base::OpenMode::create);
        DVEC_TRY(file);
        DVEC_TRY(file.value()->allocate(sizeof record));
        DVEC_TRY(file.value()->write(0, &record, sizeof record));
        return file_system.rename(unfinished, path);
    });
}

}  // namespace dvec::store
