// What one insert costs an index, linking and syncing left out, while several threads insert at the
// same time, each with an Index of its own as a session has:
//
//     insert/DIMENSIONS/COSINE    per row, in nanoseconds: the processor time of all that it takes
//                                 (cpu), and how long the append lock is held, the usual
//                                 time (held)
//
// Files go to $TMPDIR, else to /tmp; a run needs some hundred megabytes there. Before each run the
// index is begun anew, so what is measured does not depend on how many rows there are.
#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "bench/scratch_folder.hpp"
#include "bench/store/index_alone.hpp"
#include "engine/store/index.hpp"
#include "engine/store/recovery.hpp"

namespace {

using namespace dvec;

constexpr unsigned sessions = 4;
constexpr std::uint32_t rows_of_session = 4000;

double now(clockid_t clock) {
    timespec time;
    ::clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

// Notes how long it is held each time.
class MeasuredLock final : public bench::Lock {
  public:
    MeasuredLock() { times_.reserve(std::size_t{sessions} * rows_of_session); }
    void lock() override {
        bench::Lock::lock();
        begun_ = now(CLOCK_MONOTONIC);
    }
    void unlock() override {
        times_.push_back(now(CLOCK_MONOTONIC) - begun_);
        bench::Lock::unlock();
    }
    // The median, which does not count when a holder had to give up the processor.
    double usual_time() {
        const auto middle = times_.begin() + static_cast<std::ptrdiff_t>(times_.size() / 2);
        std::nth_element(times_.begin(), middle, times_.end());
        return *middle;
    }

  private:
    double begun_ = 0;
    std::vector<double> times_;
};

// An index without rows, and what its users share.
class EmptyIndex {
  public:
    EmptyIndex(std::uint32_t dimensions, distance::Metric metric) {
        description_.owner = {.identity = 1, .system = 1, .database = 1, .relation = 1};
        description_.dimensions = dimensions;
        description_.metric = metric;
        description_.directory = folder_.path() + "/index";
        bench::NoWal wal;
        auto builder = store::Builder::create(files_, description_, 1);
        bench::check(builder.status());
        bench::complete(*builder.value(), wal);
        bench::check(store::recover(files_, description_, state_, locks(), wal).status());
        bring_slots_into_memory();
    }

    std::unique_ptr<store::Index> open() {
        auto index = store::Index::open(files_, description_, state_, locks());
        bench::check(index.status());
        return std::move(index).value();
    }
    double lock_is_held() { return append_.usual_time(); }

  private:
    // As the worker does ahead of the sessions.
    void bring_slots_into_memory() {
        const auto index = open();
        graph::NodeStore &nodes = index->writable_nodes();
        bench::check(nodes.reserve_slots(sessions * rows_of_session));
        bench::check(nodes.refresh());
        nodes.warm(0, sessions * rows_of_session);
    }
    store::Locks locks() { return {append_, grow_, sync_}; }

    base::FileSystem &files_ = base::posix_file_system();
    const bench::ScratchFolder folder_;
    store::Description description_;
    store::SharedState state_{};
    MeasuredLock append_;
    bench::Lock grow_;
    bench::Lock sync_;
};

std::vector<float> random_vectors(std::size_t count, std::size_t dimensions) {
    std::minstd_rand random(7);
    std::normal_distribution<float> normal;
    std::vector<float> elements(count * dimensions);
    for (float &element : elements)
        element = normal(random);
    return elements;
}

void insert(benchmark::State &state) {
    constexpr std::size_t vectors = 500;
    const auto dimensions = static_cast<std::size_t>(state.range(0));
    const auto metric =
        state.range(1) != 0 ? distance::Metric::cosine : distance::Metric::l2_squared;
    const auto elements = random_vectors(vectors, dimensions);
    double cpu = 0, rows = 0;
    std::vector<double> held;
    for (auto _ : state) {
        state.PauseTiming();
        auto empty = std::make_unique<EmptyIndex>(static_cast<std::uint32_t>(dimensions), metric);
        std::vector<double> spent(sessions);
        state.ResumeTiming();
        std::vector<std::thread> threads;
        for (unsigned session = 0; session < sessions; ++session)
            threads.emplace_back([&, session] {
                const auto index = empty->open();
                const double begun = now(CLOCK_THREAD_CPUTIME_ID);
                for (std::uint32_t row = 0; row < rows_of_session; ++row) {
                    const float *vector = &elements[row % vectors * dimensions];
                    if (auto id = index->insert({session, 1}, row, vector); !id.ok())
                        bench::fail(id.status().message());
                }
                spent[session] = now(CLOCK_THREAD_CPUTIME_ID) - begun;
            });
        for (std::thread &thread : threads)
            thread.join();
        state.PauseTiming();
        for (const double time : spent)
            cpu += time;
        held.push_back(empty->lock_is_held());
        rows += double{sessions} * rows_of_session;
        empty.reset();
        state.ResumeTiming();
    }
    state.counters["cpu"] = cpu / rows;
    std::sort(held.begin(), held.end());
    state.counters["held"] = held[held.size() / 2];
}
BENCHMARK(insert)
    ->ArgsProduct({{32, 128, 768, 1536}, {0, 1}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
