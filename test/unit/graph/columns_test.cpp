// The file of keys: creation, opening, growth, what the slot's checksum covers, and the two hints.
#include "engine/graph/columns.hpp"

#include <cerrno>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "test/unit/graph/graph_fixture.hpp"

namespace dvec::graph {
namespace {

using base::Code;
using test::Operation;
using test::Persistence;

class ColumnsTest : public GraphTest {
  protected:
    static constexpr std::uint32_t dimensions = 8;

    void create_with(std::uint32_t columns) {
        columns_ = columns;
        create(dimensions);
    }
    std::vector<std::uint64_t> random_keys(std::uint32_t rows) {
        std::vector<std::uint64_t> keys(std::size_t{rows} * columns_);
        for (std::uint64_t &key : keys)
            key = random_();
        return keys;
    }
    std::vector<float> vectors(std::uint32_t rows) const {
        return ClusteredData(1, {dimensions, 4, 2, 0.1f}).make(rows);
    }
    // Adds rows and returns their keys.
    std::vector<std::uint64_t> add_rows(std::uint32_t rows) {
        auto keys = random_keys(rows);
        add(vectors(rows), keys);
        return keys;
    }
    void expect_keys(const NodeStore &nodes, const std::vector<std::uint64_t> &keys) const {
        for (NodeId id = 0; id < keys.size() / columns_; ++id)
            for (std::uint32_t column = 0; column < columns_; ++column) {
                const std::uint64_t key = keys[std::size_t{id} * columns_ + column];
                ASSERT_EQ(nodes.key(id, column), key) << id << ", " << column;
                ASSERT_EQ(nodes.keys(id / column_chunk_ids, column)[id % column_chunk_ids], key);
            }
    }

