// A lock that the engine uses but does not own. Several processes append to one index, so the lock
// lives in shared memory, and whoever runs the engine chooses its kind: a PostgreSQL lightweight
// lock in the server, a std::mutex in a unit test. lock() throws base::Interrupted (status.hpp)
// when its caller is asked to stop before the lock is free. Satisfies BasicLockable, so
// std::lock_guard works on it.
#pragma once

namespace dvec::base {

class Mutex {
  public:
    virtual void lock() = 0;
    virtual void unlock() = 0;

  protected:
    ~Mutex() = default;
};

}  // namespace dvec::base
