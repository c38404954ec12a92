// The answer to a query that no row of the index could equal: a sparse vector with more elements
// than a row may have. Graph and kernels know vectors of one size only, so every entry is measured
// once, as the exact search measures every row.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/graph/search.hpp"
#include "engine/store/index.hpp"
#include "postgres/types/index_support.hpp"

namespace dvec::postgres {

class MeasuredRows {
  public:
    // Measures all entries there are now, to return them in order of distance. `query` is read here
    // only. Code::stale and Code::interrupted as of a search. Takes 16 bytes per entry.
    static base::Result<std::unique_ptr<MeasuredRows>> of(store::Index &index,
                                                          const IndexSupport &support,
                                                          const void *query, bool (*interrupted)());

    // The next entry whose row is not gone by now.
    std::optional<graph::Hit> next();

    // As of a search that has measured one entry after another.
    graph::SearchStatistics statistics() const noexcept;

  private:
    struct Measured {
        double distance;
        graph::NodeId node;
    };
    static bool before(const Measured &a, const Measured &b) noexcept;

    explicit MeasuredRows(const store::Index &index) : index_(index) {}

    const store::Index &index_;
    std::vector<Measured> rows_;
    std::size_t next_ = 0;
};

}  // namespace dvec::postgres
