// One open index as a party that uses it sees it: a backend that inserts, deletes and searches.
// Joins the graph's storage and the log, which do not know each other. Each process (and in a unit
// test each thread) has its own Index; what they share is the files and a SharedState.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "engine/base/file.hpp"
#include "engine/graph/link_codes.hpp"
#include "engine/graph/linker.hpp"
#include "engine/graph/node_store.hpp"
#include "engine/graph/reachability.hpp"
#include "engine/graph/search.hpp"
#include "engine/graph/filter_memory.hpp"
#include "engine/log/writer.hpp"
#include "engine/store/description.hpp"
#include "engine/store/shared_state.hpp"

namespace dvec::store {

// One thread at a time per object. The files of an index are replaced as a whole now and then; an
// object that was opened before that answers every call with Code::stale from then on and does
// nothing. A search under way is not disturbed: it goes on in the files in which it began, which
// this object keeps mapped.
class Index {
  public:
    // Opens the files of an index whose shared state is set up (by recover(), or by Builder). All
    // references must outlive the index. `locks` may be taken by any call that writes.
    static base::Result<std::unique_ptr<Index>> open(base::FileSystem &file_system,
                                                     const Description &description,
                                                     SharedState &state, Locks locks);

    // Adds a row: from the moment this returns every search that starts finds it. Its vector has
    // vector_bytes() bytes, encoded as the kernel wants it and aligned for its elements; `lsn` is
    // the end of the row's heap insert in PostgreSQL's WAL, or 0 when it has none. All or nothing:
    // on error no id was used.
    base::Result<graph::NodeId> insert(graph::Tid tid, std::uint64_t lsn, const graph::Row &row);

    // Marks a node deleted and logs it. `lsn`: the caller's WAL must be flushed up to it before.
    // Deleting a deleted node is a no-op. Durable only after sync_log(), and, where the log found
    // no space (SharedState::unlogged_removals), after a checkpoint. Code::invalid_argument for an
    // id that is not in use.
    base::Status remove(graph::NodeId id, std::uint64_t lsn);

    // Makes everything logged so far durable.
    base::Status sync_log();

    // To be called before anything is written to the files other than by insert and remove. Makes
    // sure that the next start knows that the files were in use.
    base::Status ready_to_write();

    // Begins `search` over the rows that are present now. `query` is encoded as a vector for
    // insert() is.
    struct SearchParams {
        std::uint32_t ef = 40;
        std::uint64_t exact_after = 20000;
        graph::Search::Params::Rest rest = graph::Search::Params::Rest::exact;
        double count_within = std::numeric_limits<double>::quiet_NaN();
        std::uint64_t wanted_within = 0;
        double farthest_wanted = std::numeric_limits<double>::quiet_NaN();
        const graph::RowFilter *filter = nullptr;
        // Link codes (graph/link_codes.hpp): whether the index is to have them, which searches tell
        // the worker, and whether this search goes by those that are there.
        enum class LinkCodes : std::uint8_t { none, kept, used } link_codes = LinkCodes::none;
        // What the process may take to remember rows and conditions (graph/filter_memory.hpp), for
        // all indexes; 0: it remembers nothing. One thread may have such searches.
        std::size_t memory_bytes = 0;
        bool (*interrupted)() = nullptr;
    };
    base::Status search(graph::Search &search, const void *query, const SearchParams &params);

    // Returns the end of the ids in use; each id below it is ready or a hole. Makes them readable
    // through nodes().
    base::Result<std::uint32_t> refresh();
    const graph::NodeStore &nodes() const noexcept { return *nodes_; }

    // Reads the node files into memory (graph::NodeStore::bring_in); gives their bytes.
    base::Result<std::uint64_t> bring_in(bool (*interrupted)());

    // Whether the files this object has mapped are still those of the index.
    bool is_current() const noexcept {
        return state_.generation.load(std::memory_order_acquire) == generation_ &&
               state_.incarnation.load(std::memory_order_acquire) == incarnation_;
    }

    base::FileSystem &file_system() const noexcept { return file_system_; }
    const Description &description() const noexcept { return description_; }
    SharedState &state() const noexcept { return state_; }
    Locks locks() const noexcept { return locks_; }
    graph::NodeStore &writable_nodes() const noexcept { return *nodes_; }
    std::size_t vector_bytes() const noexcept { return nodes_->layout().vector_bytes; }

    // Length of the tail: rows that searches scan because they are not linked yet.
    std::uint32_t tail() const noexcept;

  private:
    Index(base::FileSystem &file_system, const Description &description, SharedState &state,
          Locks locks)
        : file_system_(file_system),
          description_(description),
          state_(state),
          locks_(locks),
          generation_(state.generation.load(std::memory_order_acquire)),
          incarnation_(state.incarnation.load(std::memory_order_acquire)) {}

    base::Status check_current() const;

    base::Result<std::optional<graph::NodeId>> try_insert(const log::Draft &record, graph::Tid tid,
                                                          const graph::PayloadDraft &payload);
    base::Result<bool> try_remove(const log::Draft &draft, graph::NodeId id);
    base::Status remove_unlogged(graph::NodeId id);
    base::Status make_room(std::size_t log_bytes);
    base::Status refresh_nodes();
    base::Status open_log();
    std::shared_ptr<const graph::LinkCodes> link_codes(graph::NodeId coded);

    base::FileSystem &file_system_;
    Description description_;
    SharedState &state_;
    Locks locks_;
    const std::uint64_t generation_;   // the generation this object has mapped
    const std::uint64_t incarnation_;  // and SharedState::incarnation at that time
    distance::Kernel kernel_{};
    std::unique_ptr<graph::NodeStore> nodes_;
    std::shared_ptr<graph::LinkCodes> link_codes_;
    std::uint32_t codes_file_ = 0;  // that was opened, or could not be
    graph::FilterMemory memory_;
    std::unique_ptr<log::Writer> log_;  // opened by the first write
};

// The graph's and the log's views of a description.
graph::NodeStore::Params node_store_params(const Description &description, const distance::Kernel &,
                                           std::uint64_t files);
graph::ReachabilityParams reachability_params(const Description &description,
                                              const distance::Kernel &);
graph::Linker::Params linker_params(const Description &description, const distance::Kernel &,
                                    unsigned threads);
log::Geometry log_geometry(const Description &description);
base::Result<distance::Kernel> known_kernel(const Description &description);

}  // namespace dvec::store
