// Speed of the distance kernels, per metric, instruction set and length, beside hnswlib's own.
//
// Names read situation/function/instruction set/dimensions. `cached` measures one query against
// vectors in the first-level cache, calls overlapping as the processor likes; `dependent` takes
// each next vector from the previous result, as a graph walk does, so that latency shows;
// `streamed` walks through more memory than any cache holds and reports bytes of vectors per
// second; `scattered` visits that memory in random order, four vectors to an iteration, one by one
// or four to a call, as `cached_four` does in the cache. Functions `code_...` measure codes of
// vectors, `encode` makes one, and bytes are then those of codes.
//
// Build with -O3 -march=native: hnswlib chooses its kernels when it is compiled.
#include <benchmark/benchmark.h>
#include <hnswlib/hnswlib.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/distance/code.hpp"
#include "engine/distance/float32.hpp"
#include "engine/distance/isa.hpp"
#include "engine/distance/kernel.hpp"

namespace {

using namespace dvec::distance;

constexpr std::size_t slot_alignment = 64;
constexpr std::size_t cached_bytes = 32 << 10;
constexpr std::size_t streamed_bytes = 128 << 20;
constexpr std::size_t lengths[] = {32, 64, 100, 128, 256, 384, 512, 768, 1024, 1536, 2048};
constexpr std::size_t streamed_lengths[] = {128, 768, 2048};

struct Free {
    void operator()(std::byte *memory) const { std::free(memory); }
};

enum class Kept { vectors, codes };

// A query and vectors of one length or their codes, each aligned as the slots of an index are.
class Vectors {
  public:
    Vectors(std::size_t dimensions, std::size_t bytes, Kept kept)
        : stride_(
              in_slots(kept == Kept::codes ? code_bytes(dimensions) : dimensions * sizeof(float))),
          count_(std::max<std::size_t>(1, bytes / stride_)),
          query_(allocate(in_slots(dimensions * sizeof(float)))),
          memory_(allocate(count_ * stride_)) {
        std::minstd_rand random(42);
        std::uniform_real_distribution<float> uniform(-1, 1);
        const auto fill = [&](void *vector) {
            std::generate_n(static_cast<float *>(vector), dimensions,
                            [&] { return uniform(random); });
        };
        fill(query_.get());
        std::vector<float> vector(dimensions);
        for (std::size_t index = 0; index < count_; ++index) {
            std::byte *const slot = memory_.get() + index * stride_;
            if (kept == Kept::codes) {
                fill(vector.data());
                encode(vector.data(), dimensions, slot);
            } else {
                fill(slot);
            }
        }
    }

    std::size_t count() const { return count_; }

    const float *query() const { return reinterpret_cast<const float *>(query_.get()); }

    const void *operator[](std::size_t index) const { return memory_.get() + index * stride_; }

  private:
    static std::size_t in_slots(std::size_t bytes) {
        return (bytes + slot_alignment - 1) / slot_alignment * slot_alignment;
    }

    static std::byte *allocate(std::size_t bytes) {
        return static_cast<std::byte *>(std::aligned_alloc(slot_alignment, bytes));
    }

    std::size_t stride_;
    std::size_t count_;
    std::unique_ptr<std::byte, Free> query_;
    std::unique_ptr<std::byte, Free> memory_;
};

// One measured function. A class each, so that the loops below call what is measured directly.
template <Kept kept>
struct RowCall {
    static constexpr Kept measured = kept;
    const Kernel *row;
    std::size_t dimensions;

    float operator()(const float *a, const void *b) const {
        return (kept == Kept::codes ? row->code_distance : row->distance)(a, b, dimensions);
    }
};

struct CosineCall {
    static constexpr Kept measured = Kept::vectors;
    std::size_t dimensions;

    float operator()(const float *a, const void *b) const {
        const CosineParts parts = cosine_parts(a, static_cast<const float *>(b), dimensions);
        return parts.dot + parts.squared_norm_a + parts.squared_norm_b;
    }
};

struct SquaredNormCall {
    static constexpr Kept measured = Kept::vectors;
    std::size_t dimensions;

    float operator()(const float *, const void *b) const {
        return static_cast<float>(squared_norm(static_cast<const float *>(b), dimensions));
    }
};

struct HnswlibCall {
    static constexpr Kept measured = Kept::vectors;
    hnswlib::DISTFUNC<float> function;
    std::size_t dimensions;

