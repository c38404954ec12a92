// Threads inside a server process must never run its signal handlers: those belong to the process's
// one PostgreSQL thread. A new thread inherits the mask of its creator, so creation happens under
// this.
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
