// The two files: creation, opening, recognition of foreign and damaged ones, growth, and the life
// of a slot's payload.
#include "engine/graph/node_store.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "engine/base/checksum.hpp"
#include "engine/distance/code.hpp"
#include "test/unit/graph/graph_fixture.hpp"

namespace dvec::graph {
namespace {

using base::Code;
using test::Operation;
using test::Persistence;

class NodeStoreTest : public GraphTest {
  protected:
    Code open_code(const NodeStore::Params &params) {
        SharedState state{};
        return NodeStore::open(files_, params, state).status().code();
    }
    void flip(const char *name, std::size_t at, char bits = 1) {
        auto bytes = test::read_bytes(directory_.file(name));
        bytes[at] = static_cast<char>(bytes[at] ^ bits);
        test::write_bytes(directory_.file(name), bytes);
    }
};

TEST_F(NodeStoreTest, BeginsEmptyAndRefusesToOverwrite) {
    create(8);
    EXPECT_EQ(state_.capacity.load(), 0u);
    EXPECT_EQ(nodes_->mapped_slots(), 0u);
    EXPECT_EQ(directory_.bytes(), 2 * file_header_bytes);
    EXPECT_EQ(NodeStore::create_files(files_, params_).code(), Code::already_exists);
}

TEST_F(NodeStoreTest, KeepsPayloadsAcrossReopening) {
    create(8);
    const auto data = ClusteredData(1, {8, 4, 2, 0.1f}).make(100);
    add(data);
    nodes_->mark_deleted(17);
    ASSERT_TRUE(nodes_->sync().ok());
    nodes_.reset();

    SharedState fresh{};
    const auto again = open_store(fresh);
    ASSERT_NE(again, nullptr);
    EXPECT_EQ(fresh.capacity.load(), state_.capacity.load());
    EXPECT_EQ(fresh.allocated.load(), 0u) << "opening learns capacities and nothing else";
    for (NodeId id = 0; id < 100; ++id) {
        EXPECT_EQ(state_tid(again->state(id)), tid_of(id));
        EXPECT_EQ(state_flags(again->state(id)), id == 17 ? slot_ready | slot_deleted : slot_ready);
        EXPECT_EQ(std::memcmp(again->vector(id), &data[id * 8], 32), 0);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(again->vector(id)) % cache_line, 0u);
        EXPECT_TRUE(again->payload_intact(id));
    }
}

// Large pages are there from the beginning or not at all, so they are taken before anybody writes.
TEST_F(NodeStoreTest, BringsNewSpaceIntoMemoryWhereItGetsLargePages) {
    const std::uint64_t before = base::most_in_large_pages.exchange(std::uint64_t{1} << 30);
    constexpr std::uint32_t slots = 100'000;
    create(32);
    ASSERT_TRUE(nodes_->reserve_slots(slots).ok() && nodes_->refresh().ok());
    EXPECT_TRUE(nodes_->in_memory(slots / 2));
    EXPECT_EQ(nodes_->state(slots / 2), 0u);

    ASSERT_TRUE(nodes_->reserve_slots(4 * slots).ok() && nodes_->refresh().ok());
    ASSERT_TRUE(nodes_->reserve_slots(state_.capacity.load() + 1).ok());
    constexpr std::uintmax_t large_page = 2 << 20;
    EXPECT_EQ(std::filesystem::file_size(directory_.file("nodes.1")) % large_page, 0u);
    base::most_in_large_pages = before;
}

TEST_F(NodeStoreTest, TellsForeignDamagedAndNewerFilesApart) {
    create(8);
    nodes_.reset();
    EXPECT_EQ(open_code(params_), Code::ok);
    auto other = params_;
    other.identity ^= 1;
    EXPECT_EQ(open_code(other), Code::mismatch);
    other = params_;
    other.layout = Layout::make(17, 32);
    EXPECT_EQ(open_code(other), Code::mismatch);
    other.layout = Layout::make(16, 36);
    EXPECT_EQ(open_code(other), Code::mismatch);
    other = params_;
    other.directory += "x";
    EXPECT_EQ(open_code(other), Code::not_found);

    for (const char *name : {"nodes.1", "upper.1"}) {
        for (std::size_t at = 0; at < sizeof(FileHeader); ++at) {
            flip(name, at);
            EXPECT_EQ(open_code(params_), Code::corrupt) << name << " byte " << at;
            flip(name, at);
        }
        auto bytes = test::read_bytes(directory_.file(name));
        const auto sound = bytes;
        bytes.resize(file_header_bytes - 1);
        test::write_bytes(directory_.file(name), bytes);
        EXPECT_EQ(open_code(params_), Code::corrupt);
        bytes.clear();
        test::write_bytes(directory_.file(name), bytes);
        EXPECT_EQ(open_code(params_), Code::corrupt);

        for (const std::uint32_t version : {format_version - 1, format_version + 1}) {
            bytes = sound;
            FileHeader header;
            std::memcpy(&header, bytes.data(), sizeof(header));
            header.version = version;
            header.checksum = base::checksum(0, &header, offsetof(FileHeader, checksum));
            std::memcpy(bytes.data(), &header, sizeof(header));
            test::write_bytes(directory_.file(name), bytes);
            EXPECT_EQ(open_code(params_), Code::unsupported) << name << " version " << version;
        }
        test::write_bytes(directory_.file(name), sound);
    }
    EXPECT_EQ(open_code(params_), Code::ok);
}

// What the kernel was told of the mapping that an address is in: the letters of smaps.
std::string advice_of(const void *address) {
    std::ifstream smaps("/proc/self/smaps");
    const auto wanted = reinterpret_cast<std::uintptr_t>(address);
    bool inside = false;
    for (std::string line; std::getline(smaps, line);) {
        std::uintptr_t begin = 0;
        std::uintptr_t end = 0;
        if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2)
            inside = begin <= wanted && wanted < end;
        if (inside && line.starts_with("VmFlags:"))
            return line;
    }
    return {};
}

