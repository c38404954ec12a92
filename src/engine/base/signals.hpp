// Threads inside a server process must never run its signal handlers: those belong to the process's
// one PostgreSQL thread. A new thread inherits the signal mask of the thread that creates it, so
// threads are created while a SignalsBlocked is alive.
#pragma once

#include <pthread.h>
#include <signal.h>

namespace dvec::base {

// Blocks all signals for the calling thread while alive.
class SignalsBlocked {
  public:
    SignalsBlocked() noexcept {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsBlocked(const SignalsBlocked &) = delete;
    SignalsBlocked &operator=(const SignalsBlocked &) = delete;

  private:
    sigset_t before_;
};

}  // namespace dvec::base
