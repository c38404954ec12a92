// Runs a test once for every instruction set this machine supports, pinned while the test runs.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/distance/isa.hpp"

namespace dvec::distance {

class IsaTestCase : public testing::TestWithParam<Isa> {
  protected:
    void SetUp() override {
        previous_ = active_isa();
        ASSERT_TRUE(select_isa(GetParam()));
    }

    void TearDown() override { select_isa(previous_); }

  private:
    Isa previous_ = Isa::scalar;
};

inline std::vector<Isa> supported_isas() {
    std::vector<Isa> supported;
    for (const Isa isa : every_isa) {
        if (isa_supported(isa)) {
            supported.push_back(isa);
        }
    }
    return supported;
}

inline std::string isa_parameter_name(const testing::TestParamInfo<Isa> &info) {
    return isa_name(info.param);
}

}  // namespace dvec::distance