TEST_F(NodeStoreTest, ReadsNothingAroundWhatAWalkReads) {
    create(128);
    add(ClusteredData(1).make(100));
    const auto expects = [this](const char *letters) {
        return advice_of(nodes_->slot(0)).find(letters) != std::string::npos;
    };
    ASSERT_NE(advice_of(nodes_->slot(0)), "") << "needs /proc/self/smaps";
    nodes_->expect(base::Reading::scattered);
    EXPECT_TRUE(expects(" rr "));
    {
        const ReadingInOrder reading(*nodes_);
        EXPECT_TRUE(expects(" sr "));
        EXPECT_FALSE(expects(" rr "));
    }
    EXPECT_TRUE(expects(" rr "));
    // A file that grows, and its mapping with it, until it has to move.
    add(ClusteredData(2).make(8000));
    EXPECT_TRUE(expects(" rr "));
}

// Another index, without a node above the lowest level, may have the state by then.
TEST_F(NodeStoreTest, OneWhoOpensLateLeavesTheCapacitiesAlone) {
    create(8);
    add(ClusteredData(1).make(100));
    ASSERT_TRUE(nodes_->reserve_upper_blocks(10).ok());
    SharedState others{};
    ASSERT_TRUE(NodeStore::open(files_, params_, others).ok());
    EXPECT_EQ(others.capacity.load(), 0u);
    EXPECT_EQ(others.upper_capacity.load(), 0u);
    ASSERT_TRUE(NodeStore::open_first(files_, params_, others).ok());
    EXPECT_GE(others.capacity.load(), 100u);
    EXPECT_GE(others.upper_capacity.load(), 10u);
}

