// What a search costs as an index grows, in one process: recall@10, distances measured, nodes
// expanded and processor time over ef, with the files in memory in pages of one size or another.
// Prints markdown. What counts is the ratio of two lines of one run.
//
//     walk_benchmark FOLDER PAGES [nodes] [dimensions] [queries] [rounds] [ef...]
//
// The index is built in the folder, as CREATE INDEX does, and used again by the next run with the
// same numbers. PAGES says how its files come into memory, before they are searched:
//
//     kept    as they are there, from the build or the last run
//     small   in pages of 4 kB
//     ahead   as the system reads a file that is read from beginning to end
//     large   as dvec_prewarm reads it
//
// Of each query the quickest of some rounds counts, since others use the machine.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "bench/command_line.hpp"
#include "bench/processor_time.hpp"
#include "bench/store/index_alone.hpp"
#include "engine/graph/search.hpp"
#include "engine/store/index.hpp"
#include "test/unit/graph/clustered_data.hpp"

namespace {

using namespace dvec;
using namespace dvec::bench;
using namespace dvec::graph;

struct Setup {
    std::string folder;
    std::string pages;
    std::uint32_t nodes = 100000;
    std::uint32_t dimensions = 128;
    std::uint32_t queries = 300;
    int rounds = 5;
    std::vector<std::uint32_t> efs;
};

constexpr std::size_t k = 10;
constexpr std::uint32_t efs_unless_said[] = {15, 25, 40, 64, 100, 160};
constexpr char file_names[][10] = {"nodes.1", "upper.1"};

store::Description describe(const Setup &setup) {
    store::Description description;
    description.directory = setup.folder + "/index";
    description.owner.identity = 1;
    description.dimensions = setup.dimensions;
    return description;
}

void build(const Setup &setup) {
    ClusteredShape shape;
    shape.dimensions = setup.dimensions;
    ClusteredData data(1, shape);
    const double start = processor_seconds();
    auto builder = store::Builder::create(base::posix_file_system(), describe(setup), 2);
    check(builder.status());
    for (std::uint32_t row = 0; row < setup.nodes; ++row)
        check(builder.value()->add({row, 1}, {data.make(1).data(), nullptr}));
    NoWal wal;
    complete(*builder.value(), wal);
    std::printf("built in %.1f s of processor time\n", processor_seconds() - start);
}

// Pages stay as they came, so they have to go first; nobody may have them mapped.
void bring_in(const Setup &setup) {
    for (const char *name : file_names) {
        const std::string path = describe(setup).directory + "/" + name;
        const int file = ::open(path.c_str(), O_RDWR);
        if (file < 0)
            fail("could not open " + path);
        const off_t size = ::lseek(file, 0, SEEK_END);
        if (setup.pages == "kept") {
            ::close(file);
            continue;
        }
        ::fdatasync(file);
        ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        std::vector<char> buffer(setup.pages == "small" ? 4096 : 1 << 20);
        ::posix_fadvise(file, 0, 0,
                        setup.pages == "small" ? POSIX_FADV_RANDOM : POSIX_FADV_SEQUENTIAL);
        if (setup.pages != "large")
            for (off_t at = 0; at < size; at += static_cast<off_t>(buffer.size()))
                if (::pread(file, buffer.data(), buffer.size(), at) <= 0)
                    fail("could not read " + path);
        ::close(file);
    }
}

// What the process has mapped of files in pages of 2 MB.
std::string mapped_in_large_pages() {
    std::ifstream file("/proc/self/smaps_rollup");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("FilePmdMapped:"))
            return line.substr(line.find_first_not_of(' ', 14));
    return "unknown";
}

std::vector<float> exact_distances(const Setup &setup, const NodeStore &nodes,
                                   const distance::Kernel &kernel, const float *query) {
    std::vector<float> nearest;
    for (NodeId id = 0; id < setup.nodes; ++id) {
        const float distance = kernel.distance(query, nodes.vector(id), setup.dimensions);
        if (nearest.size() == k && distance >= nearest.front())
            continue;
        nearest.push_back(distance);
        std::push_heap(nearest.begin(), nearest.end());
        if (nearest.size() > k) {
            std::pop_heap(nearest.begin(), nearest.end());
            nearest.pop_back();
        }
    }
    return nearest;
}

// The distance of the k-th nearest of each query, kept beside the index.
std::vector<float> farthest_of_nearest(const Setup &setup, const NodeStore &nodes,
                                       const distance::Kernel &kernel,
                                       const std::vector<float> &queries) {
    const std::string path = setup.folder + "/farthest";
    std::vector<float> farthest(setup.queries);
    const auto bytes = static_cast<std::streamsize>(farthest.size() * sizeof(float));
    if (std::ifstream known(path, std::ios::binary);
        known.read(reinterpret_cast<char *>(farthest.data()), bytes))
        return farthest;
    for (std::uint32_t q = 0; q < setup.queries; ++q)
        farthest[q] =
            exact_distances(setup, nodes, kernel, &queries[std::size_t{q} * setup.dimensions])
                .front();
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char *>(farthest.data()), bytes);
    return farthest;
}

