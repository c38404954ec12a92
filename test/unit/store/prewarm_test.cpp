// Which files are read, in which order, and when the reading ends. That pages come into memory is
// for test/cluster: here they are all there.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "engine/store/prewarm.hpp"
#include "test/unit/store/store_fixture.hpp"

namespace dvec::store {

namespace {

using test::StoreUnderTest;

constexpr std::uint64_t plenty = std::uint64_t{1} << 40;

std::uint64_t bytes_of_graph(const StoreUnderTest &store) {
    return std::filesystem::file_size(store.path("nodes.1")) +
           std::filesystem::file_size(store.path("upper.1"));
}

Prewarm::Outcome read(std::vector<std::string> directories, std::uint64_t room = plenty) {
    Prewarm prewarm(base::posix_file_system());
    const base::Status begun = prewarm.begin({std::move(directories), [room] { return room; }});
    EXPECT_TRUE(begun.ok()) << begun.message();
    while (!prewarm.done())
        std::this_thread::yield();
    prewarm.stop();
    return prewarm.outcome();
}

TEST(Prewarm, ReadsTheGraphOfEachIndex) {
    StoreUnderTest one;
    StoreUnderTest other;
    one.build(500);
    other.build(300);
    const Prewarm::Outcome outcome = read({one.folder(), other.folder()});
    EXPECT_TRUE(outcome.failure.ok()) << outcome.failure.message();
    EXPECT_EQ(outcome.indexes, 2u);
    EXPECT_EQ(outcome.bytes, bytes_of_graph(one) + bytes_of_graph(other));
    EXPECT_FALSE(outcome.out_of_room);
}

TEST(Prewarm, ReadsColumnsWhereThereAreSome) {
    StoreUnderTest store;
    store.description.columns = 2;
    store.build(100);
    EXPECT_EQ(read({store.folder()}).bytes,
              bytes_of_graph(store) + std::filesystem::file_size(store.path("columns.1")));
}

TEST(Prewarm, GoesPastIndexesThatAreGoneOrDamaged) {
    StoreUnderTest store;
    StoreUnderTest damaged;
    store.build(200);
    damaged.build(200);
    test::write_bytes(damaged.path("checkpoint"), std::vector<char>(8192, 'x'));
    StoreUnderTest without_nodes;
    without_nodes.build(200);
    std::filesystem::remove(without_nodes.path("nodes.1"));
    const Prewarm::Outcome outcome =
        read({store.scratch("none"), damaged.folder(), without_nodes.folder(), store.folder()});
    EXPECT_EQ(outcome.indexes, 1u);
    EXPECT_EQ(outcome.bytes, bytes_of_graph(store));
    EXPECT_EQ(outcome.failure.code(), base::Code::corrupt) << "of the damaged one";
}

TEST(Prewarm, EndsWhereThereIsNoRoom) {
    StoreUnderTest store;
    store.build(200);
    const Prewarm::Outcome outcome = read({store.folder(), store.folder()}, 4096);
    EXPECT_EQ(outcome.indexes, 0u);
    EXPECT_EQ(outcome.bytes, 0u);
    EXPECT_TRUE(outcome.out_of_room);
}

TEST(Prewarm, EndsWhenItIsStopped) {
    StoreUnderTest store;
    store.build(200);
    std::atomic<int> asked{0};
    Prewarm prewarm(base::posix_file_system());
    // Without an end of its own, nearly: it takes a moment for each file.
    const base::Status begun =
        prewarm.begin({std::vector<std::string>(100'000, store.folder()), [&asked] {
                           asked.fetch_add(1);
                           std::this_thread::sleep_for(std::chrono::milliseconds(1));
                           return plenty;
                       }});
    ASSERT_TRUE(begun.ok()) << begun.message();
    while (asked.load() < 3)
        std::this_thread::yield();
    prewarm.stop();
    EXPECT_TRUE(prewarm.done());
    EXPECT_LT(prewarm.outcome().indexes, 100'000u);
    EXPECT_FALSE(prewarm.outcome().out_of_room);
}

}  // namespace

}  // namespace dvec::store