TEST_F(NodeStoreTest, GrowsInProportionAndKeepsWhatItHolds) {
    create(128);
    const auto data = ClusteredData(1).make(20000);
    std::uint32_t steps = 0;
    for (std::size_t i = 0; i < 20000; ++i) {
        const std::uint64_t used = file_header_bytes + i * nodes_->layout().stride;
        ASSERT_LE(directory_.bytes() - file_header_bytes, used * 17 / 16 + 8192 + 704) << i;
        const std::uint32_t before = state_.capacity.load();
        add({data.begin() + static_cast<std::ptrdiff_t>(i * 128),
             data.begin() + static_cast<std::ptrdiff_t>((i + 1) * 128)});
        steps += state_.capacity.load() != before;
    }
    EXPECT_LE(steps, 120u);
    EXPECT_GE(nodes_->mapped_slots(), 20000u);
    for (NodeId id = 0; id < 20000; id += 111)
        EXPECT_TRUE(nodes_->payload_intact(id));
    // The space is really there: not one byte beyond the file is counted.
    EXPECT_GE(directory_.bytes(),
              file_header_bytes * 2 + std::uint64_t{state_.capacity.load()} * 704);
}

TEST_F(NodeStoreTest, OneCallReservesAllThatIsAsked) {
    create(128);
    ASSERT_TRUE(nodes_->reserve_slots(50000).ok());
    EXPECT_GE(state_.capacity.load(), 50000u);
    EXPECT_EQ(nodes_->mapped_slots(), 0u) << "only refresh() changes a mapping";
    ASSERT_TRUE(nodes_->refresh().ok());
    EXPECT_EQ(nodes_->mapped_slots(), state_.capacity.load());
    state_.allocated.store(1);
    EXPECT_EQ(nodes_->reserve_slots(max_nodes).code(), Code::limit_exceeded);
}

TEST_F(NodeStoreTest, OtherPartiesSeeGrowthAfterRefresh) {
    create(8);
    const auto reader = open_store(state_);
    add(ClusteredData(1, {8, 4, 2, 0.1f}).make(1000));
    EXPECT_LT(reader->mapped_slots(), 1000u);
    ASSERT_TRUE(reader->refresh().ok());
    const auto *address = reader->slot(0);
    EXPECT_GE(reader->mapped_slots(), 1000u);
    EXPECT_EQ(reader->state(999), nodes_->state(999));
    ASSERT_TRUE(reader->refresh().ok());
    EXPECT_EQ(reader->slot(0), address);
}

TEST_F(NodeStoreTest, FullDiskChangesNothing) {
    create(8);
    add(ClusteredData(1, {8, 4, 2, 0.1f}).make(10));
    const std::uint32_t capacity = state_.capacity.load();
    const std::uint32_t upper_capacity = state_.upper_capacity.load();
    files_.plan().fail(Operation::allocate, 1, ENOSPC, Persistence::forever);
    EXPECT_EQ(nodes_->reserve_slots(capacity).code(), Code::no_space);
    EXPECT_EQ(nodes_->reserve_upper_blocks(upper_capacity + 1).code(), Code::no_space);
    EXPECT_EQ(state_.capacity.load(), capacity);
    EXPECT_EQ(state_.upper_capacity.load(), upper_capacity);
    EXPECT_TRUE(nodes_->reserve_slots(1).ok()) << "what is there needs no disk";
    files_.plan().heal();
    EXPECT_TRUE(nodes_->reserve_slots(capacity).ok());
}

TEST_F(NodeStoreTest, TakesWhatIsNeededWhenAnAmpleStepDoesNotFit) {
    create(8);
    files_.plan().fail(Operation::allocate, 1, ENOSPC);
    ASSERT_TRUE(nodes_->reserve_slots(5).ok());
    EXPECT_GE(state_.capacity.load(), 5u);
    EXPECT_LT(state_.capacity.load(), 10u);
}

TEST_F(NodeStoreTest, AFileShorterThanItsCapacityIsNotMapped) {
    create(8);
    ASSERT_TRUE(nodes_->reserve_slots(100).ok());
    state_.capacity.store(state_.capacity.load() + 1000000);
    EXPECT_EQ(nodes_->refresh().code(), Code::corrupt);
}