void run(const Setup &setup) {
    const store::Description description = describe(setup);
    auto &files = base::posix_file_system();
    if (auto there = files.exists(description.directory); there.ok() && !there.value())
        build(setup);
    const distance::Kernel &kernel = *description.kernel();
    const NodeStore::Params params = store::node_store_params(description, kernel, 1);
    ClusteredShape shape;
    shape.dimensions = setup.dimensions;
    const std::vector<float> queries = ClusteredData(2, shape).make(setup.queries);
    bring_in(setup);

    SharedState state{};
    auto opened = NodeStore::open_first(files, params, state);
    check(opened.status());
    NodeStore &nodes = *opened.value();
    const auto progress = nodes.noted_progress();
    if (!progress || progress->linked != setup.nodes)
        fail("the folder has another graph");
    state.allocated = state.linked = progress->linked;
    state.entry_point = progress->entry_point;
    state.upper_allocated = progress->upper_allocated;
    if (setup.pages == "large") {
        base::most_in_large_pages = std::numeric_limits<std::uint64_t>::max();
        check(nodes.bring_in(nullptr).status());
    }
    const std::vector<float> farthest = farthest_of_nearest(setup, nodes, kernel, queries);

    std::printf("%u nodes x %u dimensions, %s, entry point on level %d, pages: %s, ", setup.nodes,
                setup.dimensions, kernel.name, EntryPoint::unpack(progress->entry_point).level,
                setup.pages.c_str());
    Search search;
    const auto measure = [&](std::uint32_t ef, bool print) {
        std::vector<double> quickest(setup.queries, std::numeric_limits<double>::infinity());
        std::uint64_t distances = 0, expanded = 0, right = 0;
        for (int round = 0; round < setup.rounds; ++round) {
            distances = expanded = right = 0;
            for (std::uint32_t q = 0; q < setup.queries; ++q) {
                const double start = processor_seconds();
                Search::Params search_params;
                search_params.kernel = kernel;
                search_params.dimensions = setup.dimensions;
                search_params.ef = ef;
                check(search.start(nodes, Watermarks::load(state),
                                   &queries[std::size_t{q} * setup.dimensions], search_params));
                double found[k];
                for (double &distance : found)
                    distance = search.next().value()->distance;
                quickest[q] = std::min(quickest[q], processor_seconds() - start);
                distances += search.statistics().distances;
                expanded += search.statistics().expanded;
                const double limit = std::sqrt(static_cast<double>(farthest[q])) * (1 + 1e-6);
                right += static_cast<std::uint64_t>(std::count_if(
                    std::begin(found), std::end(found), [&](double d) { return d <= limit; }));
            }
        }
        if (!print)
            return;
        const double per_query =
            std::accumulate(quickest.begin(), quickest.end(), 0.0) * 1e6 / setup.queries;
        const double of_query = 1.0 / setup.queries;
        std::printf("| %u | %.4f | %.0f | %.1f | %.1f | %.1f |\n", ef,
                    static_cast<double>(right) * of_query / k,
                    static_cast<double>(distances) * of_query,
                    static_cast<double>(expanded) * of_query, per_query,
                    per_query * 1e3 / (static_cast<double>(distances) * of_query));
        std::fflush(stdout);
    };
    measure(setup.efs.back(), false);
    std::printf("mapped in large pages: %s\n\n", mapped_in_large_pages().c_str());
    std::printf(
        "| ef | recall | distances | expanded | us | ns a distance |\n"
        "|---|---|---|---|---|---|\n");
    for (const std::uint32_t ef : setup.efs)
        measure(ef, true);
}

}  // namespace

int main(int argc, char **argv) {
    if (argc < 3)
        fail(
            "usage: walk_benchmark FOLDER kept|small|ahead|large [nodes] [dimensions] [queries] "
            "[rounds] [ef...]");
    Setup setup;
    setup.folder = argv[1];
    setup.pages = argv[2];
    read_numbers(argc, argv, 3, setup.nodes, setup.dimensions, setup.queries, setup.rounds);
    for (int at = 7; at < argc; ++at)
        read_numbers(argc, argv, at, setup.efs.emplace_back());
    if (setup.efs.empty())
        setup.efs.assign(std::begin(efs_unless_said), std::end(efs_unless_said));
    if (setup.nodes <= k || setup.dimensions == 0 || setup.queries == 0 || setup.rounds < 1)
        fail("too few of something");
    run(setup);
}
