// What a scan costs, in the planner's currency.
//
// What counts is the comparison with the exact search: a scan of the table, an operator call for
// each row, and a sort. What the planner charges for that says little of the time that it takes: of
// vectors stored out of line it does not see the reading, and dimensions cost nothing. So the work
// of both is estimated by one set of prices (search_budget.hpp), and a scan is charged what the
// planner charges for the exact search times their ratio.
//
// A walk measures most of the neighbours of the nodes it expands, and expands about as many as it
// keeps candidates before the first row comes. As many rows as these it hands out without another
// distance; for more it goes on, at a higher price for each. Beyond hnsw.max_scan_tuples rows all
// nodes are read once and sorted.
//
// An index that could not be searched at once is never worth it: it is hidden when that is known
// (hidden_indexes), and the planner finds out here when the query is the first to want it.
#include "postgres/planner/cost.hpp"

#include <algorithm>
#include <cmath>

#include "engine/distance/compact.hpp"
#include "engine/distance/sparse.hpp"
#include "engine/graph/filter_plan.hpp"
#include "postgres/am/rows_wanted.hpp"
#include "postgres/am/scan_settings.hpp"
#include "postgres/am/scan_terms.hpp"
#include "postgres/bridge/access_method.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/bridge/planner.hpp"
#include "postgres/planner/index_conditions.hpp"
#include "postgres/planner/search_budget.hpp"
#include "postgres/relation/built_options.hpp"
#include "postgres/relation/opclass.hpp"
#include "postgres/relation/own_method.hpp"
#include "postgres/repair/open_relation.hpp"

namespace dvec::postgres {

namespace {

// The work before the first row of a VectorSearch around a search.
constexpr double start_of_node = 100;

// Nodes on the way from the entry point to the query; and in a table of so many rows the part of a
// list's 2M links that leads to nodes that were not met before. In a smaller one it is less.
constexpr double nodes_on_the_way = 50;
constexpr double new_of_links = 0.28;
constexpr double rows_of_these = 100'000;
constexpr double growth = 0.2;

// A row beyond the first ones takes so many times what a candidate does: every round of a walk that
// goes on expands more nodes than it gives rows, and they lie farther apart.
constexpr double resumption_factor = 2;

// A search of an index without vectors measures so many rows in the table for each that it hands
// out.
double measured_in_table(const IndexOptions &options) {
    return options.storage != Storage::compact || options.bits == 8 ? 1.1
           : options.bits == 4                                      ? 1.5
                                                                    : 5;
}

// With one bit, so many times as many where it passes over all compact vectors: a walk keeps only
// some of those that may be near.
constexpr double more_in_a_pass = 5;

// What the index checks by itself of a query's conditions.
struct Checked {
    int conditions;
    double share;  // of the rows, that satisfy them
};

struct Facts {
    IndexOptions options;
    int ef;
    bool exact;
    MeasuredBytes bytes;
    bool searchable;
};

// `out_of_line` is left to others.
MeasuredBytes sizes(Relation index, const IndexOptions &options) {
    const IndexSupport *support = index_support(index);
    const distance::Kernel *kernel = distance::find_kernel(support->element, support->metric);
    const int declared = TupleDescAttr(RelationGetDescr(index), 0)->atttypmod;
    const auto dimensions =
        static_cast<std::size_t>(declared < 0 ? support->max_dimensions : declared);
    if (kernel == nullptr)
        return {0, 0, false, false};
    const auto vector = static_cast<double>(kernel->vector_bytes(dimensions));
    if (options.storage == Storage::compact)
        return {vector,
                static_cast<double>(
                    distance::compact_bytes(static_cast<unsigned>(options.bits), dimensions)),
                false, true};
    if (options.nonzeros > 0) {
        const auto element =
            distance::element_with_room(static_cast<std::size_t>(options.nonzeros));
        return {vector,
                static_cast<double>(
                    distance::sparse_bytes(distance::indexed_capacity(element, dimensions))),
                false, true};
    }
    const auto code = static_cast<double>(kernel->vector_code_bytes(dimensions));
    return {vector, code > 0 ? code : vector, false, false};
}

// Of each row alike; 0 where they differ.
double bytes_in_table(Relation index) {
    const IndexSupport *support = index_support(index);
    const int dimensions = TupleDescAttr(RelationGetDescr(index), 0)->atttypmod;
    const distance::Kernel *kernel = distance::find_kernel(support->element, support->metric);
    if (support->element == distance::Element::sparse_float32 || dimensions < 0 ||
        kernel == nullptr)
        return 0;
    return static_cast<double>(kernel->vector_bytes(static_cast<std::size_t>(dimensions)));
}

bool are_out_of_line(const RelOptInfo *table, double vector_bytes) {
    return vector_bytes > static_cast<double>(TOAST_TUPLE_THRESHOLD) &&
           static_cast<double>(table->pages) * BLCKSZ < table->tuples * vector_bytes;
}

MeasuredBytes bytes_of(const IndexOptInfo *info, Relation index, const IndexOptions &options) {
    MeasuredBytes bytes = sizes(index, options);
    bytes.out_of_line = are_out_of_line(info->rel, bytes_in_table(index));
    return bytes;
}

// The planner holds a lock on the index.
Facts facts_of(const IndexOptInfo *info, const RowsWanted &wanted) {
    Relation index = index_open(info->indexoid, NoLock);
    // This may open it, so that it is known how it was built.
    const bool searchable = can_be_searched(index);
    const IndexOptions options = built_options(index);
    const Facts facts{options, candidates(index, wanted), searches_exactly(index),
                      bytes_of(info, index, options), searchable};
    index_close(index, NoLock);
    return facts;
}

constexpr Selectivity least_share = 1e-9;

Checked checked_by(PlannerInfo *root, const IndexPath *path) {
    return {list_length(path->indexclauses),
            path->indexclauses == NIL ? 1 : std::max(least_share, share_admitted(root, path))};
}

// The exact search of a whole table, whose rows pass as the query's conditions say.
ExactWork exact_work(const RelOptInfo *table, const MeasuredBytes &bytes) {
    ExactWork work;
    work.rows = std::max(table->tuples, 1.0);
    work.pages = table->pages;
    work.vector_bytes = bytes.vector;
    work.out_of_line = bytes.out_of_line;
    return work;
}

// The share of the table's rows that the query's conditions leave.
double share_passing(const RelOptInfo *table) {
    return std::clamp(table->rows / std::max(table->tuples, 1.0), least_share, 1.0);
}

// As far as the query's LIMIT says.
RowsWanted rows_wanted_by(const PlannerInfo *root, const RelOptInfo *table) {
    const double limit = root->limit_tuples;
    return limit > 0 ? RowsWanted{limit, with_filters(limit, share_passing(table))} : RowsWanted{};
}

// What the planner charges for a unit of work.
Cost cost_of_work(const PlannerInfo *root, const RelOptInfo *table, const MeasuredBytes &bytes) {
    const double rows = std::max(table->tuples, 1.0);
    const double passing = rows * share_passing(table);
    const double kept =
        root->limit_tuples > 0 ? std::min(passing, 2 * root->limit_tuples) : passing;
    const double comparisons = std::log2(std::max(2.0, kept));
    const Cost cost = table->pages * seq_page_cost +
                      rows * (cpu_tuple_cost + table->baserestrictcost.per_tuple) +
                      passing * cpu_operator_cost * (1 + 2 * comparisons);
    return cost / work_of(exact_work(table, bytes), share_passing(table), 0, comparisons);
}

// Of a search without conditions on columns of the index, in units of work.
struct SearchWork {
    double first;    // before the first row
    double further;  // for all rows, as many times as there are rows
};

class Model {
  public:
    Model(const PlannerInfo *root, const IndexPath *path, const Facts &facts)
        : facts_(facts),
          table_(path->indexinfo->rel),
          nodes_(std::max(path->indexinfo->tuples, 2.0)),
          wanted_(rows_taken(root)),
          walked_(work_of_walking(facts.bytes.walked)),
          scanned_(work_of_scanning(facts.bytes.compact ? facts.bytes.walked : facts.bytes.vector)),
          fetched_(work_of_fetching(exact_work(table_, facts.bytes))) {}