    std::mt19937_64 random_{20261129};
};

TEST_F(ColumnsTest, KeepsKeysWhileFilesGrowAndAcrossReopening) {
    for (const std::uint32_t columns : {1u, 3u, max_columns}) {
        create_with(columns);
        std::vector<std::uint64_t> keys;
        for (int batch = 0; batch < 5; ++batch) {
            const auto more = add_rows(700);
            keys.insert(keys.end(), more.begin(), more.end());
            expect_keys(*nodes_, keys);
        }
        ASSERT_TRUE(nodes_->sync().ok());
        nodes_.reset();
        SharedState fresh{};
        const auto again = open_store(fresh);
        ASSERT_NE(again, nullptr);
        EXPECT_EQ(fresh.capacity.load(), state_.capacity.load());
        expect_keys(*again, keys);
        for (NodeId id = 0; id < 3500; ++id) {
            EXPECT_TRUE(again->payload_intact(id));
            EXPECT_EQ(reinterpret_cast<std::uintptr_t>(again->keys(id / column_chunk_ids, 0)) %
                          cache_line,
                      0u);
        }
        forget();
    }
}

TEST_F(ColumnsTest, OtherPartiesFollowTheGrowth) {
    create_with(2);
    auto keys = add_rows(10);
    const auto other = open_store(state_);
    const auto more = add_rows(2000);
    keys.insert(keys.end(), more.begin(), more.end());
    ASSERT_TRUE(other->refresh().ok());
    expect_keys(*other, keys);
}

TEST_F(ColumnsTest, TakesEightBytesAndAQuarterForEachRowAndColumn) {
    create_with(0);
    add(vectors(20000));
    const auto without = directory_.bytes();
    const std::uint32_t capacity = state_.capacity.load();
    forget();
    create_with(2);
    add_rows(20000);
    ASSERT_EQ(state_.capacity.load(), capacity);
    const auto taken = static_cast<double>(directory_.bytes() - without);
    EXPECT_GE(taken / 20000 / 2, 8.1);
    EXPECT_LE(taken / 20000 / 2, 9.0);
}

TEST_F(ColumnsTest, AnIndexWithoutColumnsHasNoSuchFile) {
    create_with(0);
    add(vectors(10));
    EXPECT_FALSE(files_.exists(directory_.file("columns.1")).value());
    nodes_->mark_deleted(3);
    nodes_->note_shared(4);
    nodes_->restore_hints(10);
}

TEST_F(ColumnsTest, TellsForeignDamagedAndMissingFilesApart) {
    create_with(2);
    nodes_.reset();
    const auto open_code = [&](const NodeStore::Params &params) {
        SharedState state{};
        return NodeStore::open(files_, params, state).status().code();
    };
    EXPECT_EQ(open_code(params_), Code::ok);
    auto other = params_;
    other.layout.columns = 3;
    EXPECT_EQ(open_code(other), Code::mismatch);

    const std::string path = directory_.file("columns.1");
    const auto sound = test::read_bytes(path);
    for (std::size_t at = 0; at < sizeof(FileHeader); ++at) {
        auto bytes = sound;
        bytes[at] = static_cast<char>(bytes[at] ^ 4);
        test::write_bytes(path, bytes);
        EXPECT_EQ(open_code(params_), Code::corrupt) << at;
    }
    test::write_bytes(path, {sound.begin(), sound.begin() + 100});
    EXPECT_EQ(open_code(params_), Code::corrupt);
    ASSERT_TRUE(files_.remove(path).ok());
    EXPECT_EQ(open_code(params_), Code::not_found);
}

TEST_F(ColumnsTest, AFileThatIsTooShortTakesCapacityAway) {
    create_with(2);
    add_rows(2000);
    nodes_.reset();
    auto bytes = test::read_bytes(directory_.file("columns.1"));
    bytes.resize(file_header_bytes + 2 * params_.layout.column_chunk_bytes() + 77);
    test::write_bytes(directory_.file("columns.1"), bytes);
    SharedState fresh{};
    ASSERT_NE(open_store(fresh), nullptr);
    EXPECT_EQ(fresh.capacity.load(), 2 * column_chunk_ids);
}

TEST_F(ColumnsTest, AFullDiskLeavesCapacityAndKeysAsTheyAre) {
    create_with(1);
    auto keys = add_rows(100);
    const std::uint32_t capacity = state_.capacity.load();
    // Of the slots, of the keys, and of the keys when the slots have their space already.
    for (const std::uint64_t nth : {1u, 2u, 1u}) {
        files_.plan().fail(Operation::allocate, nth, ENOSPC, Persistence::forever);
        EXPECT_EQ(nodes_->reserve_slots(5000).code(), Code::no_space);
        EXPECT_EQ(state_.capacity.load(), capacity);
        files_.plan().heal();
    }
    const auto more = add_rows(5000);
    keys.insert(keys.end(), more.begin(), more.end());
    expect_keys(*nodes_, keys);
}

TEST_F(ColumnsTest, TheChecksumCoversEveryKey) {
    create_with(3);
    add_rows(600);
    for (const NodeId id : {0u, 511u, 512u, 599u})
        for (std::uint32_t column = 0; column < columns_; ++column)
            for (const int bit : {0, 31, 63}) {
                auto *key = const_cast<std::uint64_t *>(
                    nodes_->keys(id / column_chunk_ids, column) + id % column_chunk_ids);
                *key ^= std::uint64_t{1} << bit;
                EXPECT_FALSE(nodes_->slot_intact(id)) << id << ", " << column << ", " << bit;
                *key ^= std::uint64_t{1} << bit;
                EXPECT_TRUE(nodes_->slot_intact(id));
            }
}

TEST_F(ColumnsTest, EqualVectorsAreTwinsWhateverTheirKeys) {
    create_with(2);
    const auto one = vectors(1);
    std::vector<float> rows;
    for (int i = 0; i < 20; ++i)
        rows.insert(rows.end(), one.begin(), one.end());
    add(rows, random_keys(20));
    for (NodeId id = 1; id < 20; ++id) {
        EXPECT_EQ(nodes_->vector_hash(id), nodes_->vector_hash(0));
        EXPECT_FALSE(nodes_->is_shared(id));
    }
    link_all();
    for (NodeId id = 0; id < 20; ++id) {
        EXPECT_EQ(is_twin(*nodes_, id), id != 0);
        EXPECT_EQ(nodes_->is_shared(id), id == 0);
    }
}

TEST_F(ColumnsTest, MarksWhatIsGone) {
    create_with(1);
    add_rows(1000);
    for (NodeId id = 0; id < 1000; ++id)
        EXPECT_FALSE(nodes_->is_gone(id));
    for (NodeId id = 0; id < 1000; id += 3)
        nodes_->mark_deleted(id);
    for (NodeId id = 1; id < 1000; id += 7)
        nodes_->mark_hole(id);
    for (NodeId id = 0; id < 1000; ++id)
        EXPECT_EQ(nodes_->is_gone(id), !live(id)) << id;
}

// A row in the place of one that a crash took begins without its marks.
TEST_F(ColumnsTest, ANewRowBeginsWithoutMarks) {
    create_with(1);
    add_rows(700);
    nodes_->mark_deleted(600);
    nodes_->note_shared(600);
    const std::uint64_t key = 42;
    const auto vector = vectors(1);
    nodes_->write_payload(600, tid_of(600), {vector.data(), &key});
    nodes_->publish(600);
    EXPECT_FALSE(nodes_->is_gone(600));
    EXPECT_FALSE(nodes_->is_shared(600));
    EXPECT_EQ(nodes_->key(600, 0), 42u);
}

TEST_F(ColumnsTest, RestoringARowKeepsItsLinksUnlessAKeyDiffers) {
    create_with(2);
    const auto keys = add_rows(100);
    link_all();
    const auto data = vectors(100);
    const auto before = links(50);
    ASSERT_FALSE(before.empty());
    nodes_->mark_deleted(50);
    nodes_->restore_payload(50, tid_of(50), {&data[50 * dimensions], &keys[100]});
    EXPECT_EQ(links(50), before);
    EXPECT_TRUE(live(50));
    EXPECT_FALSE(nodes_->is_gone(50));
    const std::uint64_t other[2] = {keys[100], keys[101] + 1};
    nodes_->restore_payload(50, tid_of(50), {&data[50 * dimensions], other});
    EXPECT_TRUE(links(50).empty());
    EXPECT_EQ(nodes_->key(50, 1), other[1]);
    EXPECT_TRUE(nodes_->payload_intact(50));
}

TEST_F(ColumnsTest, HintsFollowFromTheSlots) {
    create_with(1);
    auto rows = vectors(400);
    const auto copies = vectors(200);
    rows.insert(rows.end(), copies.begin(), copies.end());
    add(rows, random_keys(600));
    link_all();
    for (NodeId id = 0; id < 600; id += 5)
        nodes_->mark_deleted(id);
    std::vector<bool> gone;
    std::vector<bool> shared;
    for (NodeId id = 0; id < 600; ++id) {
        gone.push_back(nodes_->is_gone(id));
        shared.push_back(nodes_->is_shared(id));
    }
    EXPECT_GE(std::count(shared.begin(), shared.end(), true), 200);
    // As a power loss may leave them.
    auto *chunk = reinterpret_cast<std::byte *>(const_cast<std::uint64_t *>(nodes_->keys(0, 0)));
    for (const int bytes : {0x00, 0xFF, 0x5A}) {
        std::memset(chunk - column_chunk_head_bytes, bytes, column_chunk_head_bytes);
        nodes_->restore_hints(600);
        for (NodeId id = 0; id < 600; ++id) {
            EXPECT_EQ(nodes_->is_gone(id), gone[id]) << id;
            EXPECT_EQ(nodes_->is_shared(id), shared[id]) << id;
        }
    }
}

TEST_F(ColumnsTest, RemovesTheFilesOfOtherGenerations) {
    create_with(1);
    auto next = params_;
    next.generation = 12;
    ASSERT_TRUE(NodeStore::create_files(files_, next).ok());
    ASSERT_TRUE(NodeStore::remove_other_files(files_, directory_.path(), 12).ok());
    EXPECT_FALSE(files_.exists(directory_.file("columns.1")).value());
    EXPECT_TRUE(files_.exists(directory_.file("columns.12")).value());
    ASSERT_TRUE(NodeStore::remove_files(files_, next).ok());
    EXPECT_FALSE(files_.exists(directory_.file("columns.12")).value());
}

}  // namespace
}  // namespace dvec::graph
