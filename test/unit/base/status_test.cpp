// Status and Result: what errno becomes, and that no exception leaves guarded().
#include "engine/base/status.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <stdexcept>
#include <vector>

namespace dvec::base {
namespace {

TEST(Status, DefaultIsOk) {
    const Status status;
    EXPECT_TRUE(status.ok());
    EXPECT_EQ(status.code(), Code::ok);
    EXPECT_TRUE(status.message().empty());
}

TEST(Status, ErrnoBecomesACode) {
    EXPECT_EQ(Status::from_errno(ENOENT, "x").code(), Code::not_found);
    EXPECT_EQ(Status::from_errno(EEXIST, "x").code(), Code::already_exists);
    EXPECT_EQ(Status::from_errno(ENOSPC, "x").code(), Code::no_space);
    EXPECT_EQ(Status::from_errno(EDQUOT, "x").code(), Code::no_space);
    EXPECT_EQ(Status::from_errno(ENOMEM, "x").code(), Code::out_of_memory);
    EXPECT_EQ(Status::from_errno(EIO, "x").code(), Code::io_error);
    EXPECT_EQ(Status::from_errno(EACCES, "x").code(), Code::io_error);
    EXPECT_EQ(Status::from_errno(ENOSPC, "could not write \"f\"").message(),
              "could not write \"f\": No space left on device");
}

TEST(Result, CarriesAValueOrAStatus) {
    Result<std::unique_ptr<int>> value(std::make_unique<int>(7));
    ASSERT_TRUE(value.ok());
    EXPECT_TRUE(value.status().ok());
    EXPECT_EQ(*value.value(), 7);
    const std::unique_ptr<int> taken = std::move(value).value();
    EXPECT_EQ(*taken, 7);

    const Result<int> failed(Status(Code::corrupt, "no"));
    EXPECT_FALSE(failed.ok());
    EXPECT_EQ(failed.status().code(), Code::corrupt);
    EXPECT_EQ(failed.status().message(), "no");
}

TEST(Guarded, PassesResultsThrough) {
    EXPECT_EQ(guarded([]() -> Result<int> { return 3; }).value(), 3);
    EXPECT_EQ(guarded([] { return Status(Code::mismatch, "m"); }).code(), Code::mismatch);
}

TEST(Guarded, TurnsExceptionsIntoStatus) {
    EXPECT_EQ(guarded([]() -> Status { throw std::bad_alloc(); }).code(), Code::out_of_memory);
    const Status status = guarded([]() -> Status { throw std::runtime_error("from a library"); });
    EXPECT_EQ(status.code(), Code::internal);
    EXPECT_EQ(status.message(), "from a library");
    const auto result = guarded([]() -> Result<int> {
        std::vector<int> none;
        return none.at(1);
    });
    EXPECT_EQ(result.status().code(), Code::internal);
}

Status first_failure(std::vector<Status> steps, int &done) {
    for (const Status &step : steps) {
        DVEC_TRY(step);
        ++done;
    }
    return {};
}

TEST(Try, ReturnsTheFirstFailure) {
    int done = 0;
    EXPECT_EQ(first_failure({{}, {}, {Code::no_space, "full"}, {}}, done).code(), Code::no_space);
    EXPECT_EQ(done, 2);
    EXPECT_TRUE(first_failure({{}, {}}, done).ok());
    EXPECT_EQ(done, 4);
}

}  // namespace
}  // namespace dvec::base