    // All nodes are measured in one pass, and put in order as far as rows are asked for.
    SearchWork exact() const {
        const double measured = facts_.options.bits == 1 ? more_in_a_pass * wanted_ : wanted_;
        return {start_of_search + nodes_ * scanned_ + in_table(measured), work_of_sorting(nodes_)};
    }

    SearchWork walk() const {
        if (measures_all(facts_.ef, static_cast<uint64>(nodes_)))
            return exact();
        const double candidates = facts_.ef + nodes_on_the_way;
        const double walked = walked_ * std::min(nodes_, candidates * distances_of_candidate());
        const double beyond = wanted_ > 0 ? std::max(0.0, 1 - facts_.ef / wanted_) : 1;
        const double further = beyond * resumption_factor * distances_of_candidate() * walked_;
        const double most = max_scan_tuples();
        return {start_of_search + walked + in_table(wanted_),
                nodes_ <= most ? nodes_ * further
                               : most * further + nodes_ * scanned_ + work_of_sorting(nodes_)};
    }

  private:
    double distances_of_candidate() const {
        return 2 * facts_.options.m * new_of_links * std::pow(nodes_ / rows_of_these, growth);
    }

    // How many rows the query takes from the scan; 0 where that is not known.
    double rows_taken(const PlannerInfo *root) const {
        if (root->limit_tuples <= 0 || bms_membership(root->all_baserels) != BMS_SINGLETON)
            return 0;
        return root->limit_tuples / share_passing(table_);
    }

    double in_table(double rows) const {
        return facts_.bytes.compact
                   ? fetched_ * std::min(nodes_, measured_in_table(facts_.options) * rows)
                   : 0;
    }

