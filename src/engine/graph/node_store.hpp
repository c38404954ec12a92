// The mapped graph files of one index, as seen by one party: a backend, the linking worker, a
// builder. Each party has its own NodeStore and so its own mapping, even inside one process; the
// parties share the bytes and a SharedState. Nothing here links or searches: this is storage.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>

#include "engine/base/checksum.hpp"
#include "engine/base/file.hpp"
#include "engine/graph/columns.hpp"
#include "engine/graph/format.hpp"
#include "engine/graph/link_changes.hpp"
#include "engine/graph/record_file.hpp"
#include "engine/graph/row.hpp"
#include "engine/graph/shared_state.hpp"

namespace dvec::graph {

// What is written of a row, as far as it depends neither on the row's id nor on its TID
// (NodeStore::draft). It is made outside of locks, so that under the append lock bytes are only
// copied. The row must stay where it is until the draft is written.
class PayloadDraft {
  public:
    // Of the vector alone, for whoever writes it somewhere else as well.
    std::uint32_t vector_checksum() const noexcept { return vector_checksum_; }

  private:
    friend class NodeStore;
    explicit PayloadDraft(const Row &row) noexcept : row_(row) {}

    Row row_;
    std::unique_ptr<std::byte[]> code_;  // where the layout has codes
    float inverse_length_ = 0;           // where it has lengths
    std::uint32_t vector_checksum_ = 0;
    std::uint32_t checksum_ = 0;  // of code, vector and length
};

class NodeStore {
  public:
    struct Params {
        std::string directory;
        std::uint64_t identity = 0;
        Layout layout;
        // Which files: the files of an index are replaced as a whole now and then.
        std::uint64_t generation = 1;
    };

    // Creates the files, empty and with their header pages, in an existing folder.
    static base::Status create_files(base::FileSystem &file_system, const Params &params);
    // Removes the graph files of one generation, or of every other one, from a folder; it is no
    // failure when there are none. A process that still maps them keeps its mapping.
    static base::Status remove_files(base::FileSystem &file_system, const Params &params);
    static base::Status remove_other_files(base::FileSystem &file_system,
                                           const std::string &directory, std::uint64_t generation);

    // Opens and maps the files, and closes them: from then on only their mappings stay. Growing,
    // syncing and looking at a file opens it for that moment; this fails with Code::not_found when
    // the file is gone by then, and with Code::corrupt when another file has its name. The headers
    // must match `params`: Code::mismatch when the identity or shape differs, Code::corrupt when a
    // header is damaged, Code::unsupported for another version. `state` is shared with the other
    // parties and must outlive the store. It is not changed: who opens files late may find that the
    // state is another index's by now.
    static base::Result<std::unique_ptr<NodeStore>> open(base::FileSystem &file_system,
                                                         const Params &params, SharedState &state);
    // The same for the first party, while nobody else can open the files: sets the capacities of
    // `state` to what the files' sizes allow. Later a file may be longer than its capacity for a
    // moment, when it is being extended and the extension then fails and is taken back.
    static base::Result<std::unique_ptr<NodeStore>> open_first(base::FileSystem &file_system,
                                                               const Params &params,
                                                               SharedState &state);

    // Makes disk space for `extra` more slots beyond `allocated`, with their keys (or blocks beyond
    // `upper_allocated`), growing in steps of about a sixteenth of the file (RecordFile::grow). Not
    // to be run by two parties at once: the caller has to see to that (slots and blocks are
    // independent of each other). No slot is allocated, no mapping changes: refresh() before the
    // new slots are used. Code::no_space changes no capacity; Code::limit_exceeded beyond
    // max_nodes.
    base::Status reserve_slots(std::uint32_t extra);
    base::Status reserve_upper_blocks(std::uint32_t extra);

    // Makes this party's mapping cover the current capacity. When the mapping has to move, pointers
    // obtained before the call are invalid after it; when the capacity has not changed, nothing is
    // written and nothing moves. Must be called before ids are used that were allocated since the
    // last call. Code::corrupt when a file is shorter than the shared capacity says.
    base::Status refresh();

    // For the parties of a build whose files were written elsewhere, under the same names and with
    // the same bytes: maps the files that have the names now. Pointers obtained before are invalid
    // afterwards. After a failure the store may only be destroyed.
    base::Status remap();

    // Brings slots that are to be written soon into memory. Otherwise the process that writes the
    // first slot of a page that nobody has touched has to wait until the system has made and
    // cleared the page. Ids beyond mapped_slots() are left out.
    void warm(NodeId first, NodeId end) const noexcept;

    // Reads the files into memory, as far as this store's mappings cover them. It uses mappings of
    // its own, so that the advice it gives to the system does not stay with this store's mappings.
    // Returns how many bytes that are; the system may drop them again at any time when the memory
    // is needed more elsewhere. `interrupted` is polled now and then; Code::interrupted when it
    // returns true. Errors of opening as above.
    base::Result<std::uint64_t> bring_in(bool (*interrupted)()) const;

