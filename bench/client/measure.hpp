// Clocks, processor time of this thread and of other processes, their memory, and latencies.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/client/arguments.hpp"

namespace dvec::bench {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start);

// Of the calling thread, in seconds.
double thread_cpu_seconds();

// Of a process of one thread, in seconds, to the nanosecond where the kernel keeps it so. Exact
// only while that process sleeps, as a backend does between two queries.
double process_cpu_seconds(pid_t process);

// What a process has read from the disk, in bytes; 0 where the kernel does not say.
double process_read_bytes(pid_t process);

// Of a postmaster and its children, all threads of them, in steps of the kernel's clock tick.
double server_cpu_seconds(pid_t postmaster);

struct Memory {
    // Of mappings that are this process's own, the pages that no other process has. A page of a
    // shared mapping is not memory of this process, even while it is the only one to look at it.
    double private_bytes = 0;
    double shared_bytes = 0;   // resident pages of shared mappings: shared memory and sidecar files
    double sidecar_bytes = 0;  // those of them that belong to files in a folder named dvec
};

Memory process_memory(pid_t process);

// Latencies of one kind of statement, in microseconds.
class Latencies {
  public:
    void reserve(std::size_t count) { values_.reserve(count); }
    void add(double microseconds) { values_.push_back(static_cast<float>(microseconds)); }
    void add(const Latencies &others);
    std::size_t count() const { return values_.size(); }

    // mean_us, p50_us, p95_us, p99_us, max_us.
    void report(Report &report);

  private:
    std::vector<float> values_;
};

}  // namespace dvec::bench
