// How a benchmark ends that cannot go on.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

namespace dvec::bench {

[[noreturn]] inline void fail(const std::string &what) {
    std::fprintf(stderr, "%s\n", what.c_str());
    std::exit(1);
}

}  // namespace dvec::bench