TEST_F(NodeStoreTest, MarksCountOnce) {
    create(8);
    add(ClusteredData(1, {8, 4, 2, 0.1f}).make(4));
    EXPECT_TRUE(nodes_->mark_deleted(1));
    EXPECT_FALSE(nodes_->mark_deleted(1));
    EXPECT_EQ(state_tid(nodes_->state(1)), tid_of(1)) << "a deleted node keeps its TID";
    EXPECT_TRUE(nodes_->mark_hole(2));
    EXPECT_FALSE(nodes_->mark_hole(2));
    EXPECT_FALSE(nodes_->mark_deleted(2));
    EXPECT_TRUE(nodes_->mark_hole(1));
    EXPECT_EQ(state_.deleted.load(), 2u);
    EXPECT_EQ(state_flags(nodes_->state(2)), slot_hole) << "a hole is not ready";
}

TEST_F(NodeStoreTest, RewritingASlotStartsItsLifeAgain) {
    create(8);
    const auto data = ClusteredData(1, {8, 4, 2, 0.1f}).make(2);
    add(data);
    nodes_->slot(1)->link_count.store(3);
    nodes_->slot(1)->upper.store(9);
    nodes_->write_payload(1, {77, 5}, data.data());
    EXPECT_EQ(state_flags(nodes_->state(1)), 0) << "not ready before it is published";
    EXPECT_EQ(nodes_->slot(1)->link_count.load(), 0u);
    EXPECT_EQ(nodes_->slot(1)->upper.load(), 9u);
    nodes_->publish(1);
    EXPECT_EQ(state_tid(nodes_->state(1)), (Tid{77, 5}));
    EXPECT_TRUE(nodes_->payload_intact(1));
}

TEST_F(NodeStoreTest, ChecksumCoversVectorIdAndTid) {
    create(8);
    const std::vector<float> twice{1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8};
    add(twice);
    EXPECT_NE(nodes_->slot(0)->checksum, nodes_->slot(1)->checksum);
    auto *bytes = const_cast<std::byte *>(nodes_->vector(0));
    for (std::size_t at = 0; at < 32; ++at) {
        bytes[at] ^= std::byte{16};
        EXPECT_FALSE(nodes_->payload_intact(0));
        bytes[at] ^= std::byte{16};
    }
    EXPECT_TRUE(nodes_->payload_intact(0));
    nodes_->slot(0)->state.store(pack_state({0, 2}, slot_ready));
    EXPECT_FALSE(nodes_->payload_intact(0));
}

TEST_F(NodeStoreTest, DamageToACodeIsNoticedAndMadeGood) {
    create(130);
    const auto data = ClusteredData(1, {130, 4, 2, 0.1f}).make(2);
    add(data);
    nodes_->slot(1)->link_count.store(3);
    const std::uint32_t size = params_.layout.code_bytes;
    ASSERT_EQ(size, distance::code_bytes(130));
    auto *code = const_cast<std::byte *>(nodes_->code(1));
    const std::vector<std::byte> sound(code, code + size);
    for (std::size_t at = 0; at < size; ++at) {
        code[at] ^= std::byte{4};
        EXPECT_FALSE(nodes_->payload_intact(1));
        EXPECT_FALSE(nodes_->slot_intact(1));
        code[at] ^= std::byte{4};
    }
    EXPECT_TRUE(nodes_->slot_intact(1));
    nodes_->restore_payload(1, tid_of(1), &data[130]);
    EXPECT_EQ(nodes_->slot(1)->link_count.load(), 3u) << "a sound node keeps its links";

    code[77] ^= std::byte{4};
    nodes_->restore_payload(1, tid_of(1), &data[130]);
    EXPECT_TRUE(nodes_->slot_intact(1));
    EXPECT_TRUE(std::equal(sound.begin(), sound.end(), code));
}

