// What a scan costs, in the planner's currency, and which indexes the planner gets to see.
//
// A search computes the distance to most neighbours of the nodes it expands, and it expands about
// ef_search of them before the first row comes; after that about one more for every further row.
// Beyond hnsw.max_scan_tuples rows it reads all nodes once and sorts.
#include <algorithm>

#include "postgres/am/access.hpp"
#include "postgres/am/metapage.hpp"
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

int links_per_node(Oid index_oid) {
    Relation index = index_open(index_oid, NoLock);
    const int m = index_options(index).m;
    index_close(index, NoLock);
    return m;
}

Model make_model(const IndexPath *path) {
    const IndexOptInfo *index = path->indexinfo;
    const double m = links_per_node(index->indexoid);
    return {std::max(index->tuples, 2.0), cpu_index_tuple_cost + cpu_operator_cost,
            2 * m * new_neighbours};
}

}  // namespace

void estimate_cost(struct PlannerInfo *, struct IndexPath *path, double, Cost *startup_cost,
                   Cost *total_cost, Selectivity *selectivity, double *correlation, double *pages) {
    guarded([=] {
        *selectivity = 1;
        *correlation = 0;
        *pages = 0;
        // The index can only order rows.
        if (path->indexorderbys == NIL) {
            *startup_cost = *total_cost = get_float8_infinity();
            return;
        }
        const Model model = make_model(path);
        *startup_cost = model.first_row();
        *total_cost =
            *startup_cost + model.further_rows(model.nodes) + model.nodes * cpu_index_tuple_cost;
    });
}

namespace {

get_relation_info_hook_type previous_relation_info_hook = nullptr;

// A standby's sidecars do not follow the primary. And while an index is being opened or rebuilt, an
// exact search is better than waiting.
bool usable_now(const IndexOptInfo *info) {
    if (RecoveryInProgress() || registry() == nullptr)
        return false;
    Relation index = index_open(info->indexoid, NoLock);
    const IndexFile file = compat::file_name(index);
    index_close(index, NoLock);
    if (is_open_here(file))
        return true;

    LWLockAcquire(&registry()->lock, LW_SHARED);
    const IndexEntry *entry = find_entry(file);
    const bool opening = entry != nullptr && entry->state.load() == IndexState::opening;
    LWLockRelease(&registry()->lock);
    return !opening;
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
                !usable_now(info))
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