    // Says how this process will read slots that are not in memory from now on. A walk reads here
    // and there: where the file does not fit into memory, the system would read a hundred times
    // what the walk needs, and drop what other processes need. Costs nothing when the same was said
    // before.
    void expect(base::Reading reading) const noexcept;

    // Whether the slot's vector, or its beginning, can be read without waiting for the disk. A
    // system call, which brings in nothing.
    bool in_memory(NodeId id) const noexcept;

    // Writes the payload of a new node: vector, keys and checksum, empty links, TID. The slot is
    // then complete except for the ready flag, which publish() sets (release). When it is written
    // over a node from before a crash, the reference to upper blocks stays; the linker reuses those
    // blocks when they are really this node's.
    void write_payload(NodeId id, Tid tid, const Row &row) noexcept;
    void publish(NodeId id) noexcept;
    // The same from a draft: less to do while others wait. It needs memory, and an aligned vector;
    // where nobody waits, a row goes into the slot directly, from wherever it is.
    PayloadDraft draft(const Row &row) const;
    void write_payload(NodeId id, Tid tid, const PayloadDraft &draft) noexcept;
    // The checksum of some bytes and the draft's vector behind them, from that of the bytes.
    std::uint32_t checksum_with_vector(std::uint32_t bytes,
                                       const PayloadDraft &draft) const noexcept {
        return vector_join_.whole(bytes, draft.vector_checksum_);
    }
    // Does both for a node that may be there already; such a node keeps its links. A mark that its
    // row is gone is taken away.
    void restore_payload(NodeId id, Tid tid, const Row &row) noexcept;

    // Notes in the file how far linking has come, from the shared state. To be called by the party
    // that has changed `linked`, the entry point or `upper_allocated` there, and by nobody else at
    // the same time.
    void note_progress() noexcept;
    // What was noted last; nothing when its checksum does not fit.
    std::optional<LinkingProgress> noted_progress() const noexcept;

    // Marks an id that has no payload (lost in a crash), or a node whose row is gone. Idempotent;
    // returns whether this call made the change. A node counts only once in SharedState::deleted,
    // whichever of the two marks it gets first.
    bool mark_hole(NodeId id) noexcept;
    bool mark_deleted(NodeId id) noexcept;

    // The slot's state word, acquire: when it says ready, the payload may be read.
    std::uint64_t state(NodeId id) const noexcept {
        return slot(id)->state.load(std::memory_order_acquire);
    }
    const std::byte *vector(NodeId id) const noexcept {
        return slot_bytes(id) + layout_.vector_offset;
    }
    // A hash that is the same for equal vectors, taken from the slot's first line alone. Only for a
    // ready node; the hash of a node whose payload is damaged is wrong.
    std::uint32_t vector_hash(NodeId id) const noexcept;
    // The vector's code; only where the layout has codes.
    const std::byte *code(NodeId id) const noexcept { return slot_bytes(id) + layout_.code_offset; }
    // 1 / the vector's length; only where the layout has lengths.
    float inverse_length(NodeId id) const noexcept {
        float length;
        std::memcpy(&length, vector(id) + layout_.length_behind(), sizeof(length));
        return length;
    }

    // Where the layout has columns; of an id below `allocated`, or whose slot is ready.
    std::uint64_t key(NodeId id, std::uint32_t column) const noexcept {
        return columns_.key(id, column);
    }
    // The keys of the ids from chunk * column_chunk_ids on. Only the keys of ids as described above
    // may be read.
    const std::uint64_t *keys(std::uint32_t chunk, std::uint32_t column) const noexcept {
        return columns_.keys(chunk, column);
    }
    // Whether the id has the keys of a row.
    bool same_keys(NodeId id, const std::uint64_t *keys) const noexcept;
    // Whether the node has the row's vector and keys, byte by byte.
    bool has_row(NodeId id, const Row &row) const noexcept {
        return std::memcmp(vector(id), row.vector, layout_.vector_bytes) == 0 &&
               same_keys(id, row.keys);
    }
    // The hints of columns.hpp; of any mapped id. Where there are no columns, nothing is noted.
    std::uint64_t gone_word(NodeId first_of_64) const noexcept {
        return columns_.gone(first_of_64).load(std::memory_order_acquire);
    }
    bool is_gone(NodeId id) const noexcept { return Columns::test(columns_.gone(id), id); }
    bool is_shared(NodeId id) const noexcept { return Columns::test(columns_.shared(id), id); }
    // Called by the party that links, before the id's first twin can be found in its chain.
    void note_shared(NodeId id) noexcept;
    // Sets the hints of the ids below `end` to what their slots say, exactly. For a party that has
    // the index to itself.
    void restore_hints(NodeId end) noexcept;
    // May be called while others use the index. Corrects each hint of the id that would make a
    // search miss a row; returns whether there was such a hint.
    bool mend_hints(NodeId id) noexcept;

    // Whether the stored checksum fits id, TID, keys and vector.
    bool payload_intact(NodeId id) const noexcept;
    // Whether an id below `allocated` is what it must be: a hole, or a node, deleted or not, with a
    // sound payload.
    bool slot_intact(NodeId id) const noexcept;

