// The graph against bare hnswlib, in one process, on the same vectors: build time and graph
// quality, then recall@10 and queries per second over ef, single-threaded. Prints markdown. What
// counts is the ratio of two lines of one run.
//
//     graph_benchmark [nodes] [dimensions] [threads] [M] [ef_construction] [queries] [link codes]
//
// With 1 for the last, dvec goes by link codes.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

// 0.6.2 defines functions and variables in its headers, as the linker's object does too. A
// namespace of its own keeps the peer entirely apart from the copy inside the linker.
#define hnswlib bare_hnswlib
#define cpuid bench_hnswlib_cpuid
#define xgetbv bench_hnswlib_xgetbv
#define AVXCapable bench_hnswlib_AVXCapable
#define AVX512Capable bench_hnswlib_AVX512Capable
#include <hnswlib/hnswlib.h>
#undef hnswlib

#include "bench/check.hpp"
#include "bench/command_line.hpp"
#include "bench/processor_time.hpp"
#include "bench/scratch_folder.hpp"
#include "engine/graph/link_codes.hpp"
#include "engine/graph/linker.hpp"
#include "engine/graph/search.hpp"
#include "test/unit/graph/clustered_data.hpp"

namespace {

using namespace dvec;
using namespace dvec::bench;
using namespace dvec::graph;
using Clock = std::chrono::steady_clock;

struct Setup {
    std::size_t nodes = 100000;
    std::size_t dimensions = 128;
    unsigned threads = 2;
    std::uint32_t m = 16;
    std::uint32_t ef_construction = 64;
    std::size_t queries = 1000;
    bool link_codes = false;
};

constexpr std::size_t k = 10;
constexpr std::size_t ef_steps[] = {10, 20, 40, 60, 80, 120, 160, 240, 400};

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

using Answers = std::vector<std::vector<NodeId>>;

Answers exact_answers(const Setup &setup, const std::vector<float> &data,
                      const std::vector<float> &queries, distance::DistanceFunction function) {
    Answers answers(setup.queries);
    std::vector<std::pair<float, NodeId>> found(setup.nodes);
    for (std::size_t q = 0; q < setup.queries; ++q) {
        for (std::size_t i = 0; i < setup.nodes; ++i)
            found[i] = {function(&queries[q * setup.dimensions], &data[i * setup.dimensions],
                                 setup.dimensions),
                        static_cast<NodeId>(i)};
        std::partial_sort(found.begin(), found.begin() + k, found.end());
        for (std::size_t i = 0; i < k; ++i)
            answers[q].push_back(found[i].second);
    }
    return answers;
}

double recall(const Answers &truth, const Answers &given) {
    std::size_t hits = 0;
    for (std::size_t q = 0; q < truth.size(); ++q)
        for (const NodeId id : given[q])
            hits += std::count(truth[q].begin(), truth[q].end(), id) > 0 ? 1u : 0u;
    return static_cast<double>(hits) / static_cast<double>(truth.size() * k);
}

struct Point {
    double recall = 0;
    double queries_per_second = 0;
};

// Best of several passes: other processes only ever take time away.
template <class Query>
Point measure(const Setup &setup, const Answers &truth, Query query) {
    Answers given(setup.queries);
    double best = 0;
    for (int pass = 0; pass < 5; ++pass) {
        const double start = processor_seconds();
        for (std::size_t q = 0; q < setup.queries; ++q) {
            given[q].clear();
            query(q, given[q]);
        }
        const double seconds = processor_seconds() - start;
        best = std::max(best, static_cast<double>(setup.queries) / seconds);
    }
    return {recall(truth, given), best};
}

void print_build(const char *name, Clock::time_point wall, double processor) {
    std::printf("| %s | %.2f | %.2f |\n", name, seconds_since(wall),
                processor_seconds() - processor);
}

void build_bare(const Setup &setup, const std::vector<float> &data,
                bare_hnswlib::HierarchicalNSW<float> &bare) {
    std::atomic<std::size_t> next{1};
    bare.addPoint(data.data(), 0);
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < setup.threads; ++t)
        threads.emplace_back([&] {
            for (std::size_t i; (i = next.fetch_add(1)) < setup.nodes;)
                bare.addPoint(&data[i * setup.dimensions], i);
        });
    for (std::thread &thread : threads)
        thread.join();
}