    float operator()(const float *a, const void *b) const { return function(a, b, &dimensions); }
};

std::size_t measured_bytes(Kept kept, std::size_t dimensions) {
    return kept == Kept::codes ? dimensions : dimensions * sizeof(float);
}

// Results are added up rather than stored each: with a store behind every call the fastest kernel
// streams vectors of 512 bytes at two thirds of its rate, which would be a measurement of the loop.
template <typename Call>
void run_cached(benchmark::State &state, const Call &call) {
    const Vectors vectors(call.dimensions, cached_bytes, Call::measured);
    std::size_t index = 0;
    float total = 0;
    for (auto _ : state) {
        total += call(vectors.query(), vectors[index]);
        index = index + 1 < vectors.count() ? index + 1 : 0;
    }
    benchmark::DoNotOptimize(total);
}

// The sign of the distance skips a vector or not, which makes the next address wait for it.
template <typename Call>
void run_dependent(benchmark::State &state, const Call &call) {
    const Vectors vectors(call.dimensions, cached_bytes, Call::measured);
    std::size_t index = 0;
    for (auto _ : state) {
        const float distance = call(vectors.query(), vectors[index]);
        index += 1 + (std::bit_cast<std::uint32_t>(distance) >> 31);
        index = index < vectors.count() ? index : 0;
    }
    benchmark::DoNotOptimize(index);
}

template <typename Call>
void run_streamed(benchmark::State &state, const Call &call) {
    const Vectors vectors(call.dimensions, streamed_bytes, Call::measured);
    float total = 0;
    for (auto _ : state) {
        for (std::size_t index = 0; index < vectors.count(); ++index) {
            total += call(vectors.query(), vectors[index]);
        }
    }
    benchmark::DoNotOptimize(total);
    state.SetBytesProcessed(static_cast<std::int64_t>(
        state.iterations() * vectors.count() * measured_bytes(Call::measured, call.dimensions)));
}

// Both forms of a row, each taking one query and four vectors or codes.
template <Kept kept>
struct OneByOne {
    static constexpr Kept measured = kept;
    const Kernel *row;
    std::size_t dimensions;

    float operator()(const float *query, const void *const *vectors) const {
        const auto measure = kept == Kept::codes ? row->code_distance : row->distance;
        return (measure(query, vectors[0], dimensions) + measure(query, vectors[1], dimensions)) +
               (measure(query, vectors[2], dimensions) + measure(query, vectors[3], dimensions));
    }
};

template <Kept kept>
struct FourAtOnce {
    static constexpr Kept measured = kept;
    const Kernel *row;
    std::size_t dimensions;

