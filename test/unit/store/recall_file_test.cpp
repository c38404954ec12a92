// A measured curve is kept from one start to the next, and nothing depends on its file.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "engine/store/recall_file.hpp"
#include "test/unit/store/store_fixture.hpp"
#include "test/unit/support/faulty_file_system.hpp"

namespace dvec::store {

namespace {

using test::StoreUnderTest;

const std::atomic<bool> never_stop{false};
constexpr std::chrono::microseconds at_once{0};
constexpr std::chrono::seconds long_enough{60};

graph::RecallCurve measured(StoreUnderTest &store, Maintainer &maintainer) {
    store.state->recall_wanted.store(1);
    EXPECT_TRUE(maintainer.has_to_measure_recall());
    const base::Status status = maintainer.measure_recall(long_enough, never_stop);
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_FALSE(maintainer.has_to_measure_recall());
    const auto curve = store.state->recall.load();
    EXPECT_TRUE(curve);
    return curve.value_or(graph::RecallCurve());
}

void expect_equal(const graph::RecallCurve &one, const graph::RecallCurve &other) {
    EXPECT_EQ(std::memcmp(&one, &other, sizeof one), 0);
}

TEST(RecallFile, IsReadAtTheNextStart) {
    StoreUnderTest store;
    store.build(2000);
    store.recover();
    const graph::RecallCurve curve = measured(store, *store.maintainer());
    EXPECT_EQ(curve.rows, 2000u);
    store.recover();
    const auto kept = store.state->recall.load();
    ASSERT_TRUE(kept);
    expect_equal(curve, *kept);
    EXPECT_EQ(store.state->recall_wanted.load(), 0u);
    store.state->recall_wanted.store(1);
    EXPECT_FALSE(store.maintainer()->has_to_measure_recall());
}

TEST(RecallFile, IsNotBelievedWhenItIsDamaged) {
    StoreUnderTest store;
    store.build(1000);
    store.recover();
    (void)measured(store, *store.maintainer());
    const std::string path = store.path(std::string(recall_file_name));
    const auto size = std::filesystem::file_size(path);
    for (std::uint64_t at = 0; at < size; at += 37) {
        test::flip_bits(path, at, 1);
        EXPECT_EQ(read_recall(store.files, store.description).status().code(),
                  base::Code::not_found)
            << at;
        EXPECT_EQ(store.recover().start, Start::clean);
        EXPECT_FALSE(store.state->recall.load());
        test::flip_bits(path, at, 1);
    }
    EXPECT_TRUE(read_recall(store.files, store.description).ok());
    std::filesystem::resize_file(path, size - 1);
    EXPECT_FALSE(read_recall(store.files, store.description).ok());
    std::filesystem::resize_file(path, 0);
    EXPECT_EQ(store.recover().start, Start::clean);
    EXPECT_FALSE(store.state->recall.load());
}

TEST(RecallFile, BelongsToOneIndex) {
    StoreUnderTest store;
    store.build(1000);
    store.recover();
    (void)measured(store, *store.maintainer());
    auto other = store.description;
    ++other.owner.identity;
    EXPECT_EQ(read_recall(store.files, other).status().code(), base::Code::not_found);
}

TEST(RecallMeasurement, IsMadeWhereItIsWantedAndThereIsSomethingToMeasure) {
    StoreUnderTest store;
    store.build(1000);
    store.recover();
    auto maintainer = store.maintainer();
    EXPECT_FALSE(maintainer->has_to_measure_recall()) << "nobody has asked";
    (void)measured(store, *maintainer);

    StoreUnderTest small;
    small.build(300);
    small.recover();
    small.state->recall_wanted.store(1);
    EXPECT_FALSE(small.maintainer()->has_to_measure_recall());
}

TEST(RecallMeasurement, GoesOnInPieces) {
    StoreUnderTest store;
    store.build(1500);
    store.recover();
    auto maintainer = store.maintainer();
    store.state->recall_wanted.store(1);
    ASSERT_TRUE(maintainer->measure_recall(at_once, never_stop).ok());
    EXPECT_FALSE(store.state->recall.load());
    const std::atomic<bool> stop{true};
    EXPECT_EQ(maintainer->measure_recall(long_enough, stop).code(), base::Code::interrupted);
    // Rows come and go between the pieces.
    auto index = store.open();
    for (test::Row row = 5000; row < 5040; ++row)
        store.insert(*index, row);
    test::link_all(*maintainer);
    ASSERT_TRUE(index->remove(7, 0).ok());
    ASSERT_TRUE(maintainer->measure_recall(long_enough, never_stop).ok());
    ASSERT_TRUE(store.state->recall.load());
    EXPECT_EQ(store.state->recall.load()->rows, 1500u);
    EXPECT_FALSE(maintainer->has_to_measure_recall());
}

TEST(RecallMeasurement, IsRepeatedWhenTheIndexHasGrownOrShrunk) {
    StoreUnderTest store;
    store.build(1000);
    store.recover();
    auto maintainer = store.maintainer();
    (void)measured(store, *maintainer);
    auto index = store.open();
    for (test::Row row = 1000; row < 1250; ++row)
        store.insert(*index, row);
    test::link_all(*maintainer);
    EXPECT_FALSE(maintainer->has_to_measure_recall());
    store.insert(*index, 1250);
    test::link_all(*maintainer);
    EXPECT_TRUE(maintainer->has_to_measure_recall());
    EXPECT_EQ(measured(store, *maintainer).rows, 1251u);
    for (graph::NodeId id = 0; id < 313; ++id)
        ASSERT_TRUE(index->remove(id, 0).ok());
    EXPECT_TRUE(maintainer->has_to_measure_recall());
    EXPECT_EQ(measured(store, *maintainer).rows, 938u);
}

// Without its file the curve holds until the index is closed.
TEST(RecallMeasurement, SurvivesAFullDisk) {
    test::FaultyFileSystem files;
    StoreUnderTest store(files);
    store.build(1000);
    store.recover();
    auto maintainer = store.maintainer();
    store.state->recall_wanted.store(1);
    files.plan().fail(test::Operation::create, 1, ENOSPC);
    ASSERT_TRUE(maintainer->measure_recall(long_enough, never_stop).ok());
    EXPECT_TRUE(store.state->recall.load());
    store.recover();
    EXPECT_FALSE(store.state->recall.load());
}

}  // namespace

}  // namespace dvec::store
