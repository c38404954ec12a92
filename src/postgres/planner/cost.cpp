// What a scan costs, in the planner's currency.
//
// A search computes the distance to most neighbours of the nodes it expands, and it expands about
// ef_search of them before the first row comes; after that about one more for every further row,
// at a higher price; for filters that few rows pass this decides. Beyond hnsw.max_scan_tuples rows
// it reads all nodes once and sorts.
//
// What counts is the comparison with the exact search. The planner takes that for a scan of the
// table's own pages, one operator call each, so dimensions cost nothing here either; and of vectors
// stored out of line it does not see the reading, for which this side is charged less.
//
// An index that could not be searched at once is never worth it: it is hidden when that is known
// (hidden_indexes), and the planner finds out here when the query is the first to want it.
#include "postgres/planner/cost.hpp"

#include <algorithm>

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
#include "postgres/relation/opclass.hpp"
#include "postgres/relation/own_method.hpp"
#include "postgres/repair/open_relation.hpp"

namespace dvec::postgres {

namespace {

// Share of a node's 2M level-0 neighbours that a search has not met before, seen on clustered data.
constexpr double new_neighbours = 0.6;

// A row beyond the first ones takes this many times what its distances are charged, since every
// round of a resumed search expands more nodes than it gives rows and they lie farther apart.
// Measured against the exact search with 3 to 768 dimensions, in tables of 5,000 to 60,000 rows
// that were in memory, it was between two and seven.
constexpr double resumption_factor = 5;

// At least this share of a cost is charged where the exact search reads more than it is charged
// for. Other plans than that one are compared with this cost as well.
constexpr double least_charged = 1.0 / 4;

// What the index checks by itself of a query's conditions.
struct Checked {
    int conditions;
    double share;  // of the rows, that satisfy them
};

// A search with conditions walks, or passes over the keys of all nodes and measures those that are
// left, in order: it takes what costs less (engine/graph/filter_plan.hpp, where the proportions
// were measured). By so much a key and a distance measured in order cost less than one of a walk.
constexpr double keys_of_distance = 240;
constexpr double ordered_of_distance = 2.5;

struct Model {
    double nodes;
    int ef;
    bool exact;
    double distance_cost;
    double distances_per_expansion;
    Checked checked;

    double rows() const { return std::max(1.0, nodes * checked.share); }

    double sorted_nodes() const {
        return nodes * distance_cost + nodes * std::log2(nodes) * cpu_operator_cost;
    }

    double pass() const {
        return nodes * checked.conditions * distance_cost / keys_of_distance +
               rows() * distance_cost / ordered_of_distance +
               rows() * std::log2(std::max(2.0, rows())) * cpu_operator_cost;
    }

    double cheaper(double walk) const {
        return checked.conditions == 0 ? walk : std::min(walk, pass());
    }

    double first_row() const {
        if (exact)
            return cheaper(sorted_nodes());
        const double descent = std::log(nodes) * distances_per_expansion / 2;
        // Nodes that do not satisfy the conditions are looked at as well.
        const double seen = checked.conditions == 0 ? ef : ef * (1 + 0.25 / checked.share);
        return cheaper(distance_cost * std::min(nodes, descent + seen * distances_per_expansion));
    }