    float operator()(const float *query, const void *const *vectors) const {
        float distances[4];
        (kept == Kept::codes ? row->four_code_distances : row->four_distances)(
            query, vectors, dimensions, distances);
        return (distances[0] + distances[1]) + (distances[2] + distances[3]);
    }
};

// Calls with the vectors of `order`, four after four, over and over.
template <typename Call>
void run_by_four(benchmark::State &state, const Call &call, const Vectors &vectors,
                 const std::vector<std::uint32_t> &order) {
    std::size_t position = 0;
    float total = 0;
    for (auto _ : state) {
        const void *four[4];
        for (std::size_t i = 0; i < 4; ++i) {
            four[i] = vectors[order[position + i]];
        }
        total += call(vectors.query(), four);
        position = position + 8 <= order.size() ? position + 4 : 0;
    }
    benchmark::DoNotOptimize(total);
    state.SetBytesProcessed(static_cast<std::int64_t>(
        state.iterations() * 4 * measured_bytes(Call::measured, call.dimensions)));
}

template <typename Call>
void run_cached_four(benchmark::State &state, const Call &call) {
    const Vectors vectors(call.dimensions, std::max(cached_bytes, 16 * call.dimensions),
                          Call::measured);
    std::vector<std::uint32_t> order(vectors.count());
    std::iota(order.begin(), order.end(), 0U);
    run_by_four(state, call, vectors, order);
}

template <typename Call>
void run_scattered(benchmark::State &state, const Call &call) {
    const Vectors vectors(call.dimensions, streamed_bytes, Call::measured);
    std::vector<std::uint32_t> order(vectors.count());
    std::iota(order.begin(), order.end(), 0U);
    std::shuffle(order.begin(), order.end(), std::minstd_rand(43));
    run_by_four(state, call, vectors, order);
}

// Registers the three situations for a call; `isa` is active while each of them runs.
template <typename Call>
void add(const std::string &name, Isa isa, const Call &call) {
    const std::string suffix = "/" + name + "/" + std::to_string(call.dimensions);
    const auto pinned = [isa, call](auto run) {
        return [isa, call, run](benchmark::State &state) {
            select_isa(isa);
            run(state, call);
        };
    };
    benchmark::RegisterBenchmark(("cached" + suffix).c_str(), pinned(run_cached<Call>));
    benchmark::RegisterBenchmark(("dependent" + suffix).c_str(), pinned(run_dependent<Call>));
    if (std::ranges::count(streamed_lengths, call.dimensions) != 0) {
        benchmark::RegisterBenchmark(("streamed" + suffix).c_str(), pinned(run_streamed<Call>))
            ->Unit(benchmark::kMillisecond);
    }
}

template <Kept kept>
void add_by_four(const std::string &name, const Kernel *row, std::size_t dimensions) {
    const std::string suffix = "/" + name + "/" + std::to_string(dimensions);
    const OneByOne<kept> one_by_one{row, dimensions};
    const FourAtOnce<kept> four_at_once{row, dimensions};
    benchmark::RegisterBenchmark(("cached_four" + suffix).c_str(),
                                 run_cached_four<FourAtOnce<kept>>, four_at_once);
    if (std::ranges::count(streamed_lengths, dimensions) != 0) {
        benchmark::RegisterBenchmark(("scattered_one_by_one" + suffix).c_str(),
                                     run_scattered<OneByOne<kept>>, one_by_one);
        benchmark::RegisterBenchmark(("scattered_four_at_once" + suffix).c_str(),
                                     run_scattered<FourAtOnce<kept>>, four_at_once);
    }
}

void add_kernels(Isa isa, std::size_t dimensions) {
    const std::string isa_suffix = std::string("/") + isa_name(isa);
    const std::pair<Metric, const char *> metrics[] = {
        {Metric::l2_squared, "l2_squared"},
        {Metric::inner_product, "inner_product"},
        {Metric::l1, "l1"},
    };
    for (const auto &[metric, name] : metrics) {
        const Kernel *row = find_kernel(isa, Element::float32, metric);
        add(name + isa_suffix, isa, RowCall<Kept::vectors>{row, dimensions});
        add_by_four<Kept::vectors>(name + isa_suffix, row, dimensions);
        if (row->code_distance != nullptr) {
            const std::string code_name = std::string("code_") + name + isa_suffix;
            add(code_name, isa, RowCall<Kept::codes>{row, dimensions});
            add_by_four<Kept::codes>(code_name, row, dimensions);
        }
    }
    add("cosine_parts" + isa_suffix, isa, CosineCall{dimensions});
    add("squared_norm" + isa_suffix, isa, SquaredNormCall{dimensions});
}

void run_encode(benchmark::State &state, std::size_t dimensions) {
    const Vectors vectors(dimensions, cached_bytes, Kept::vectors);
    std::vector<std::byte> code(code_bytes(dimensions));
    std::size_t index = 0;
    for (auto _ : state) {
        encode(static_cast<const float *>(vectors[index]), dimensions, code.data());
        benchmark::DoNotOptimize(code.data());
        benchmark::ClobberMemory();
        index = index + 1 < vectors.count() ? index + 1 : 0;
    }
}

void add_hnswlib(std::size_t dimensions) {
    const HnswlibCall l2{hnswlib::L2Space(dimensions).get_dist_func(), dimensions};
    const HnswlibCall inner_product{hnswlib::InnerProductSpace(dimensions).get_dist_func(),
                                    dimensions};
    add("l2_squared/hnswlib", best_isa(), l2);
    add("inner_product/hnswlib", best_isa(), inner_product);
}

}  // namespace

int main(int argc, char **argv) {
    for (const std::size_t dimensions : lengths) {
        for (const Isa isa : every_isa) {
            if (isa_supported(isa)) {
                add_kernels(isa, dimensions);
            }
        }
        add_hnswlib(dimensions);
        benchmark::RegisterBenchmark(
            ("cached/encode/portable/" + std::to_string(dimensions)).c_str(), run_encode,
            dimensions);
    }
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
        return 1;
    }
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}
