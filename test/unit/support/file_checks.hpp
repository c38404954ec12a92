// What every kind of file does alike.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "engine/base/file.hpp"

namespace dvec::test {

// Of a new file.
inline void check_that_it_writes_and_reads_anywhere(base::File &file) {
    ASSERT_TRUE(file.write(5000, "hello", 5).ok());
    const auto size = file.size();
    ASSERT_TRUE(size.ok());
    EXPECT_EQ(size.value(), 5005u);
    char text[6] = {};
    ASSERT_TRUE(file.read(5000, text, 5).ok());
    EXPECT_STREQ(text, "hello");
    ASSERT_TRUE(file.read(0, text, 5).ok());
    EXPECT_EQ(std::string(text, 5), std::string(5, '\0'));
    EXPECT_TRUE(file.read(5005, text, 0).ok());
    EXPECT_EQ(file.read(5001, text, 5).code(), base::Code::corrupt);
    EXPECT_TRUE(file.sync().ok());
}

}  // namespace dvec::test
