// What a scan costs, in the planner's currency, and which indexes the planner gets to see.
//
// A search computes the distance to most neighbours of the nodes it expands, and it expands about
// ef_search of them before the first row comes; after that about one more for every further row.
// Beyond hnsw.max_scan_tuples rows it reads all nodes once and sorts. An index that could not be
// searched at once is never worth it: the planner hides it when it knows, and finds out here when
// the query is the first to want it.
#include <algorithm>

#include "postgres/am/access.hpp"
#include "postgres/am/options.hpp"
#include "postgres/am/phases.hpp"
#include "postgres/bridge/guard.hpp"

extern "C" {
#include "access/genam.h"
#include "access/xlog.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/plancat.h"
#include "utils/selfuncs.h"
}

namespace dvec::postgres {

namespace {

// Share of a node's 2M level-0 neighbours that a search has not met before, seen on clustered data.
constexpr double new_neighbours = 0.6;

struct Model {
    double nodes;
    double distance_cost;
    double distances_per_expansion;

    double first_row() const {
        const double descent = std::log(nodes) * distances_per_expansion / 2;
        return distance_cost * std::min(nodes, descent + ef_search * distances_per_expansion);
    }

    double further_rows(double rows) const {
        const double by_graph = std::min(rows, static_cast<double>(max_scan_tuples));
        const double graph_cost = by_graph * distances_per_expansion * distance_cost;
        if (rows <= max_scan_tuples)
            return graph_cost;
        const double sort_cost = nodes * std::log2(nodes) * cpu_operator_cost;
        return graph_cost + nodes * distance_cost + sort_cost;
    }
};

struct Facts {
    int m;
    bool searchable;
};

// The planner holds a lock on the index.
Facts facts_of(Oid index_oid) {
    Relation index = index_open(index_oid, NoLock);
    const Facts facts{index_options(index).m, can_be_searched(index)};
    index_close(index, NoLock);
    return facts;
}

}  // namespace

void estimate_cost(struct PlannerInfo *, struct IndexPath *path, double, Cost *startup_cost,
                   Cost *total_cost, Selectivity *selectivity, double *correlation, double *pages) {
    guarded([=] {
        *selectivity = 1;
        *correlation = 0;
        *pages = 0;
        *startup_cost = *total_cost = get_float8_infinity();
        // The index can only order rows.
        if (path->indexorderbys == NIL)
            return;
        const IndexOptInfo *index = path->indexinfo;
        const Facts facts = facts_of(index->indexoid);
        if (!facts.searchable)
            return;
        const Model model{std::max(index->tuples, 2.0), cpu_index_tuple_cost + cpu_operator_cost,
                          2 * facts.m * new_neighbours};
        *startup_cost = model.first_row();
        *total_cost =
            *startup_cost + model.further_rows(model.nodes) + model.nodes * cpu_index_tuple_cost;
    });
}

namespace {

get_relation_info_hook_type previous_relation_info_hook = nullptr;

// A standby's sidecars do not follow the primary. And while an index is opened or repaired, an
// exact search is better than waiting. One that nobody has opened yet is left alone until a query
// could use it (estimate_cost).
bool known_unusable(const IndexOptInfo *info) {
    if (RecoveryInProgress() || registry() == nullptr)
        return true;
    Relation index = index_open(info->indexoid, NoLock);
    const IndexFile file = compat::file_name(index);
    index_close(index, NoLock);
    if (is_open_here(file))
        return false;

    LWLockAcquire(&registry()->lock, LW_SHARED);
    const IndexEntry *entry = find_entry(file);
    const IndexState state = entry == nullptr ? IndexState::closed : entry->state.load();
    LWLockRelease(&registry()->lock);
    return state != IndexState::closed && !is_worth_planning(file, state);
}

void hide_unusable_indexes(PlannerInfo *root, Oid relation, bool inherited_parent,
                           RelOptInfo *rel) {
    if (previous_relation_info_hook)
        previous_relation_info_hook(root, relation, inherited_parent, rel);
    guarded([=] {
        ListCell *cell;
        foreach (cell, rel->indexlist) {
            const auto *info = static_cast<IndexOptInfo *>(lfirst(cell));
            if (reinterpret_cast<amcostestimate_function>(info->amcostestimate) == estimate_cost &&
                known_unusable(info))
                rel->indexlist = foreach_delete_current(rel->indexlist, cell);
        }
    });
}

}  // namespace

void planner_init() {
    previous_relation_info_hook = get_relation_info_hook;
    get_relation_info_hook = hide_unusable_indexes;
}

}  // namespace dvec::postgres
