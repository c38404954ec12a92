// Keeps an index in agreement with a table that goes on changing, block by block. A Reconciler goes
// over the whole table once; a BlockReconciler lives as long as a standby follows the index. The
// caller reads a block of the table whenever it has changed, and says which rows are there; here
// entries are added and removed until the index has the same rows. Searches go on meanwhile: the
// caller has them leave out the entries of blocks that are not up to date.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/store/index.hpp"
#include "engine/store/repair.hpp"

namespace dvec::store {

class BlockReconciler {
  public:
    struct Report {
        std::uint64_t kept = 0;
        std::uint64_t added = 0;
        std::uint64_t removed = 0;
        std::uint64_t damaged = 0;  // nodes whose payload was not sound
    };

    // Walks all nodes. With Repair::none the files are sound and may be searched. With
    // Repair::every_page each payload is verified, and a damaged one becomes a hole. From then on
    // only this party may add and remove entries; others may link and search. `index` must outlive
    // the reconciler. `interrupted` is polled; Code::interrupted then. Memory: some 100 bytes per
    // block that has entries, and 4 per entry.
    static base::Result<std::unique_ptr<BlockReconciler>> begin(Index &index, Repair repair,
                                                                bool (*interrupted)());

    // Blocks are read in batches, each block once. Entries to be removed go at the end of a batch,
    // all together; when a batch is given up, the next begin_batch() forgets what it has found.
    void begin_batch() noexcept { gone_.clear(); }
    // To be called for a block that was read anew, from an offset on: begin_block(), then row() for
    // its rows there in any order, then finish_block(). A row whose entry is there is left alone. A
    // TID may be given more than once, by versions of one row that share it: they also share all
    // that is indexed. `row` is as for Index::insert; what was read of the table may tell of WAL up
    // to `lsn`. Code::stale when the files were replaced: then the caller must make a new index and
    // a new reconciler.
    void begin_block(std::uint32_t block, std::uint16_t from = 0);
    base::Status row(graph::Tid tid, std::uint64_t lsn, const graph::Row &row);
    // In place of row() for each: leaves the entry at this offset alone, whatever row it has.
    void keep(std::uint16_t offset) noexcept;
    // Entries from that offset on whose row was not given are gone.
    base::Status finish_block();
    bool any_gone() const noexcept { return !gone_.empty(); }
    // Removes them, once and for all: before, the caller makes sure that no restart brings the
    // table back to a moment when their rows were there.
    base::Status remove_gone();

    // The blocks from `first` on that have entries.
    std::vector<std::uint32_t> blocks_from(std::uint32_t first) const;

    const Report &report() const noexcept { return report_; }

  private:
    struct Claim {
        graph::NodeId node;
        std::uint16_t offset;
        bool claimed;
    };

    struct Gone {
        std::uint32_t block;
        graph::NodeId node;
    };

    explicit BlockReconciler(Index &index) : index_(index) {}

    base::Status fill(std::uint32_t end, bool (*interrupted)());
    base::Status remove(const Gone &gone);

    Index &index_;
    std::unordered_map<std::uint32_t, std::vector<graph::NodeId>> entries_;  // live, by block
    std::uint32_t block_ = 0;
    std::vector<Claim> claims_;  // of the part of the block that is being read
    std::vector<Gone> gone_;     // of the batch
    Report report_;
};

}  // namespace dvec::store
