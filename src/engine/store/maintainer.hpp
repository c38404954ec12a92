// The one party per index that works in the background: links the tail, syncs the log, takes
// checkpoints and cuts the log, and verifies what an unclean start left. In the server this is the
// background worker.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/file.hpp"
#include "engine/graph/link_codes.hpp"
#include "engine/graph/linker.hpp"
#include "engine/graph/node_store.hpp"
#include "engine/graph/recall_measure.hpp"
#include "engine/log/writer.hpp"
#include "engine/store/checkpointer.hpp"
#include "engine/store/description.hpp"
#include "engine/store/shared_state.hpp"

namespace dvec::store {

class Maintainer {
  public:
    // Opens the files of an index whose shared state is set up. All references must outlive it.
    static base::Result<std::unique_ptr<Maintainer>> open(base::FileSystem &file_system,
                                                          const Description &description,
                                                          SharedState &state, Locks locks,
                                                          unsigned threads);
    ~Maintainer();

    // Links at most `limit` nodes of the tail. Code::interrupted when `stop` became true.
    base::Status link(std::uint32_t limit, const std::atomic<bool> &stop);
    bool has_tail() const noexcept;
    std::uint64_t tail_bytes() const noexcept;  // of vectors

    // Makes disk space for rows to come and brings their slots into memory, so that no session has
    // to do that when it adds a row. Does nothing while there is enough space. It is no failure
    // when the disk is full: a session that needs the space will report it.
    base::Status preallocate();

    // Makes links sound where they may hold anything (SharedState::links_unsound); otherwise does
    // nothing. link() calls this first. A graph that loses too many links by this is linked anew.
    // Code::interrupted when `stop` became true.
    base::Status sanitize_links(const std::atomic<bool> &stop);

    // Whether so many nodes were linked since connect() that some may have been cut off by that: an
    // eighth of the graph while there is a tail, a small part of it when there is none, and any
    // node when there has been no tail for long (Rest::lasting) or nodes were not connected since a
    // crash.
    enum class Rest : std::uint8_t { brief, lasting };
    bool has_to_connect(Rest rest) const noexcept;
    // Makes sure that links lead to every node (graph/reachability.hpp). Takes some hundred
    // nanoseconds per node. Code::interrupted when `stop` became true.
    base::Status connect(const std::atomic<bool> &stop);

    // Whether links are to be coded (graph/link_codes.hpp): searches want that, and there are many
    // links that are not coded as they are now, or any when there has been no tail for long.
    bool has_to_code_links(Rest rest) const noexcept;
    // Codes the links of at most so many nodes, or removes the codes that nobody wants any more. It
    // is no failure when the disk is full. After that, and after a failure, there are no codes, and
    // searches go by links alone.
    base::Status code_links(std::uint32_t limit);

    // Whether so many rows were removed since tidy() that chains of twins (graph/twins.hpp) may
    // have become long to go through, and there are twins.
    bool has_to_tidy() const noexcept;
    // Takes twins whose rows are gone out of their chains. Reads every slot's first line.
    // Code::interrupted when `stop` became true.
    base::Status tidy(const std::atomic<bool> &stop);

    // Whether what the shared state says of the graph is possible. If not, somebody else has
    // written into the shared state, and nothing in it can be believed.
    bool has_possible_marks() const noexcept;

    // Verifies at most `limit` of the nodes that are to be scrubbed. Returns the damaged ones.
    struct Damaged {
        std::uint32_t node;
        std::string file;
        std::uint64_t offset;
    };
    base::Result<std::vector<Damaged>> scrub(std::uint32_t limit);
    bool has_to_scrub() const noexcept;

    // Whether searches ask for a recall curve (graph/recall_measure.hpp) and there is none, or one
    // of files that a compaction has replaced, or of a number of rows that has changed by a quarter
    // since. An index of so few rows that most searches measure all of them needs none.
    bool has_to_measure_recall() const noexcept;
    // Goes on measuring for about so long; the end of it puts the curve into the shared state and
    // into its file. Code::interrupted when `stop` became true.
    base::Status measure_recall(std::chrono::microseconds most, const std::atomic<bool> &stop);

    base::Status sync_log();
    std::uint64_t unsynced_log_bytes() const noexcept;
    // Log bytes a crash would have to replay.
    std::uint64_t replay_bytes() const noexcept;
    // Nodes linked since the last checkpoint: a crash would have them linked again.
    std::uint32_t relink_nodes() const noexcept;

    // Whether the log's files are large for the index, so that a checkpoint would make them
    // smaller.
    bool has_large_log() const noexcept;

    // Takes a checkpoint and removes the log before it.
    base::Status checkpoint(WalFlusher &wal, CheckpointKind kind);

    // Frees the linker's memory (Linker::create says how much); the next link() builds it again.
    void relax() noexcept { linker_.reset(); }

    const Description &description() const noexcept { return description_; }
    SharedState &state() const noexcept { return state_; }

  private:
    Maintainer(base::FileSystem &file_system, const Description &description, SharedState &state,
               Locks locks, unsigned threads)
        : file_system_(file_system),
          description_(description),
          state_(state),
          locks_(locks),
          threads_(threads) {}

    base::Status need_linker(const std::atomic<bool> &stop);
    base::Status need_link_codes();
    base::Status code_some_links(std::uint32_t limit);
    base::Status remove_link_codes();
    void drop_link_codes() noexcept;
    base::Status allocate_ahead(std::uint32_t slots, std::uint64_t log_bytes);
    base::Status leave_large_log();
    base::Status go_on_measuring(std::chrono::microseconds most, const std::atomic<bool> &stop);

    base::FileSystem &file_system_;
    Description description_;
    SharedState &state_;
    Locks locks_;
    unsigned threads_;
    distance::Kernel kernel_{};
    std::unique_ptr<graph::NodeStore> nodes_;
    std::unique_ptr<log::Writer> log_;
    std::unique_ptr<graph::Linker> linker_;
    std::unique_ptr<graph::RecallMeasure> recall_;  // while it is under way
    std::unique_ptr<graph::LinkCodes> link_codes_;
    graph::NodeId next_coded_ = 0;       // of a pass over all nodes that is under way
    graph::NodeId coded_linked_ = 0;     // so many nodes were linked when the last pass ended
    bool no_codes_ = false;              // making them has failed
    std::uint32_t tidied_deleted_ = 0;   // rows removed when tidy() was last done
    graph::NodeId twinless_linked_ = 0;  // so many nodes were linked then, if none was a twin
    graph::NodeId warm_end_ = 0;         // slots below are in memory, or were
};

}  // namespace dvec::store