    SlotHeader *slot(NodeId id) const noexcept {
        return reinterpret_cast<SlotHeader *>(slot_bytes(id));
    }
    // Level 0: 2M ids after link_count.
    std::atomic<NodeId> *links(NodeId id) const noexcept {
        return reinterpret_cast<std::atomic<NodeId> *>(slot_bytes(id) + sizeof(SlotHeader));
    }
    // To be called after a change of the node's level-0 links, by whoever changed them.
    void note_links_changed(NodeId id) const noexcept { link_changes_.note(id); }
    // Where that is noted from now on.
    void note_link_changes_in(const LinkChanges &changes) noexcept { link_changes_ = changes; }
    // A block of `upper`: the count word, M ids, the owner word (1 + node id).
    std::atomic<std::uint32_t> *upper_block(std::uint32_t index) const noexcept {
        return reinterpret_cast<std::atomic<std::uint32_t> *>(
            blocks_ + std::size_t{index} * layout_.upper_block_bytes);
    }
    // The first of a node's blocks, if all blocks of its level lie below `limit` and name the node
    // as their owner; nothing otherwise.
    std::optional<std::uint32_t> owned_upper_blocks(NodeId id, std::uint32_t limit) const noexcept;

    // How many slots and blocks this mapping covers. Ids and block numbers read from disk are
    // checked against these before use.
    std::uint32_t mapped_slots() const noexcept { return mapped_slots_; }
    std::uint32_t mapped_upper_blocks() const noexcept { return mapped_blocks_; }

    // Flushes the files.
    base::Status sync();

    const Layout &layout() const noexcept { return layout_; }
    SharedState &shared() const noexcept { return state_; }
    // The identity and the change time of the `nodes` file.
    const base::FileIdentity &file_identity() const noexcept { return nodes_file_.identity(); }
    base::Result<std::uint64_t> file_change_time();
    const std::string &nodes_path() const noexcept { return nodes_file_.path(); }
    // Where a slot begins in `nodes`, to report damage.
    std::uint64_t file_offset(NodeId id) const noexcept { return nodes_file_.offset(id); }
    // Where the chunk of its keys begins in `columns`; only where the layout has columns.
    const std::string &columns_path() const noexcept { return columns_file_.path(); }
    std::uint64_t chunk_offset(NodeId id) const noexcept {
        return columns_file_.offset(id / column_chunk_ids);
    }

  private:
    NodeStore(base::FileSystem &file_system, const Params &params, SharedState &state)
        : file_system_(file_system),
          layout_(params.layout),
          identity_(params.identity),
          state_(state),
          vector_join_(params.layout.vector_bytes),
          head_join_(params.layout.derived_bytes() + params.layout.vector_bytes) {}

    // Those that the layout has.
    template <class Do>
    base::Status each_file(const Do &apply) const;
    void map_records() noexcept;

    std::byte *slot_bytes(NodeId id) const noexcept {
        return slots_ + std::size_t{id} * layout_.stride;
    }
    std::uint32_t payload_checksum(NodeId id, Tid tid) const noexcept;
    std::uint32_t head_checksum(NodeId id, Tid tid) const noexcept;
    float length_of(const std::byte *vector) const noexcept;
    void begin_payload(NodeId id, Tid tid, const Row &row) noexcept;
    void write_length(NodeId id, float length) noexcept;
    void note_gone(NodeId id) noexcept;
    void restore_hint(NodeId id) noexcept;
    std::uint32_t progress_checksum(const LinkingProgress &progress) const noexcept;

    base::FileSystem &file_system_;
    const Layout layout_;
    const std::uint64_t identity_;
    SharedState &state_;
    // The checksum of a payload is that of a head, which depends on the id, TID and keys, then of
    // code, vector and length.
    const base::ChecksumJoin vector_join_;
    const base::ChecksumJoin head_join_;
    RecordFile nodes_file_;
    RecordFile upper_file_;
    RecordFile columns_file_;
    std::byte *slots_ = nullptr;   // slot 0, inside the mapping of `nodes`
    std::byte *blocks_ = nullptr;  // block 0, inside that of `upper`
    Columns columns_;
    LinkChanges link_changes_;
    std::uint32_t mapped_slots_ = 0;
    std::uint32_t mapped_blocks_ = 0;
    // What expect() was told last, if anything. When threads disagree, only the system's read-ahead
    // is misled.
    static constexpr std::uint8_t nothing_expected = 0xFF;
    mutable std::atomic<std::uint8_t> expected_{nothing_expected};
};

// Says that all slots are read one after the other for as long as the object lives.
class ReadingInOrder {
  public:
    explicit ReadingInOrder(const NodeStore &nodes) noexcept : nodes_(nodes) {
        nodes_.expect(base::Reading::in_order);
    }
    ~ReadingInOrder() { nodes_.expect(base::Reading::scattered); }
    ReadingInOrder(const ReadingInOrder &) = delete;
    ReadingInOrder &operator=(const ReadingInOrder &) = delete;

  private:
    const NodeStore &nodes_;
};

}  // namespace dvec::graph
