// Finds nearest nodes without locks, while other processes insert and one links. Results come in
// order of distance, one at a time, for as long as the caller asks: the search is resumable and
// complete.
//
// Linked nodes are found by walking the graph in rounds (graph_walk.hpp), and the tail by an exact
// scan when the search begins. What the walk leaves out is found by another exact scan, when the
// caller asks for that many rows. With a filter, a pass over the keys may take the place of the
// walk (filter_plan.hpp).
#pragma once

#include <limits>
#include <memory>
#include <optional>

#include "engine/base/status.hpp"
#include "engine/distance/kernel.hpp"
#include "engine/graph/node_store.hpp"
#include "engine/graph/twins.hpp"

namespace dvec::graph {

struct FilterMemory;
class LinkCodes;
class RowFilter;

struct Hit {
    NodeId id;
    Tid tid;
    double distance;  // what the SQL operator returns, to the last bit
};

// Whether one distance comes before another in SQL's order, where NaN is last.
inline bool comes_before(double distance, double other) {
    return distance < other || (distance == distance && other != other);
}

// Whether one entry comes before another in the order in which a search returns them: equal
// distances by id.
inline bool comes_before(double distance, NodeId id, double other, NodeId other_id) {
    return comes_before(distance, other) || (!comes_before(other, distance) && id < other_id);
}

// Counters of one search, for tests, benchmarks and EXPLAIN.
struct SearchStatistics {
    std::uint64_t distances = 0;  // kernel calls, first looks aside
    std::uint64_t scanned = 0;    // of them those made one slot after another, not here and there
    std::uint64_t estimated = 0;  // link codes that the query was compared with
    std::uint64_t expanded = 0;   // nodes whose links were read
    std::uint64_t tail = 0;       // tail slots scanned
    std::uint32_t rounds = 0;     // times the beam was refilled after it ran out
    std::uint64_t within = 0;     // linked nodes within Params::count_within: estimated by a sample
                                  // by start(), counted with the first hit
    double not_in_memory = 0;     // share of the vectors, by another sample, with that estimate
    bool exact = false;           // the exact completion was entered
    bool left_out = false;        // Rest::left_out ended the walk: there may be more
    bool cut_short = false;       // and a further round would have found some of it
    // With a filter: how rows were found (filter_plan.hpp), and how many of those looked at it
    // refused. The walk counts one refusal for each place.
    enum class Filtered : std::uint8_t { not_at_all, by_walk, by_pass, by_walk_and_pass };
    Filtered filtered = Filtered::not_at_all;
    std::uint64_t refused = 0;
};

class Search {
  public:
    struct Params {
        distance::Kernel kernel;
        std::uint32_t dimensions = 0;
        std::uint32_t ef = 40;
        // After this many hits the rest is found by an exact scan instead of more rounds of graph
        // search. 0: the exact scan finds all of them.
        std::uint64_t exact_after = 20000;
        // What becomes of nodes that the walk over the graph did not find.
        enum class Rest : std::uint8_t {
            exact,    // an exact scan finds them
            left_out  // the search ends with the walk, however far that goes, and with the tail:
                      // where a further round was refused, with the part of it that is no farther
                      // than what the walk has covered
        } rest = Rest::exact;
        // Where all rows are measured from the beginning: the rows that are not farther than this
        // are counted; it is a distance as the operator returns it. NaN: nothing is counted. The
        // caller is not expected to read much farther than this.
        double count_within = std::numeric_limits<double>::quiet_NaN();
        // Where rows come from a walk: the caller wants so many, and none that is farther than
        // this, a distance as the operator returns it. Where the first round has come farther and
        // has found fewer, it may have missed some, and further rounds look for those before any
        // row is returned. 0: how many is not known.
        std::uint64_t wanted_within = 0;
        double farthest_wanted = std::numeric_limits<double>::quiet_NaN();
        // The walk goes past this node with its twins, about as if it had never been there; it must
        // stand on level 0 only and not be the entry point. nobody: past none. So a row finds what
        // a query would find that is not in the graph.
        NodeId without = nobody;
        // The search returns only the rows that this filter admits, and all that is promised below
        // holds for them; null: all rows. The filter must outlive the search, and the nodes must
        // have the columns that it names.
        const RowFilter *filter = nullptr;
        // Link codes of these nodes, of the ids below `coded`, for a walk without a filter; null:
        // it goes by the links alone.
        std::shared_ptr<const LinkCodes> link_codes;
        NodeId coded = 0;
        // What the process remembers of these nodes for searches with a filter; the search adds to
        // it, within so many bytes for all indexes. Null: nothing. It must outlive the search, and
        // no other thread may use it.
        FilterMemory *memory = nullptr;
        std::size_t memory_bytes = 0;
        // Polled every few thousand distances; when it returns true the search returns
        // Code::interrupted. Must not throw or jump.
        bool (*interrupted)() = nullptr;
    };

    Search();
    ~Search();

    // Begins a search over the ids below `marks`. `query` has Kernel::query_bytes and is copied.
    // `nodes` must outlive the search; its mapping must cover marks.allocated
    // (Code::invalid_argument otherwise) and not be refreshed to cover less, but it may be moved by
    // refresh() between calls. A finished or abandoned search can be started again: scratch memory
    // is kept and reused.
    base::Status start(const NodeStore &nodes, const Watermarks &marks, const void *query,
                       const Params &params);

    // The next live hit; nullopt when every live node below the watermarks that the filter admits
    // has been returned, each exactly once (but for Rest::left_out). Hits come in order of
    // distance, equal twins together and in order of id, with one exception: rows that the walk
    // over the graph had missed and that are nearer than hits already returned come at the very
    // end, in order among themselves. After Code::interrupted the search may be abandoned or
    // continued.
    base::Result<std::optional<Hit>> next();

    // Whether next() can answer without another round of the walk and without beginning the exact
    // scan that follows the walk. Code::interrupted as of next().
    base::Result<bool> next_is_at_hand();

    // A lower bound of the distance of next()'s answer, as the operator returns distances. It is
    // found without measuring anything and without another round; minus infinity where no bound is
    // known that way.
    double least_next();

    // From now on the walk begins no round that would probably bring statistics().distances above
    // this; the first round is made in any case. Only for Rest::left_out.
    void limit_distances(std::uint64_t most) noexcept;

    // The rows that next() will probably return soon, as far as that is known without searching on,
    // nearest first. Writes at most `most` of them to `tids` and returns how many. This is a hint
    // to fetch them early and no promise: rows of the tail may come between them, and rows may be
    // deleted.
    std::size_t likely_next(Tid *tids, std::size_t most) const noexcept;

    const SearchStatistics &statistics() const noexcept;
    std::size_t memory_bytes() const noexcept;

  private:
    class Progress;
    std::unique_ptr<Progress> progress_;  // null until the first start()
};

}  // namespace dvec::graph
