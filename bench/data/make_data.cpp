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

// The nearest of all rows that it was shown, by single precision; a few more than are asked for.
class Candidates {
  public:
    explicit Candidates(std::size_t count) : most_(count + 16) {}

    void offer(float distance, std::size_t row) {
        const Neighbour offered{static_cast<double>(distance), static_cast<std::int32_t>(row)};
        if (farthest_first_.size() == most_) {
            if (offered >= farthest_first_.front())
                return;
            std::pop_heap(farthest_first_.begin(), farthest_first_.end());
            farthest_first_.pop_back();
        }
        farthest_first_.push_back(offered);
        std::push_heap(farthest_first_.begin(), farthest_first_.end());
    }

    // `count` of them in the order of double precision, which takes all there are.
    std::vector<Neighbour> nearest(const RowFile<float> &base, const float *query,
                                   std::size_t count) {
        for (auto &[distance, row] : farthest_first_)
            distance = squared_distance(query, base[static_cast<std::size_t>(row)], base.width());
        std::sort(farthest_first_.begin(), farthest_first_.end());
        farthest_first_.resize(count);
        return std::move(farthest_first_);
    }

  private:
    std::size_t most_;
    std::vector<Neighbour> farthest_first_;
};

// So many rows stay in the processor's cache while one query after another is measured with them.
constexpr std::size_t rows_at_once = 1024;

// Answers the queries from `first` to before `last`.
void answer(const RowFile<float> &base, const RowFile<float> &queries, std::size_t first,
            std::size_t last, std::vector<std::vector<Neighbour>> &answers, std::size_t count) {
    std::vector<Candidates> candidates(last - first, Candidates(count));
    for (std::size_t begin = 0; begin < base.count(); begin += rows_at_once) {
        const std::size_t end = std::min(begin + rows_at_once, base.count());
        for (std::size_t query = first; query < last; ++query)
            for (std::size_t row = begin; row < end; ++row)
                candidates[query - first].offer(
                    rough_distance(queries[query], base[row], base.width()), row);
    }
    for (std::size_t query = first; query < last; ++query)
        answers[query] = candidates[query - first].nearest(base, queries[query], count);
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
    const std::size_t parts = arguments.count("threads");
    std::vector<std::thread> threads;
    for (std::size_t part = 0; part < parts; ++part)
        threads.emplace_back([&, first = part * queries.count() / parts,
                              last = (part + 1) * queries.count() / parts] {
            answer(base, queries, first, last, answers, count);
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
