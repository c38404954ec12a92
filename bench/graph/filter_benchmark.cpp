// Searches with a filter, in one process: recall@10, processor time and what was measured, for
// conditions that know nothing of the vectors, that hold near the query, and that hold far from it,
// as in the harness (bench/harness/filters.py). Prints markdown. What counts is the ratio of two
// lines of one run.
//
//     filter_benchmark FOLDER [nodes] [dimensions] [queries] [ef] [MB of memory] [line]
//
// The graph is built in the folder, which must exist, and used again by the next run with the same
// numbers. Of each query the quickest of some rounds counts, since others use the machine. A line,
// such as "far 10", is measured alone, many times: for a profile.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "bench/check.hpp"
#include "bench/command_line.hpp"
#include "bench/processor_time.hpp"
#include "engine/graph/filter_memory.hpp"
#include "engine/graph/linker.hpp"
#include "engine/graph/row_filter.hpp"
#include "engine/graph/search.hpp"
#include "test/unit/graph/clustered_data.hpp"

namespace {

using namespace dvec;
using namespace dvec::bench;
using namespace dvec::graph;

struct Setup {
    std::string folder;
    std::uint32_t nodes = 200000;
    std::uint32_t dimensions = 128;
    std::uint32_t queries = 100;
    std::uint32_t ef = 40;
    std::uint32_t megabytes = 0;
    std::string line;  // empty: all
};

constexpr std::size_t k = 10;
constexpr int rounds = 5, rounds_alone = 200;
constexpr std::uint32_t m = 16;
constexpr std::uint32_t regions = 200;
constexpr double shares[] = {50, 20, 10, 5, 2, 1, 0.5, 0.1, 0.01};  // per cent
constexpr double least_share_of_regions = 1;
enum Column : std::uint32_t { number, region, columns };

class Data {
  public:
    explicit Data(const Setup &setup)
        : setup_(setup),
          kernel(*distance::find_kernel(distance::Element::float32, distance::Metric::l2_squared)) {
        ClusteredShape shape;
        shape.dimensions = setup.dimensions;
        vectors = ClusteredData(1, shape).make(setup.nodes);
        queries = ClusteredData(2, shape).make(setup.queries);
        std::vector<NodeId> order(setup.nodes);
        std::iota(order.begin(), order.end(), 0);
        std::shuffle(order.begin(), order.end(), std::mt19937_64(3));
        keys.resize(std::size_t{setup.nodes} * columns);
        sizes.resize(regions);
        for (NodeId id = 0; id < setup.nodes; ++id) {
            keys[std::size_t{id} * columns + number] = order[id];
            const std::uint64_t of = regions_from(vector(id)).front().second;
            keys[std::size_t{id} * columns + region] = of;
            ++sizes[of];
        }
    }

    const float *vector(NodeId id) const { return &vectors[std::size_t{id} * setup_.dimensions]; }
    const float *query(std::size_t q) const { return &queries[q * setup_.dimensions]; }
    float distance(const float *a, const float *b) const {
        return kernel.distance(a, b, setup_.dimensions);
    }
    // From the nearest to the farthest; the first rows are the regions' middles.
    std::vector<std::pair<float, std::uint64_t>> regions_from(const float *from) const {
        std::vector<std::pair<float, std::uint64_t>> found(regions);
        for (NodeId id = 0; id < regions; ++id)
            found[id] = {distance(from, vector(id)), id};
        std::sort(found.begin(), found.end());
        return found;
    }

  private:
    const Setup &setup_;

