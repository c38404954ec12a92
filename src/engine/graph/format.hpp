// The bytes of the graph files, `nodes.G`, `upper.G` and, where an index has columns behind the
// vector, `columns.G`, G being the generation of the files.
// Every process that opens an index maps them, so this is at once the disk format and the
// shared-memory layout of the graph.
//
// nodes: a header page, then one slot of fixed stride per node id, each starting on a cache line:
//
//     [SlotHeader][level-0 links: 2M ids, a word][code][padding][vector][1 / length][padding]
//     ^64-byte aligned                                          ^64-byte aligned
//
// The state word, the count and the links share the slot's first lines, because a search that
// expands a node needs all of them and nothing else; the vector starts on a line of its own for the
// kernels.
//
// upper: a header page, then blocks of fixed size, each the link list of one node on one level >=
// 1:
//     [count][M ids][owner]
// A node of level l owns l consecutive blocks, level 1 first. SlotHeader::upper says where they
// are, and the owner word in each block names the node, so that a reference that survived a crash
// can be checked.
//
// columns: a header page, then chunks, each of column_chunk_ids ids, in order of ids:
//     [a bit per id: gone][a bit per id: shared][keys of column 0][keys of column 1]...
// A key is 64 bits wide and part of its row's payload, under the checksum in the slot; columns.hpp
// says what the bits mean.
//
// Everything is little-endian. Link lists and counts are read by other processes while one process
// writes them: each 32-bit word is loaded and stored atomically. A reader may see any mixture of an
// old and a new list; it uses that as a list and checks each id against the bound it was given.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace dvec::distance {
struct Kernel;
}

namespace dvec::graph {

static_assert(std::endian::native == std::endian::little, "the file formats are little-endian");

using NodeId = std::uint32_t;
// Ids stay below 2^31: searches pack an id and a bit into one 32-bit word, and so does the word
// that leads to a row's next twin.
inline constexpr NodeId max_nodes = 0x7FFFFFF0u;

inline constexpr std::size_t cache_line = 64;
inline constexpr std::size_t file_header_bytes = 4096;
inline constexpr std::uint32_t format_version = 5;
inline constexpr std::uint32_t nodes_magic = 0x4E435644;       // "DVCN"
inline constexpr std::uint32_t upper_magic = 0x55435644;       // "DVCU"
inline constexpr std::uint32_t columns_magic = 0x4B435644;     // "DVCK"
inline constexpr std::uint32_t link_codes_magic = 0x4C435644;  // "DVCL"

inline constexpr std::uint32_t max_columns = 8;
inline constexpr std::uint32_t column_chunk_ids = 512;
// Bytes of the two arrays of bits that a chunk begins with.
inline constexpr std::uint32_t column_chunk_head_bytes = 2 * column_chunk_ids / 8;
static_assert(column_chunk_head_bytes % cache_line == 0);

// A heap TID as PostgreSQL counts: block number and line pointer (1-based; 0 in no valid TID).
struct Tid {
    std::uint32_t block = 0;
    std::uint16_t offset = 0;
    bool operator==(const Tid &) const = default;
};

// What a slot's state word says besides the TID. A slot that was never written is all zero. The
// checksum does not cover the flags, so each flag is kept twice, as the same bit in both bytes: a
// damaged byte makes the two bytes differ (flags_sound), and never turns a node that is no row into
// one.
enum SlotFlag : std::uint16_t {
    slot_ready = 0x0101,    // vector, TID and checksum are complete and will not change
    slot_deleted = 0x0202,  // the row is gone; the node still carries links through the graph
    slot_hole = 0x0404      // given out, but the payload did not survive: neither linked nor found
};
constexpr bool flags_sound(std::uint16_t flags) { return (flags & 0xFF) == flags >> 8; }

// The state word: block << 32 | offset << 16 | flags. TID and flags share one 64-bit atomic, so
// that a reader never pairs one row's TID with another row's flags.
constexpr std::uint64_t pack_state(Tid tid, std::uint16_t flags) {
    return std::uint64_t{tid.block} << 32 | std::uint64_t{tid.offset} << 16 | flags;
}
constexpr Tid state_tid(std::uint64_t state) {
    return {static_cast<std::uint32_t>(state >> 32), static_cast<std::uint16_t>(state >> 16)};
}
constexpr std::uint16_t state_flags(std::uint64_t state) {
    return static_cast<std::uint16_t>(state);
}

// Whether a state word belongs to a row that a search may return.
constexpr bool is_live(std::uint64_t state) {
    return (state & (slot_ready | slot_deleted | slot_hole)) == slot_ready;
}

struct SlotHeader {
    std::atomic<std::uint64_t> state;
    std::uint32_t checksum;            // CRC-32C of node id, TID, keys, code, vector, 1 / length
    std::atomic<std::uint32_t> upper;  // 1 + index of its first block in `upper`; 0: it has none
    std::atomic<std::uint32_t> twin;   // the next row of the same place (twins.hpp)
    // Followed at once by the level-0 ids. hnswlib expects exactly this: a count word, then the
    // ids.
    std::atomic<std::uint32_t> link_count;
};
static_assert(sizeof(SlotHeader) == 24);
static_assert(offsetof(SlotHeader, link_count) == 20);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);
static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));

