// What the sources of a search have in common: each hands out rows one at a time, nearest first,
// and the search merges them.
#pragma once

#include <concepts>
#include <optional>

#include "engine/base/status.hpp"
#include "engine/graph/ranked.hpp"

namespace dvec::graph {

// The next row of a stream, by its whole distance; nullopt when the stream has no more.
using Head = std::optional<Ranked>;

// head() does what it takes to know the next row that SearchContext::admits() allows, and returns
// the same row until take() takes it. take() must follow a head() that returned a row. A failed
// head() leaves the stream where it was; one that cannot fail returns no Result.
template <class Stream>
concept ResultStream = requires(Stream stream) {
    { stream.head() } -> std::convertible_to<base::Result<Head>>;
    stream.take();
};

}  // namespace dvec::graph