  public:
    const distance::Kernel kernel;
    std::vector<float> vectors;
    std::vector<float> queries;
    std::vector<std::uint64_t> keys;
    std::vector<std::uint32_t> sizes;  // of the regions
};

RowFilter first_numbers(std::uint64_t count) {
    RowFilter filter;
    filter.add({number, RowFilter::Condition::Kind::within_ranges, {{0, count - 1}}, {}});
    return filter;
}

enum class Kind : std::uint8_t { near, far };
// The first regions that have so many rows together.
RowFilter among_regions(const Data &data, const float *query, Kind kind, double rows) {
    auto ordered = data.regions_from(query);
    if (kind == Kind::far)
        std::reverse(ordered.begin(), ordered.end());
    std::vector<RowFilter::Range> ranges;
    for (const auto &[distance, of] : ordered) {
        if (rows <= 0)
            break;
        ranges.push_back({of, of});
        rows -= data.sizes[of];
    }
    std::sort(ranges.begin(), ranges.end(),
              [](const auto &a, const auto &b) { return a.first < b.first; });
    RowFilter filter;
    filter.add({region, RowFilter::Condition::Kind::within_ranges, std::move(ranges), {}});
    return filter;
}

std::unique_ptr<NodeStore> open_graph(const Setup &setup, const Data &data, SharedState &state) {
    const NodeStore::Params params{setup.folder, 1,
                                   layout_of(data.kernel, setup.dimensions, m, columns)};
    auto &files = base::posix_file_system();
    if (auto opened = NodeStore::open_first(files, params, state); opened.ok()) {
        const auto progress = opened.value()->noted_progress();
        if (progress && progress->linked == setup.nodes) {
            state.allocated = state.linked = progress->linked;
            state.entry_point = progress->entry_point;
            state.upper_allocated = progress->upper_allocated;
            return std::move(opened).value();
        }
        fail("the folder has another graph");
    }
    check(NodeStore::create_files(files, params));
    auto opened = NodeStore::open(files, params, state);
    check(opened.status());
    NodeStore &nodes = *opened.value();
    check(nodes.reserve_slots(setup.nodes));
    check(nodes.refresh());
    for (NodeId id = 0; id < setup.nodes; ++id) {
        nodes.write_payload(id, {id, 1}, {data.vector(id), &data.keys[std::size_t{id} * columns]});
        nodes.publish(id);
    }
    state.allocated = setup.nodes;
    auto linker = Linker::create(nodes, {data.kernel, setup.dimensions, 88, 2});
    check(linker.status());
    const std::atomic<bool> stop{false};
    check(linker.value()->link(setup.nodes, stop));
    check(nodes.sync());
    return std::move(opened).value();
}

class Benchmark {
  public:
    Benchmark(const Setup &setup, const Data &data, const NodeStore &nodes)
        : setup_(setup), data_(data), nodes_(nodes) {
        std::printf("%u nodes x %u dimensions, ef %u, %s\n\n", setup.nodes, setup.dimensions,
                    setup.ef, data.kernel.name);
        std::printf(
            "| rows | share | ranges | recall | CPU us | x | distances | scanned | expanded "
            "| refused | passes |\n|---|---|---|---|---|---|---|---|---|---|---|\n");
    }

    void measure(const char *name, double share, const std::vector<RowFilter> &filters) {
        char line[32];
        std::snprintf(line, sizeof(line), "%s %g", name, share);
        if (!setup_.line.empty() && setup_.line != line)
            return;
        std::vector<Hit> hits;
        double recall = 0;
        SearchStatistics sum;
        std::size_t passes = 0, ranges = 0;
        for (std::uint32_t q = 0; q < setup_.queries; ++q) {
            run(q, filters[q], hits);
            recall += recall_of(q, filters[q], hits) / setup_.queries;
            sum.distances += search_.statistics().distances;
            sum.scanned += search_.statistics().scanned;
            sum.expanded += search_.statistics().expanded;
            sum.refused += search_.statistics().refused;
            passes += search_.statistics().exact;
            if (!filters[q].empty())
                ranges += filters[q].conditions().front().ranges.size();
        }
        std::vector<double> quickest(setup_.queries, std::numeric_limits<double>::infinity());
        for (int round = setup_.line.empty() ? rounds : rounds_alone; round > 0; --round)
            for (std::uint32_t q = 0; q < setup_.queries; ++q) {
                const double start = processor_seconds();
                run(q, filters[q], hits);
                quickest[q] = std::min(quickest[q], processor_seconds() - start);
            }
        const double best =
            std::accumulate(quickest.begin(), quickest.end(), 0.0) / setup_.queries * 1e6;
        if (unfiltered_ == 0)
            unfiltered_ = best;
        const auto mean = [&](std::uint64_t total) {
            return static_cast<double>(total) / setup_.queries;
        };
        std::printf("| %s | %g | %.0f | %.3f | %.0f | %.2f | %.0f | %.0f | %.0f | %.0f | %.2f |\n",
                    name, share, mean(ranges), recall, best, unfiltered_ / best,
                    mean(sum.distances), mean(sum.scanned), mean(sum.expanded), mean(sum.refused),
                    mean(passes));
        std::fflush(stdout);
    }

