// Threads that stay for as long as work comes, and sleep between its parts. The engine runs inside
// a server that delivers signals to the process, so these threads block every signal: handlers run
// on the server's own thread only.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace dvec::graph {

class ThreadPool {
  public:
    // Starts up to `helpers` threads, or fewer when the system refuses more: the work can be done
    // with fewer. Throws std::bad_alloc only.
    explicit ThreadPool(unsigned helpers);
    ~ThreadPool();
    ThreadPool(const ThreadPool &) = delete;
    ThreadPool &operator=(const ThreadPool &) = delete;

    unsigned helpers() const noexcept { return static_cast<unsigned>(threads_.size()); }

    // Calls `body` with a worker number on the calling thread (0) and on at most `helpers` others
    // (1, 2, ...), all at once; returns when every call has returned. `body` must not throw. What
    // the calls did is visible to the caller afterwards. One run at a time.
    void run(unsigned helpers, const std::function<void(unsigned)> &body);

  private:
    void serve(unsigned number);

    std::mutex mutex_;
    std::condition_variable wake_;
    std::condition_variable done_;
    std::vector<std::thread> threads_;
    // All below under mutex_.
    const std::function<void(unsigned)> *body_ = nullptr;
    unsigned long round_ = 0;  // number of the current run: a helper serves each once
    unsigned wanted_ = 0;      // helpers 1..wanted_ take part
    unsigned working_ = 0;
    bool closing_ = false;
};

}  // namespace dvec::graph