void run(const Setup &setup, const std::string &directory) {
    ClusteredShape shape;
    shape.dimensions = setup.dimensions;
    const std::vector<float> data = ClusteredData(1, shape).make(setup.nodes);
    const std::vector<float> queries = ClusteredData(2, shape).make(setup.queries);
    const distance::Kernel kernel =
        *distance::find_kernel(distance::Element::float32, distance::Metric::l2_squared);
    const Answers truth = exact_answers(setup, data, queries, kernel.distance);
    const auto query = [&](std::size_t q) { return &queries[q * setup.dimensions]; };
    const auto nodes_count = static_cast<std::uint32_t>(setup.nodes);

    std::printf("%zu nodes x %zu dimensions, M=%u, ef_construction=%u, %u threads, kernel %s\n\n",
                setup.nodes, setup.dimensions, setup.m, setup.ef_construction, setup.threads,
                kernel.name);
    std::printf("| build | wall s | processor s |\n|---|---|---|\n");

    SharedState state{};
    const NodeStore::Params params{
        directory, 1, layout_of(kernel, static_cast<std::uint32_t>(setup.dimensions), setup.m)};
    check(NodeStore::create_files(base::posix_file_system(), params));
    auto opened = NodeStore::open(base::posix_file_system(), params, state);
    check(opened.status());
    NodeStore &nodes = *opened.value();
    auto wall = Clock::now();
    double processor = processor_seconds();
    check(nodes.reserve_slots(nodes_count));
    check(nodes.refresh());
    for (NodeId id = 0; id < nodes_count; ++id) {
        nodes.write_payload(id, {id, 1}, &data[id * setup.dimensions]);
        nodes.publish(id);
    }
    state.allocated = nodes_count;
    print_build("dvec, writing the slots", wall, processor);

    wall = Clock::now();
    processor = processor_seconds();
    auto linker = Linker::create(nodes, {kernel, static_cast<std::uint32_t>(setup.dimensions),
                                         setup.ef_construction, setup.threads});
    check(linker.status());
    const std::atomic<bool> stop{false};
    check(linker.value()->link(nodes_count, stop));
    print_build("dvec, linking", wall, processor);

    bare_hnswlib::L2Space space(setup.dimensions);
    bare_hnswlib::HierarchicalNSW<float> bare(&space, setup.nodes, setup.m, setup.ef_construction);
    wall = Clock::now();
    processor = processor_seconds();
    build_bare(setup, data, bare);
    print_build("hnswlib", wall, processor);

    // The same searcher over the same links in hnswlib's order of construction is not possible: its
    // levels are random. Its quality per ef is read from its own search.
    std::printf(
        "\n| ef | dvec recall | dvec QPS | hnswlib recall | hnswlib QPS | QPS ratio | distances |\n"
        "|---|---|---|---|---|---|---|\n");
    std::shared_ptr<LinkCodes> codes;
    NodeId coded = 0;
    if (setup.link_codes) {
        const auto dimensions = static_cast<std::uint32_t>(setup.dimensions);
        check(LinkCodes::create(base::posix_file_system(), params, kernel, dimensions));
        auto opened_codes = LinkCodes::open(base::posix_file_system(), params, kernel, dimensions);
        check(opened_codes.status());
        codes = std::move(opened_codes).value();
        wall = Clock::now();
        processor = processor_seconds();
        check(codes->grow(nodes_count));
        for (; coded < nodes_count; ++coded)
            codes->code(nodes, coded, LinkCodes::Before::nothing);
        print_build("dvec, coding links", wall, processor);
    }
    Search search;
    const Watermarks marks = Watermarks::load(state);
    for (const std::size_t ef : ef_steps) {
        std::uint64_t distances = 0;
        const Point ours = measure(setup, truth, [&](std::size_t q, std::vector<NodeId> &found) {
            Search::Params search_params;
            search_params.kernel = kernel;
            search_params.dimensions = static_cast<std::uint32_t>(setup.dimensions);
            search_params.ef = static_cast<std::uint32_t>(ef);
            search_params.link_codes = codes;
            search_params.coded = coded;
            check(search.start(nodes, marks, query(q), search_params));
            for (std::size_t i = 0; i < k; ++i)
                found.push_back(search.next().value()->id);
            distances += search.statistics().distances;
        });
        bare.setEf(ef);
        const Point theirs = measure(setup, truth, [&](std::size_t q, std::vector<NodeId> &found) {
            auto result = bare.searchKnn(query(q), k);
            for (; !result.empty(); result.pop())
                found.push_back(static_cast<NodeId>(result.top().second));
        });
        std::printf("| %zu | %.4f | %.0f | %.4f | %.0f | %.2f | %.0f |\n", ef, ours.recall,
                    ours.queries_per_second, theirs.recall, theirs.queries_per_second,
                    ours.queries_per_second / theirs.queries_per_second,
                    static_cast<double>(distances) / static_cast<double>(5 * setup.queries));
        std::fflush(stdout);
    }
}

}  // namespace

int main(int argc, char **argv) {
    Setup setup;
    read_numbers(argc, argv, 1, setup.nodes, setup.dimensions, setup.threads, setup.m,
                 setup.ef_construction, setup.queries, setup.link_codes);
    const ScratchFolder folder;
    run(setup, folder.path());
}