    double further_rows() const {
        if (exact)
            return 0;
        const double by_graph = std::min(rows(), static_cast<double>(max_scan_tuples()));
        const double graph_cost =
            resumption_factor * distance_cost * by_graph * distances_per_expansion / checked.share;
        if (rows() <= max_scan_tuples())
            return cheaper(graph_cost);
        return cheaper(graph_cost + sorted_nodes());
    }
};

struct Facts {
    int m;
    int ef;
    bool exact;
    double vector_bytes;  // 0 when values differ in size
    bool searchable;
};

MeasuredBytes sizes(Relation index) {
    const IndexSupport *support = index_support(index);
    const distance::Kernel *kernel = distance::find_kernel(support->element, support->metric);
    const int declared = TupleDescAttr(RelationGetDescr(index), 0)->atttypmod;
    const auto dimensions =
        static_cast<std::size_t>(declared < 0 ? support->max_dimensions : declared);
    if (kernel == nullptr)
        return {0, 0, false, false};
    const auto vector = static_cast<double>(kernel->vector_bytes(dimensions));
    const IndexOptions options = index_options(index);
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

double vector_bytes(Relation index) {
    const IndexSupport *support = index_support(index);
    const int dimensions = TupleDescAttr(RelationGetDescr(index), 0)->atttypmod;
    const distance::Kernel *kernel = distance::find_kernel(support->element, support->metric);
    if (support->element == distance::Element::sparse_float32 || dimensions < 0 ||
        kernel == nullptr)
        return 0;
    return static_cast<double>(kernel->vector_bytes(static_cast<std::size_t>(dimensions)));
}

// As far as the query's LIMIT says.
RowsWanted rows_wanted_by(const PlannerInfo *root) {
    return root->limit_tuples > 0 ? RowsWanted{root->limit_tuples, root->limit_tuples}
                                  : RowsWanted{};
}

// The planner holds a lock on the index.
Facts facts_of(Oid index_oid, const RowsWanted &wanted = {}) {
    Relation index = index_open(index_oid, NoLock);
    const Facts facts{index_options(index).m, candidates(index, wanted), searches_exactly(index),
                      vector_bytes(index), can_be_searched(index)};
    index_close(index, NoLock);
    return facts;
}

bool are_out_of_line(const RelOptInfo *table, const Facts &facts) {
    return facts.vector_bytes > static_cast<double>(TOAST_TUPLE_THRESHOLD) &&
           static_cast<double>(table->pages) * BLCKSZ < table->tuples * facts.vector_bytes;
}

// What it costs to read the vectors that the exact search measures: of the rows that pass the
// query's filters, in pieces that are looked up one by one. Nothing where vectors stand in the
// table's own pages, whose reading the planner knows of; wider ones than a page's quarter never do.
double unseen_reading(const RelOptInfo *table, const Facts &facts) {
    if (!are_out_of_line(table, facts))
        return 0;
    return table->rows * facts.vector_bytes / BLCKSZ * random_page_cost;
}

// Between two costs only their ratio counts, so instead of raising the other one by what it lacks,
// this one is lowered; start-up and total alike, since a LIMIT saves the exact search none of it.
double share_charged(const RelOptInfo *table, const Facts &facts) {
    const double unseen = unseen_reading(table, facts);
    const double seen = table->pages * seq_page_cost + table->tuples * cpu_tuple_cost;
    return unseen > 0 ? std::max(least_charged, seen / (seen + unseen)) : 1;
}

constexpr Selectivity least_share = 1e-9;

Checked checked_by(PlannerInfo *root, const IndexPath *path) {
    return {list_length(path->indexclauses),
            path->indexclauses == NIL ? 1 : std::max(least_share, share_admitted(root, path))};
}

// `exact`: whether all rows are measured, or the session's settings decide.
Model model_of(PlannerInfo *root, const IndexPath *path, const Facts &facts, bool exact) {
    return {std::max(path->indexinfo->tuples, 2.0),
            facts.ef,
            exact,
            cpu_index_tuple_cost + cpu_operator_cost,
            2 * facts.m * new_neighbours,
            checked_by(root, path)};
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
    const Facts facts = facts_of(path->indexinfo->indexoid, rows_wanted_by(root));
    return share_charged(path->indexinfo->rel, facts) *
           model_of(root, path, facts, true).first_row();
}

SearchTimes search_times(PlannerInfo *root, const IndexPath *path) {
    const Facts facts = facts_of(path->indexinfo->indexoid, rows_wanted_by(root));
    const Checked checked = checked_by(root, path);
    const graph::FilterPlan plan({std::max(path->indexinfo->tuples, 2.0), checked.share,
                                  static_cast<double>(checked.conditions),
                                  static_cast<std::uint32_t>(facts.m),
                                  measured_bytes(path->indexinfo).walked});
    const double first = plan.expected_cost(static_cast<std::size_t>(facts.ef));
    return {first, std::max(first, plan.cost_of_pass())};
}

MeasuredBytes measured_bytes(const IndexOptInfo *index) {
    const Facts facts = facts_of(index->indexoid);
    Relation relation = index_open(index->indexoid, NoLock);
    MeasuredBytes bytes = sizes(relation);
    index_close(relation, NoLock);
    bytes.out_of_line = are_out_of_line(index->rel, facts);
    return bytes;
}

void estimate_cost(struct PlannerInfo *root, struct IndexPath *path, double, Cost *startup_cost,
                   Cost *total_cost, Selectivity *selectivity, double *correlation, double *pages) {
    guarded([=] {
        *selectivity = 1;
        *correlation = 0;
        *pages = 0;
        *startup_cost = *total_cost = get_float8_infinity();
        const IndexOptInfo *index = path->indexinfo;
        // The index can only order rows, and has none without a vector.
        if (path->indexorderbys == NIL || wants_no_vector(path->indexclauses))
            return compat::exclude(&path->path);
        const Facts facts = facts_of(index->indexoid, rows_wanted_by(root));
        if (!facts.searchable)
            return compat::exclude(&path->path);
        const Model model = model_of(root, path, facts, facts.exact);
        const double share = share_charged(index->rel, facts);
        const double first = model.first_row();
        const double further = model.further_rows() + model.rows() * cpu_index_tuple_cost;
        // Only rows that the index's conditions leave are fetched from the table.
        *selectivity = model.checked.share;
        *startup_cost = share * first;
        *total_cost = share * (first + further);
    });
}

}  // namespace dvec::postgres
