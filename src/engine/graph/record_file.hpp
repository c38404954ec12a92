// A file of the graph: a header page, then records of one size. It is mapped but not kept open: a
// process may use more indexes than it may have open files, so growing, syncing and looking at a
// file opens it for that moment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "engine/base/file.hpp"
#include "engine/graph/format.hpp"

namespace dvec::graph {

class RecordFile {
  public:
    RecordFile() noexcept = default;

    // Creates the file, empty and with its header page.
    static base::Status create(base::FileSystem &file_system, const std::string &path,
                               const FileHeader &header);

    // Opens, maps and closes it. Code::mismatch when it has another header, Code::corrupt when that
    // is damaged, Code::unsupported for another version.
    static base::Result<RecordFile> open(base::FileSystem &file_system, const std::string &path,
                                         const FileHeader &header);

    // Opens the very file that is mapped: growing or syncing another file that has got its name
    // since would not change the mapped one. Code::not_found when the file is gone, Code::corrupt
    // when another file has its name.
    base::Result<std::unique_ptr<base::File>> reopen(base::FileSystem &file_system) const;

    // Makes disk space for `needed` records, in steps of a sixteenth of the file, but of 8 kB at
    // least and 256 MB at most, and brings it into memory where it gets large pages; returns for
    // how many records there is space, `limit` at most. The mapping stays as it is. Code::no_space
    // changes nothing; Code::limit_exceeded beyond `limit`.
    base::Result<std::uint64_t> grow(base::FileSystem &file_system, std::uint64_t needed,
                                     std::uint64_t limit) const;

    // Makes the mapping cover so many records; it may move. Code::corrupt when the file is shorter.
    base::Status follow(base::FileSystem &file_system, std::uint64_t records);

    // Maps the file that has the name now, in the place of the one that was mapped: it must hold
    // the same bytes. The mapping may move. A failure changes nothing.
    base::Status remap(base::FileSystem &file_system);

    // Reads what the mapping covers into memory, through a separate mapping (NodeStore::bring_in).
    base::Status bring_in(base::FileSystem &file_system, bool (*interrupted)()) const;

    // How many records the file had when it was last looked at.
    std::uint64_t records(std::uint64_t limit) const noexcept;
    // Where a record begins in the file.
    std::uint64_t offset(std::uint64_t record) const noexcept {
        return file_header_bytes + record * record_bytes_;
    }
    // Record 0, inside the mapping.
    std::byte *first() const noexcept { return map_.data() + file_header_bytes; }

    const std::string &path() const noexcept { return path_; }
    const base::FileIdentity &identity() const noexcept { return identity_; }
    const base::Mapping &map() const noexcept { return map_; }
    std::uint64_t bytes() const noexcept { return bytes_; }

  private:
    std::string path_;
    base::FileIdentity identity_;
    base::Mapping map_;
    std::uint64_t bytes_ = 0;  // of the file that are known to be there
    std::uint32_t record_bytes_ = 0;
};

}  // namespace dvec::graph