TEST_F(NodeStoreTest, VectorsMayComeFromAnyAddress) {
    create(133);
    const auto data = ClusteredData(1, {133, 4, 2, 0.1f}).make(1);
    add(data);
    const std::size_t size = data.size() * sizeof(float);
    std::vector<char> bytes(size + 4);
    for (const std::size_t off : {1, 2, 3}) {
        std::memcpy(bytes.data() + off, data.data(), size);
        ASSERT_TRUE(nodes_->reserve_slots(1).ok() && nodes_->refresh().ok());
        const NodeId id = state_.allocated.fetch_add(1);
        nodes_->write_payload(id, tid_of(id), bytes.data() + off);
        nodes_->publish(id);
        EXPECT_TRUE(nodes_->slot_intact(id));
        EXPECT_EQ(std::memcmp(nodes_->vector(id), data.data(), size), 0);
        EXPECT_EQ(std::memcmp(nodes_->code(id), nodes_->code(0), params_.layout.code_bytes), 0);
    }
}

// With and without codes, lengths and keys: byte for byte what the row itself would have been.
TEST_F(NodeStoreTest, ADraftIsWrittenAsItsRow) {
    const std::vector<std::uint64_t> keys{17, 0xFEDCBA9876543210, 3};
    for (const auto metric : {distance::Metric::l2_squared, distance::Metric::cosine})
        for (const std::uint32_t dimensions : {3u, 16u, 128u, 131u, 768u})
            for (const std::uint32_t columns : {0u, 1u, 3u}) {
                SCOPED_TRACE(testing::Message()
                             << static_cast<int>(metric) << " " << dimensions << " " << columns);
                columns_ = columns;
                create(dimensions, 16, Codes::as_usual, metric);
                const auto data = ClusteredData(1, {dimensions, 4, 2, 0.1f}).make(2);
                add(data, {1, 2, 3, 4, 5, 6});
                const Row row{data.data(), keys.data()};
                nodes_->write_payload(1, {77, 5}, row);
                const auto *slot = reinterpret_cast<const std::byte *>(nodes_->slot(1));
                const std::vector<std::byte> wanted(slot, slot + params_.layout.stride);
                // Other bytes stand there before the draft is written.
                nodes_->write_payload(1, {1, 2}, {&data[dimensions], &keys[0]});
                EXPECT_FALSE(std::equal(wanted.begin(), wanted.end(), slot));
                const PayloadDraft draft = nodes_->draft(row);
                nodes_->write_payload(1, {77, 5}, draft);
                EXPECT_TRUE(std::equal(wanted.begin(), wanted.end(), slot));
                EXPECT_TRUE(nodes_->same_keys(1, keys.data()));
                nodes_->publish(1);
                EXPECT_TRUE(nodes_->slot_intact(1));
                EXPECT_EQ(draft.vector_checksum(),
                          base::checksum(0, data.data(), params_.layout.vector_bytes));
                const std::uint32_t before = base::checksum(0, "before", 6);
                EXPECT_EQ(nodes_->checksum_with_vector(before, draft),
                          base::checksum(before, data.data(), params_.layout.vector_bytes));
                forget();
            }
}

TEST_F(NodeStoreTest, LinksAndCodesDoNotOverlap) {
    for (const std::uint32_t m : {2u, 16u, 100u}) {
        create(200, m);
        const auto data = ClusteredData(1, {200, 4, 2, 0.1f}).make(3);
        add(data);
        // The count, the ids, and the word behind them that hnswlib reads.
        for (std::uint32_t i = 0; i <= 2 * m + 1; ++i)
            (&nodes_->slot(1)->link_count)[i].store(0xFFFFFFFF);
        for (NodeId id = 0; id < 3; ++id)
            EXPECT_TRUE(nodes_->slot_intact(id)) << id;
        forget();
    }
}

TEST_F(NodeStoreTest, FailedSyncIsReported) {
    create(8);
    for (const std::uint64_t nth : {1, 2}) {
        files_.plan().fail(Operation::sync, nth, EIO);
        EXPECT_EQ(nodes_->sync().code(), Code::io_error);
        EXPECT_TRUE(nodes_->sync().ok());
    }
}

}  // namespace
}  // namespace dvec::graph
