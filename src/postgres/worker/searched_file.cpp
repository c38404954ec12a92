#include "postgres/worker/searched_file.hpp"

#include <cmath>

#include "engine/base/checksum.hpp"
#include "engine/base/file.hpp"

namespace dvec::postgres {

namespace {

constexpr const char *path = "dvec/searched";
constexpr const char *new_path = "dvec/searched.new";

constexpr uint32 searched_magic = 0x48435644;  // "DVCH"
constexpr uint32 searched_version = 1;

// At the beginning of the file; the indexes follow it.
struct Header {
    uint32 magic;
    uint32 version;
    uint32 count;
    uint32 checksum;  // CRC-32C of the header with 0 in this place, and of the indexes
};
static_assert(sizeof(Header) == 16);

uint32 checksum_of(Header header, const SearchedIndexes &indexes) {
    header.checksum = 0;
    return base::checksum(base::checksum(0, &header, sizeof header), indexes.data(),
                          indexes.size() * sizeof(SearchedIndex));
}

// What a checksum cannot tell: whoever wrote the file may have been wrong.
bool are_possible(const SearchedIndexes &indexes) {
    for (const SearchedIndex &index : indexes)
        if (!std::isfinite(index.searches) || index.searches < 0)
            return false;
    return true;
}

base::Result<SearchedIndexes> read_file(base::File &file) {
    Header header;
    auto size = file.size();
    DVEC_TRY(size);
    if (size.value() < sizeof header)
        return SearchedIndexes();
    DVEC_TRY(file.read(0, &header, sizeof header));
    if (header.magic != searched_magic || header.version != searched_version ||
        header.count > most_searched ||
        size.value() < sizeof header + header.count * sizeof(SearchedIndex))
        return SearchedIndexes();
    SearchedIndexes indexes(header.count);
    DVEC_TRY(file.read(sizeof header, indexes.data(), header.count * sizeof(SearchedIndex)));
    if (checksum_of(header, indexes) != header.checksum || !are_possible(indexes))
        return SearchedIndexes();
    return indexes;
}

}  // namespace

base::Result<SearchedIndexes> read_searched() {
    return base::guarded([]() -> base::Result<SearchedIndexes> {
        auto file = base::posix_file_system().open(path, base::OpenMode::read_only);
        if (file.status().code() == base::Code::not_found)
            return SearchedIndexes();
        DVEC_TRY(file);
        return read_file(*file.value());
    });
}

base::Status write_searched(const SearchedIndexes &indexes) {
    return base::guarded([&]() -> base::Status {
        base::FileSystem &files = base::posix_file_system();
        if (base::Status removed = files.remove(new_path); removed.code() != base::Code::not_found)
            DVEC_TRY(std::move(removed));
        Header header{searched_magic, searched_version, static_cast<uint32>(indexes.size()), 0};
        header.checksum = checksum_of(header, indexes);
        auto file = files.open(new_path, base::OpenMode::create);
        DVEC_TRY(file);
        DVEC_TRY(file.value()->write(0, &header, sizeof header));
        DVEC_TRY(file.value()->write(sizeof header, indexes.data(),
                                     indexes.size() * sizeof(SearchedIndex)));
        DVEC_TRY(file.value()->sync());
        return files.rename(new_path, path);
    });
}

}  // namespace dvec::postgres
