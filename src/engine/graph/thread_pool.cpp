// Started with all signals blocked, woken for each run, joined at the end.
#include "engine/graph/thread_pool.hpp"

#include <algorithm>
#include <exception>

#include "engine/base/signals.hpp"

namespace dvec::graph {

ThreadPool::ThreadPool(unsigned helpers) {
    threads_.reserve(helpers);
    const base::SignalsBlocked blocked;
    try {
        for (unsigned number = 1; number <= helpers; ++number)
            threads_.emplace_back([this, number] { serve(number); });
    } catch (const std::exception &) {
        // The limit on threads is reached, or there is no memory for another one: go on with those
        // that have started. An exception must not leave the constructor while threads are running:
        // destroying their thread objects would end the process.
    }
}

ThreadPool::~ThreadPool() {
    {
        const std::lock_guard lock(mutex_);
        closing_ = true;
    }
    wake_.notify_all();
    for (std::thread &thread : threads_)
        thread.join();
}

void ThreadPool::run(unsigned helpers, const std::function<void(unsigned)> &body) {
    helpers = std::min(helpers, this->helpers());
    if (helpers > 0) {
        {
            const std::lock_guard lock(mutex_);
            body_ = &body;
            wanted_ = working_ = helpers;
            ++round_;
        }
        wake_.notify_all();
    }
    body(0);
    if (helpers > 0) {
        std::unique_lock lock(mutex_);
        done_.wait(lock, [this] { return working_ == 0; });
    }
}

void ThreadPool::serve(unsigned number) {
    unsigned long served = 0;
    std::unique_lock lock(mutex_);
    for (;;) {
        wake_.wait(lock, [&] { return closing_ || round_ != served; });
        if (closing_)
            return;
        served = round_;
        if (number > wanted_)
            continue;
        const auto *body = body_;
        lock.unlock();
        (*body)(number);
        lock.lock();
        if (--working_ == 0)
            done_.notify_one();
    }
}

}  // namespace dvec::graph
