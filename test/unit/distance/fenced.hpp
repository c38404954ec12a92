// Readable memory between two pages that fault when touched, so that a kernel that reads a byte too
// many crashes.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <stdexcept>

namespace dvec::distance {

template <typename Element>
class Fenced {
  public:
    // Room for at least `count` elements, each of the value `one`.
    Fenced(std::size_t count, Element one) {
        const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        const std::size_t bytes = (count * sizeof(Element) + page - 1) / page * page;
        mapped_bytes_ = bytes + 2 * page;
        mapping_ = mmap(nullptr, mapped_bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mapping_ == MAP_FAILED) {
            throw std::runtime_error("mmap failed");
        }
        char *readable = static_cast<char *>(mapping_) + page;
        if (mprotect(readable, bytes, PROT_READ | PROT_WRITE) != 0) {
            throw std::runtime_error("mprotect failed");
        }
        begin_ = reinterpret_cast<Element *>(readable);
        end_ = begin_ + bytes / sizeof(Element);
        std::fill(begin_, end_, one);
    }

    Fenced(const Fenced &) = delete;
    Fenced &operator=(const Fenced &) = delete;

    ~Fenced() { munmap(mapping_, mapped_bytes_); }

    const Element *first() const { return begin_; }

    const Element *last(std::size_t count) const { return end_ - count; }

  private:
    void *mapping_ = nullptr;
    std::size_t mapped_bytes_ = 0;
    Element *begin_ = nullptr;
    Element *end_ = nullptr;
};

}  // namespace dvec::distance