// First page of each file. The rest of the page is zero, but for LinkingProgress. Later versions
// keep these 32 bytes as they are, so that damage and age can always be told apart.
struct FileHeader {
    std::uint32_t magic;
    std::uint32_t version;
    std::uint64_t identity;      // of the index this file belongs to
    std::uint32_t record_bytes;  // stride of a slot, or size of a block or chunk
    std::uint32_t m;             // links per node per level above 0
    std::uint32_t vector_bytes;
    std::uint32_t checksum;  // CRC-32C of the fields before
};
static_assert(sizeof(FileHeader) == 32);

// In the header page of `nodes`, at linking_progress_offset: how far linking has come, as the
// linker last published it. Shared memory says the same, but is lost when the server crashes; this
// outlives the processes as long as the page cache does, so nodes that were linked before the crash
// need not be linked again. It is believed only where every stored byte can be believed
// (store/survival.hpp) and the checksum fits. After a crash in the middle of writing it, what the
// checkpoint says is used.
struct LinkingProgress {
    std::uint64_t entry_point;  // EntryPoint::pack
    std::uint32_t linked;
    std::uint32_t upper_allocated;
    std::uint32_t checksum;  // CRC-32C of the file's identity and the fields before
    std::uint32_t reserved;
};
static_assert(sizeof(LinkingProgress) == 24);
inline constexpr std::size_t linking_progress_offset = 2048;

// For which vectors a slot also holds 1 / the length (distance/code.hpp), in the word behind the
// vector: those that are measured by cosine and have no code. The header of a code would hold it.
enum class Lengths : std::uint8_t { none, of_floats, of_halves };

// Where the parts of a slot and of an upper block are, for one M and vector size.
struct Layout {
    std::uint32_t m = 0;             // 2..100
    std::uint32_t vector_bytes = 0;  // of one encoded vector, without padding
    std::uint32_t code_bytes = 0;    // of a vector's code; 0: vectors have none
    std::uint32_t code_offset = 0;
    std::uint32_t vector_offset = 0;
    std::uint32_t stride = 0;
    std::uint32_t upper_block_bytes = 0;
    Lengths lengths = Lengths::none;
    std::uint32_t columns = 0;  // keys per row, 0..max_columns

    // Vectors stand at multiples of `alignment`.
    static constexpr Layout make(std::uint32_t m, std::uint32_t vector_bytes,
                                 std::uint32_t code_bytes = 0, Lengths lengths = Lengths::none,
                                 std::size_t alignment = cache_line) {
        constexpr auto round_up = [](std::size_t value, std::size_t to) {
            return static_cast<std::uint32_t>((value + to - 1) / to * to);
        };
        Layout layout;
        layout.m = m;
        layout.vector_bytes = vector_bytes;
        // One word is left after the ids of either kind of list. In an upper block it names the
        // node; in a slot it is free: hnswlib's own walks would read one id beyond a full list.
        layout.code_bytes = code_bytes;
        layout.code_offset = static_cast<std::uint32_t>(sizeof(SlotHeader) +
                                                        sizeof(NodeId) * (2 * std::size_t{m} + 1));
        layout.vector_offset = round_up(std::size_t{layout.code_offset} + code_bytes, alignment);
        layout.lengths = lengths;
        layout.stride = round_up(
            std::size_t{layout.vector_offset} +
                (lengths == Lengths::none ? vector_bytes : layout.length_behind() + sizeof(float)),
            cache_line);
        layout.upper_block_bytes = round_up(sizeof(NodeId) * (std::size_t{m} + 2), 8);
        return layout;
    }
    constexpr std::uint32_t level0_links() const { return 2 * m; }
    constexpr std::uint32_t owner_word() const { return m + 1; }  // index in an upper block
    constexpr bool coded() const { return code_bytes > 0; }
    // The part of a slot that the walk and the linker measure: the code where there is one, and the
    // vector otherwise.
    constexpr std::uint32_t measured_offset() const {
        return coded() ? code_offset : vector_offset;
    }
    constexpr std::uint32_t measured_bytes() const {
        if (lengths != Lengths::none)
            return length_behind() + static_cast<std::uint32_t>(sizeof(float));
        return coded() ? code_bytes : vector_bytes;
    }
    // Bytes that are kept beside a vector and are computed from it.
    constexpr std::size_t derived_bytes() const {
        return code_bytes + (lengths == Lengths::none ? 0 : sizeof(float));
    }
    // How far behind the beginning of the vector its inverse length stands.
    constexpr std::uint32_t length_behind() const { return (vector_bytes + 3) / 4 * 4; }
    // Bytes of a chunk of `columns`.
    constexpr std::uint32_t column_chunk_bytes() const {
        return column_chunk_head_bytes +
               columns * column_chunk_ids * static_cast<std::uint32_t>(sizeof(std::uint64_t));
    }
    // Cache lines of a slot that hold its state and its links.
    constexpr std::uint32_t link_lines() const {
        return (code_offset + static_cast<std::uint32_t>(cache_line) - 1) / cache_line;
    }
    bool operator==(const Layout &) const = default;
};

// The layout for vectors that `kernel` measures, with so many keys for each row.
Layout layout_of(const distance::Kernel &kernel, std::uint32_t dimensions, std::uint32_t m,
                 std::uint32_t columns = 0);

inline constexpr int max_level = 24;
// The level of a node, 0..max_level: a pure function of its id, so that it needs no storage and
// relinking after a crash gives the same tower. Geometric with ratio 1/M (Malkov & Yashunin 2018,
// section 4: mL = 1/ln M). Integer arithmetic only: the same on every machine.
int node_level(NodeId id, std::uint32_t m) noexcept;

}  // namespace dvec::graph
