// Merges the three streams of a search: the linked nodes come from the graph, then from the exact
// completion, and all the while the tail beside them.
#include "engine/graph/search.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>

#include "engine/graph/completion_stream.hpp"
#include "engine/graph/exact_scan.hpp"
#include "engine/graph/filter_memory.hpp"
#include "engine/graph/graph_stream.hpp"
#include "engine/graph/tail_stream.hpp"

namespace dvec::graph {

using base::Code;
using base::Result;
using base::Status;

namespace {

// The query on cache lines of its own, as the kernels like it.
class AlignedCopy {
  public:
    const std::byte *assign(const void *data, std::size_t size) {
        if (size > size_) {
            bytes_.reset();
            bytes_.reset(
                static_cast<std::byte *>(::operator new (size, std::align_val_t{cache_line})));
            size_ = size;
        }
        std::memcpy(bytes_.get(), data, size);
        return bytes_.get();
    }
    std::size_t memory_bytes() const noexcept { return size_; }

  private:
    struct Free {
        void operator()(std::byte *bytes) const {
            ::operator delete (bytes, std::align_val_t{cache_line});
        }
    };
    std::unique_ptr<std::byte, Free> bytes_;
    std::size_t size_ = 0;
};

}  // namespace

class Search::Progress {
  public:
    Status start(const NodeStore &nodes, const Watermarks &marks, const void *query,
                 const Params &params);
    Result<std::optional<Hit>> next();
    bool next_is_at_hand();
    double least_next();
    std::size_t likely_next(Tid *tids, std::size_t most) const noexcept;

    void limit_distances(std::uint64_t most) noexcept { graph_.limit_distances(most); }

    const SearchStatistics &statistics() const noexcept { return context_.statistics; }
    std::size_t memory_bytes() const noexcept {
        return sizeof(*this) + query_.memory_bytes() + graph_.memory_bytes() +
               completion_.memory_bytes() + tail_.memory_bytes();
    }

  private:
    // The stream that linked nodes come from.
    enum class Linked : std::uint8_t { graph, completion, none };

    void begin_filter(const RowFilter &filter, const Params &params);
    Result<Head> linked_head();
    Head tail_head();
    void take_linked();
    void leave_graph();

