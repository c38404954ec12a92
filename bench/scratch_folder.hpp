// A folder of its own under $TMPDIR, else in /tmp, gone with the object, and all that is in it.
#pragma once

#include <stdlib.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "bench/failure.hpp"

namespace dvec::bench {

class ScratchFolder {
  public:
    ScratchFolder() {
        const char *parent = std::getenv("TMPDIR");
        path_ = std::string(parent != nullptr ? parent : "/tmp") + "/dvec-bench-XXXXXX";
        if (::mkdtemp(path_.data()) == nullptr)
            fail("could not make a folder like " + path_);
    }
    ScratchFolder(const ScratchFolder &) = delete;
    ScratchFolder &operator=(const ScratchFolder &) = delete;
    ~ScratchFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    const std::string &path() const { return path_; }

  private:
    std::string path_;
};

}  // namespace dvec::bench