  private:
    void run(std::uint32_t q, const RowFilter &filter, std::vector<Hit> &hits) {
        Search::Params params;
        params.kernel = data_.kernel;
        params.dimensions = setup_.dimensions;
        params.ef = setup_.ef;
        params.filter = &filter;
        params.memory = &memory_;
        params.memory_bytes = std::size_t{setup_.megabytes} << 20;
        check(search_.start(nodes_, Watermarks::load(nodes_.shared()), data_.query(q), params));
        hits.clear();
        while (hits.size() < k) {
            const auto hit = search_.next();
            check(hit.status());
            if (!hit.value())
                break;
            hits.push_back(*hit.value());
        }
    }

    double recall_of(std::uint32_t q, const RowFilter &filter, const std::vector<Hit> &hits) const {
        std::vector<float> exact;
        for (NodeId id = 0; id < setup_.nodes; ++id)
            if (filter.admits(nodes_, id))
                exact.push_back(data_.distance(data_.query(q), data_.vector(id)));
        const std::size_t wanted = std::min(k, exact.size());
        if (wanted == 0)
            return 1;
        std::nth_element(exact.begin(), exact.begin() + static_cast<long>(wanted - 1), exact.end());
        const double farthest = std::sqrt(static_cast<double>(exact[wanted - 1]));
        const auto found = std::count_if(hits.begin(), hits.end(), [&](const Hit &hit) {
            return hit.distance <= farthest * (1 + 1e-7);
        });
        return static_cast<double>(found) / static_cast<double>(wanted);
    }

    const Setup &setup_;
    const Data &data_;
    const NodeStore &nodes_;
    Search search_;
    FilterMemory memory_;
    double unfiltered_ = 0;
};

void run(const Setup &setup) {
    const Data data(setup);
    SharedState state{};
    const auto nodes = open_graph(setup, data, state);
    Benchmark benchmark(setup, data, *nodes);
    benchmark.measure("all", 100, std::vector<RowFilter>(setup.queries));
    for (const double share : shares)
        benchmark.measure(
            "independent", share,
            std::vector<RowFilter>(setup.queries, first_numbers(static_cast<std::uint64_t>(
                                                      std::max(1.0, setup.nodes * share / 100)))));
    for (const Kind kind : {Kind::near, Kind::far})
        for (const double share : shares) {
            if (share < least_share_of_regions)
                continue;
            std::vector<RowFilter> filters;
            for (std::uint32_t q = 0; q < setup.queries; ++q)
                filters.push_back(
                    among_regions(data, data.query(q), kind, setup.nodes * share / 100));
            benchmark.measure(kind == Kind::near ? "near" : "far", share, filters);
        }
}

}  // namespace

int main(int argc, char **argv) {
    if (argc < 2)
        fail(
            "usage: filter_benchmark FOLDER [nodes] [dimensions] [queries] [ef] [MB of memory] "
            "[line]");
    Setup setup;
    setup.folder = argv[1];
    read_numbers(argc, argv, 2, setup.nodes, setup.dimensions, setup.queries, setup.ef,
                 setup.megabytes);
    if (argc > 7)
        setup.line = argv[7];
    if (setup.nodes < regions || setup.dimensions == 0 || setup.queries == 0 || setup.ef == 0)
        fail("too few of something");
    run(setup);
}