    const Facts &facts_;
    const RelOptInfo *table_;
    double nodes_;
    double wanted_;
    // The work of a distance on a walk and in a pass over all nodes, and of one in the table.
    double walked_;
    double scanned_;
    double fetched_;
};

SearchTimes times_of(const IndexPath *path, const Facts &facts, const Checked &checked) {
    const graph::FilterPlan plan({std::max(path->indexinfo->tuples, 2.0), checked.share,
                                  static_cast<double>(checked.conditions),
                                  static_cast<std::uint32_t>(facts.options.m), facts.bytes.walked});
    const double first = plan.expected_cost(static_cast<std::size_t>(facts.ef));
    return {first, std::max(first, plan.cost_of_pass())};
}

SearchWork work_with_conditions(const IndexPath *path, const Facts &facts, const Checked &checked,
                                bool exact) {
    const SearchTimes times = times_of(path, facts, checked);
    const double first = work_of_nanoseconds(exact ? times.all : times.first);
    return {start_of_search + first, work_of_nanoseconds(times.all) - first};
}

SearchWork work_of_search(const PlannerInfo *root, const IndexPath *path, const Facts &facts,
                          const Checked &checked, bool exact) {
    if (path->indexclauses != NIL)
        return work_with_conditions(path, facts, checked, exact);
    const Model model(root, path, facts);
    return exact ? model.exact() : model.walk();
}

// The server takes a scan for safe in parallel workers where the table's conditions and columns
// are, whatever it orders by. A parameter that a query around this one sets has no value in a
// worker.
void note_what_workers_lack(PlannerInfo *root, IndexPath *path) {
    path->path.parallel_safe =
        path->path.parallel_safe &&
        is_parallel_safe(root, reinterpret_cast<Node *>(path->indexorderbys));
}

bool wants_no_vector(const List *clauses) {
    const ListCell *cell;
    foreach (cell, clauses) {
        const auto *clause = lfirst_node(IndexClause, cell);
        const Expr *checked = linitial_node(RestrictInfo, clause->indexquals)->clause;
        if (clause->indexcol == 0 && IsA(checked, NullTest) &&
            reinterpret_cast<const NullTest *>(checked)->nulltesttype == IS_NULL)
            return true;
    }
    return false;
}

}  // namespace

Cost exact_order_cost(PlannerInfo *root, const IndexPath *path) {
    const Facts facts = facts_of(path->indexinfo, rows_wanted_by(root, path->indexinfo->rel));
    return cost_of_work(root, path->indexinfo->rel, facts.bytes) *
           work_of_search(root, path, facts, checked_by(root, path), true).first;
}

double share_seen(PlannerInfo *root, const IndexPath *path) {
    const RelOptInfo *table = path->indexinfo->rel;
    const MeasuredBytes bytes = measured_bytes(path->indexinfo);
    MeasuredBytes seen = bytes;
    seen.out_of_line = false;
    return bytes.out_of_line ? cost_of_work(root, table, bytes) / cost_of_work(root, table, seen)
                             : 1;
}

SearchTimes search_times(PlannerInfo *root, const IndexPath *path) {
    return times_of(path, facts_of(path->indexinfo, rows_wanted_by(root, path->indexinfo->rel)),
                    checked_by(root, path));
}

MeasuredBytes measured_bytes(const IndexOptInfo *info) {
    Relation index = index_open(info->indexoid, NoLock);
    const MeasuredBytes bytes = bytes_of(info, index, built_options(index));
    index_close(index, NoLock);
    return bytes;
}

void estimate_cost(struct PlannerInfo *root, struct IndexPath *path, double, Cost *startup_cost,
                   Cost *total_cost, Selectivity *selectivity, double *correlation, double *pages) {
    guarded([=] {
        *selectivity = 1;
        *correlation = 0;
        *pages = 0;
        *startup_cost = *total_cost = get_float8_infinity();
        note_what_workers_lack(root, path);
        const IndexOptInfo *index = path->indexinfo;
        // The index can only order rows, and has none without a vector.
        if (path->indexorderbys == NIL || wants_no_vector(path->indexclauses))
            return compat::exclude(&path->path);
        const Facts facts = facts_of(index, rows_wanted_by(root, path->indexinfo->rel));
        if (!facts.searchable)
            return compat::exclude(&path->path);
        const Checked checked = checked_by(root, path);
        const SearchWork work = work_of_search(root, path, facts, checked, facts.exact);
        const Cost of_work = cost_of_work(root, index->rel, facts.bytes);
        // Only rows that the index's conditions leave are fetched from the table.
        *selectivity = checked.share;
        const double rows = std::max(1.0, index->tuples * *selectivity);
        const double first = work.first + (index->indrestrictinfo == NIL ? 0 : start_of_node);
        *startup_cost = of_work * first;
        *total_cost = of_work * (first + work.further) + rows * cpu_index_tuple_cost;
    });
}

}  // namespace dvec::postgres
