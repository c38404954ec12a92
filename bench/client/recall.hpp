// Recall against exact answers. An answer counts when it is as near as the farthest true neighbour,
// so that rows at equal distances may stand for one another.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "bench/client/row_file.hpp"

namespace dvec::bench {

inline double squared_distance(const float *a, const float *b, std::size_t dimensions) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::size_t i = 0; i < dimensions; ++i) {
        const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
        sum += difference * difference;
    }
    return sum;
}

// What a set consists of. Vectors that are compared by angle have length 1 in these files, so that
// the order by squared distance is the order in either case.
struct Truth {
    RowFile<float> base;
    RowFile<float> queries;
    RowFile<std::int32_t> neighbours;  // of each query, nearest first

    // The part of the `k` nearest to `query` that is among `answer`, whose ids are rows of the
    // base; others count as wrong. An answer that is better than the truth ends the program.
    double recall(std::size_t query, std::vector<std::int32_t> answer, std::size_t k) const {
        const auto distance = [&](std::int32_t id) {
            return squared_distance(queries[query], base[static_cast<std::size_t>(id)],
                                    base.width());
        };
        std::sort(answer.begin(), answer.end());
        answer.erase(std::unique(answer.begin(), answer.end()), answer.end());
        std::vector<double> found;
        for (const std::int32_t id : answer) {
            if (id >= 0 && static_cast<std::size_t>(id) < base.count())
                found.push_back(distance(id));
        }
        std::sort(found.begin(), found.end());
        found.resize(std::min(found.size(), k));
        // Servers and peers compute in single precision.
        const double farthest = distance(neighbours[query][k - 1]) * (1 + 1e-5);
        std::size_t hits = 0;
        for (std::size_t rank = 0; rank < found.size(); ++rank) {
            if (found[rank] < distance(neighbours[query][rank]) * (1 - 1e-5) - 1e-12)
                fail("an answer is nearer than the exact one: the exact answers are wrong");
            hits += found[rank] <= farthest ? 1u : 0u;
        }
        return static_cast<double>(hits) / static_cast<double>(k);
    }
};

}  // namespace dvec::bench
