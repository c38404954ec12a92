// How fast this machine reads memory: the ceiling for any scan of vectors.
#include <algorithm>
#include <thread>
#include <vector>

#include "bench/client/commands.hpp"
#include "bench/client/measure.hpp"

namespace dvec::bench {

namespace {

constexpr int passes = 7;

double read_all(const float *values, std::size_t count) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::size_t i = 0; i < count; ++i)
        sum += values[i];
    return static_cast<double>(sum);
}

// Best of several passes, each thread reading a part of its own.
double best_rate(const std::vector<float> &values, std::size_t thread_count) {
    double best = 0;
    for (int pass = 0; pass < passes; ++pass) {
        std::vector<double> sums(thread_count);
        std::vector<std::thread> threads;
        const std::size_t part = values.size() / thread_count;
        const Clock::time_point start = Clock::now();
        for (std::size_t t = 0; t < thread_count; ++t)
            threads.emplace_back([&, t] { sums[t] = read_all(values.data() + t * part, part); });
        for (std::thread &thread : threads)
            thread.join();
        const double seconds = seconds_since(start);
        if (std::count(sums.begin(), sums.end(), 0.0) > 0)
            fail("the memory that was read did not hold what was written");
        best = std::max(best, static_cast<double>(part * thread_count * sizeof(float)) / seconds);
    }
    return best;
}

}  // namespace

void bandwidth(const Arguments &arguments) {
    const std::vector<float> values(arguments.count("megabytes") * (1 << 20) / sizeof(float), 1);
    Report report;
    report.add("one_thread", best_rate(values, 1));
    report.add("all_threads", best_rate(values, std::max(1u, std::thread::hardware_concurrency())));
    report.print();
}

}  // namespace dvec::bench