    SearchContext context_;
    AlignedCopy query_;
    GraphStream graph_;
    CompletionStream completion_;
    TailStream tail_;
    Params::Rest rest_ = Params::Rest::exact;
    std::uint32_t ef_ = 0;
    Linked linked_ = Linked::none;
    // No linked row that the walk would still have found is nearer; last() until it has ended.
    Ranked covered_ = Ranked::last();
};

Status Search::Progress::start(const NodeStore &nodes, const Watermarks &marks, const void *query,
                               const Params &params) {
    linked_ = Linked::none;
    covered_ = Ranked::last();
    if (marks.allocated > nodes.mapped_slots() || marks.linked > marks.allocated)
        return Status(Code::invalid_argument, "the mapping does not cover the ids to search");
    context_.begin(nodes, marks, params.kernel, params.dimensions,
                   query_.assign(query, params.kernel.query_bytes(params.dimensions)));
    context_.interrupted = params.interrupted;
    context_.count_within = params.count_within;
    if (params.filter != nullptr && !params.filter->empty())
        begin_filter(*params.filter, params);
    if (context_.filter == nullptr && params.link_codes != nullptr) {
        context_.link_codes = params.link_codes;
        context_.coded = params.coded;
    }
    nodes.expect(base::Reading::scattered);

    rest_ = params.exact_after == 0 ? Params::Rest::exact : params.rest;
    graph_.start(context_, params);
    completion_.reset();
    DVEC_TRY(tail_.start(context_));
    if (context_.marks.linked == 0)
        return {};
    linked_ = Linked::graph;
    ef_ = std::max(params.ef, 1u);
    if (context_.filter != nullptr && context_.plan.begins_with_pass(ef_))
        leave_graph();
    if (params.exact_after == 0) {
        if (linked_ == Linked::graph)
            leave_graph();
        if (!std::isnan(context_.count_within)) {
            context_.statistics.not_in_memory = share_missing(context_);
            context_.statistics.within = estimate_within(context_);
        }
    }
    return {};
}

void Search::Progress::begin_filter(const RowFilter &filter, const Params &params) {
    const NodeStore &nodes = *context_.nodes;
    const NodeId linked = context_.marks.linked;
    std::shared_ptr<AdmittedSet> admitted;
    Sketches *sketches = nullptr;
    if (params.memory != nullptr && params.memory_bytes > 0) {
        admitted = params.memory->admitted.of(filter, nodes, linked,
                                              FilterPlan::cost_of_knowing(filter, linked),
                                              params.memory_bytes, params.interrupted);
        // Where all rows are to be measured, there is nothing to shut out.
        if (params.exact_after > 0 && std::isnan(params.count_within) &&
            params.memory->sketches.prepare(nodes, linked, params.kernel, params.dimensions,
                                            params.memory_bytes))
            sketches = &params.memory->sketches;
    }
    context_.begin_filter(filter, std::move(admitted), sketches);
    context_.statistics.filtered = SearchStatistics::Filtered::by_walk;
}

// Merges the linked nodes with the tail.
Result<std::optional<Hit>> Search::Progress::next() {
    for (;;) {
        auto linked = linked_head();
        DVEC_TRY(linked);
        const Head head = linked.value();
        const Head tail = tail_head();
        if (!head && !tail) {
            // Begun only now that everything that comes in order has been returned.
            if (linked_ == Linked::completion && completion_.begin_missed())
                continue;
            return std::optional<Hit>();
        }
        const bool from_tail = !head || (tail && *tail < *head);
        if (from_tail)
            tail_.take();
        else
            take_linked();
        const Ranked nearest = from_tail ? *tail : *head;
        const std::uint64_t state = context_.nodes->state(nearest.id());
        return std::optional<Hit>(Hit{nearest.id(), state_tid(state),
                                      context_.kernel.operator_value(nearest.distance())});
    }
}

Result<Head> Search::Progress::linked_head() {
    if (linked_ == Linked::graph) {
        auto head = graph_.head();
        if (!head.ok() || head.value())
            return head;
        leave_graph();
    }
    if (linked_ == Linked::completion)
        return completion_.head();
    return Head();
}

// Behind what a walk has covered that ended too early there may be nearer linked rows.
Head Search::Progress::tail_head() {
    const Head head = tail_.head();
    return head && *head > covered_ ? Head() : head;
}

void Search::Progress::take_linked() {
    if (linked_ == Linked::graph)
        graph_.take();
    else
        completion_.take();
}

// A pass over the keys, which a filter allows, finds all admitted rows. So it is made even where
// Params::Rest says that the rest is left out.
void Search::Progress::leave_graph() {
    const bool by_pass =
        context_.filter != nullptr &&
        ((graph_.left_for_pass() && graph_.may_measure(context_.plan.admitted())) ||
         context_.statistics.expanded == 0);
    if (context_.filter != nullptr && (by_pass || rest_ == Params::Rest::exact))
        context_.statistics.filtered = context_.statistics.expanded == 0
                                           ? SearchStatistics::Filtered::by_pass
                                           : SearchStatistics::Filtered::by_walk_and_pass;
    if (rest_ == Params::Rest::left_out && !by_pass) {
        context_.statistics.left_out = true;
        covered_ = graph_.covered();
        context_.statistics.cut_short = covered_ < Ranked::last();
        linked_ = Linked::none;
        return;
    }
    linked_ = Linked::completion;
    if (by_pass)
        context_.plan.note_pass();
    // A walk ends with about as many results, too.
    const std::size_t by_sketches =
        by_pass && context_.sketches != nullptr && context_.plan.passes_by_sketches() ? 2 * ef_ : 0;
    completion_.start(context_, graph_.farthest_returned(), graph_.sort_returned(), by_sketches);
}

bool Search::Progress::next_is_at_hand() {
    return linked_ != Linked::graph || graph_.head_at_hand().has_value();
}

double Search::Progress::least_next() {
    const Head linked = linked_ == Linked::graph ? graph_.least() : completion_.least();
    if (!linked)
        return -std::numeric_limits<double>::infinity();
    const Ranked least = std::min(*linked, tail_.least().value_or(Ranked::last()));
    return context_.kernel.operator_value(least.distance());
}

std::size_t Search::Progress::likely_next(Tid *tids, std::size_t most) const noexcept {
    return linked_ == Linked::graph ? graph_.likely_next(tids, most) : 0;
}

Search::Search() = default;
Search::~Search() = default;

Status Search::start(const NodeStore &nodes, const Watermarks &marks, const void *query,
                     const Params &params) {
    return base::guarded([&]() -> Status {
        if (!progress_)
            progress_ = std::make_unique<Progress>();
        return progress_->start(nodes, marks, query, params);
    });
}

Result<std::optional<Hit>> Search::next() {
    return base::guarded([&]() -> Result<std::optional<Hit>> {
        if (!progress_)
            return std::optional<Hit>();
        return progress_->next();
    });
}

Result<bool> Search::next_is_at_hand() {
    return base::guarded(
        [&]() -> Result<bool> { return progress_ && progress_->next_is_at_hand(); });
}

double Search::least_next() {
    return progress_ ? progress_->least_next() : -std::numeric_limits<double>::infinity();
}

void Search::limit_distances(std::uint64_t most) noexcept {
    if (progress_)
        progress_->limit_distances(most);
}

std::size_t Search::likely_next(Tid *tids, std::size_t most) const noexcept {
    return progress_ ? progress_->likely_next(tids, most) : 0;
}

const SearchStatistics &Search::statistics() const noexcept {
    static constexpr SearchStatistics nothing;
    return progress_ ? progress_->statistics() : nothing;
}

std::size_t Search::memory_bytes() const noexcept {
    return progress_ ? progress_->memory_bytes() : 0;
}

}  // namespace dvec::graph
