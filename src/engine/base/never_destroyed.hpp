// An object that a process keeps until the process ends. Its destructor never runs: nothing in it
// needs to be released before the process ends, and at that time nobody controls the order in which
// objects are destroyed. The object is made in place, so that the first use cannot fail for want of
// memory.
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
