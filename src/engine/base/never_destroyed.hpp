// What a process keeps until it is gone. Nothing in it needs to be released before, and at the end
// of a process, where the order of destruction is nobody's choice, nothing is. Made in place, so
// that the first use cannot fail for want of memory.
#pragma once

#include <cstddef>
#include <new>

namespace dvec::base {

// For `static` variables.
template <class T>
class NeverDestroyed {
  public:
    NeverDestroyed() noexcept(noexcept(T())) { new (place_) T(); }
    NeverDestroyed(const NeverDestroyed &) = delete;
    NeverDestroyed &operator=(const NeverDestroyed &) = delete;

    T &operator*() noexcept { return *std::launder(reinterpret_cast<T *>(place_)); }

  private:
    alignas(T) std::byte place_[sizeof(T)];
};

}  // namespace dvec::base
