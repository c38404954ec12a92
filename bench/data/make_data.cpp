// Makes the sets of vectors that are measured on, and their exact answers:
//
//     make_data generate --count N --dimensions D --seed S --unit 0|1 --out F
//         clustered vectors, the same for the same arguments; queries are made with another seed
//     make_data decode --codes F.i8 --dimensions D --out F
//         the demo's embeddings: per row a float32 scale and D signed bytes
//     make_data split --in F --every N --unit 0|1 --base F --queries F
//         every N-th row becomes a query, the others the base
//     make_data truth --base F --queries F --neighbours K --threads T --out F
//         the K nearest of each query, by scanning everything; prints how many dimensions the data
//         seem to have near the queries
//
// "Unit" vectors are divided by their length: they stand for vectors compared by angle.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <fstream>
#include <functional>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "bench/client/arguments.hpp"
#include "bench/client/recall.hpp"
#include "bench/client/row_file.hpp"
#include "test/unit/graph/clustered_data.hpp"

namespace dvec::bench {

namespace {

void make_unit(float *vector, std::size_t dimensions) {
    double sum = 0;
    for (std::size_t i = 0; i < dimensions; ++i)
        sum += static_cast<double>(vector[i]) * static_cast<double>(vector[i]);
    if (sum == 0)
        fail("a zero vector has no angle");
    const double factor = 1 / std::sqrt(sum);
    for (std::size_t i = 0; i < dimensions; ++i)
        vector[i] = static_cast<float>(static_cast<double>(vector[i]) * factor);
}

void generate(const Arguments &arguments) {
    graph::ClusteredShape shape;
    shape.dimensions = arguments.count("dimensions");
    graph::ClusteredData data(arguments.count("seed"), shape);
    RowWriter out(arguments.text("out"), shape.dimensions);
    for (std::size_t i = 0; i < arguments.count("count"); ++i) {
        std::vector<float> vector = data.make(1);
        if (arguments.count("unit") != 0)
            make_unit(vector.data(), shape.dimensions);
        out.add(vector.data());
    }
    out.finish();
}

void decode(const Arguments &arguments) {
    const std::size_t dimensions = arguments.count("dimensions");
    std::ifstream codes(arguments.text("codes"), std::ios::binary);
    RowWriter out(arguments.text("out"), dimensions);
    std::vector<std::int8_t> row(dimensions);
    std::vector<float> vector(dimensions);
    float scale = 0;
    std::size_t count = 0;
    while (codes.read(reinterpret_cast<char *>(&scale), sizeof scale) &&
           codes.read(reinterpret_cast<char *>(row.data()),
                      static_cast<std::streamsize>(dimensions))) {
        for (std::size_t i = 0; i < dimensions; ++i)
            vector[i] = scale * static_cast<float>(row[i]);
        out.add(vector.data());
        ++count;
    }
    if (count == 0 || codes.gcount() != 0)
        fail(arguments.text("codes") + " does not hold whole rows");
    out.finish();
}

void split(const Arguments &arguments) {
    const RowFile<float> in(arguments.text("in"));
    const std::size_t every = arguments.count("every");
    RowWriter base(arguments.text("base"), in.width());
    RowWriter queries(arguments.text("queries"), in.width());
    for (std::size_t row = 0; row < in.count(); ++row) {
        std::vector<float> vector(in[row], in[row] + in.width());
        if (arguments.count("unit") != 0)
            make_unit(vector.data(), in.width());
        (row % every == every - 1 ? queries : base).add(vector.data());
    }
    base.finish();
    queries.finish();
}

float rough_distance(const float *a, const float *b, std::size_t dimensions) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::size_t i = 0; i < dimensions; ++i)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

using Neighbour = std::pair<double, std::int32_t>;

// Candidates by single precision, a few more than asked for, put in order by double precision.
std::vector<Neighbour> nearest(const RowFile<float> &base, const float *query, std::size_t count) {
    std::vector<Neighbour> all(base.count());
    for (std::size_t row = 0; row < base.count(); ++row)
        all[row] = {static_cast<double>(rough_distance(query, base[row], base.width())),
                    static_cast<std::int32_t>(row)};
    const std::size_t candidates = std::min(base.count(), count + 16);
    std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(candidates),
                      all.end());
    all.resize(candidates);
    for (auto &[distance, row] : all)
        distance = squared_distance(query, base[static_cast<std::size_t>(row)], base.width());
    std::sort(all.begin(), all.end());
    all.resize(count);
    return all;
}

// Maximum-likelihood estimate of the local intrinsic dimension (Levina and Bickel, 2004): from the
// distances of the neighbours, given squared and in order.
double local_dimension(const std::vector<Neighbour> &neighbours) {
    const double farthest = neighbours.back().first;
    double sum = 0;
    std::size_t used = 0;
    for (const auto &[distance, row] : neighbours) {
        if (distance <= 0 || distance >= farthest)
            continue;
        sum += 0.5 * std::log(farthest / distance);
        ++used;
    }
    return used == 0 ? 0 : static_cast<double>(used) / sum;
}

void truth(const Arguments &arguments) {
    const RowFile<float> base(arguments.text("base"));
    const RowFile<float> queries(arguments.text("queries"));
    if (base.width() != queries.width())
        fail("base and queries have different dimensions");
    const std::size_t count = std::min(base.count(), arguments.count("neighbours"));
    std::vector<std::vector<Neighbour>> answers(queries.count());
    std::atomic<std::size_t> next{0};
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < arguments.count("threads"); ++t)
        threads.emplace_back([&] {
            for (std::size_t query; (query = next++) < queries.count();)
                answers[query] = nearest(base, queries[query], count);
        });
    for (std::thread &thread : threads)
        thread.join();
    RowWriter out(arguments.text("out"), count);
    double dimension = 0;
    for (const auto &answer : answers) {
        std::vector<std::int32_t> ids;
        for (const auto &[distance, row] : answer)
            ids.push_back(row);
        out.add(ids.data());
        dimension += local_dimension(answer) / static_cast<double>(queries.count());
    }
    out.finish();
    Report report;
    report.add("local_dimension", dimension);
    report.add("base", static_cast<double>(base.count()));
    report.add("queries", static_cast<double>(queries.count()));
    report.add("dimensions", static_cast<double>(base.width()));
    report.print();
}

}  // namespace

}  // namespace dvec::bench

int main(int argc, char **argv) {
    using namespace dvec::bench;
    const std::map<std::string, std::function<void(const Arguments &)>> commands = {
        {"generate", generate}, {"decode", decode}, {"split", split}, {"truth", truth}};
    const auto command = commands.find(argc > 1 ? argv[1] : "");
    if (command == commands.end())
        fail("usage: make_data generate|decode|split|truth --name value ...");
    command->second(Arguments(argc, argv, 2));
}
