// Before planning a query, the server lists the indexes of each of its tables. An index that is
// removed from the list is not considered.
//
// dvec_recall() and dvec_compare() measure one of several indexes on a column, which may be
// pgvector's. The others are hidden meanwhile, as nothing else keeps the planner from choosing
// them.
#include "postgres/planner/hidden_indexes.hpp"

#include "postgres/bridge/access_method.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/planner.hpp"
#include "postgres/bridge/shared_memory.hpp"
#include "postgres/bridge/wal.hpp"
#include "postgres/relation/own_method.hpp"
#include "postgres/runtime/following.hpp"
#include "postgres/runtime/open_index.hpp"

namespace dvec::postgres {

namespace {

get_relation_info_hook_type previous_relation_info_hook = nullptr;

// While an index is opened or repaired, or is far behind a standby's replay, an exact search is
// better than waiting. An index that nobody has opened yet is not hidden: estimate_cost opens it
// when a query could use it.
bool known_unusable(const IndexOptInfo *info) {
    if (registry() == nullptr || (RecoveryInProgress() && most_pages_behind() == 0))
        return true;
    Relation index = index_open(info->indexoid, NoLock);
    const IndexFile file = compat::file_name(index);
    index_close(index, NoLock);
    return !wants_opening(file) && !may_be_planned(file);
}

// dvec.measured_index
char *measured_index_text;
Oid measured_index = InvalidOid;

bool check_measured_index(char **value, void **, GucSource) {
    return (*value)[0] == '\0' || std::strspn(*value, "0123456789") == std::strlen(*value);
}

void assign_measured_index(const char *value, void *) {
    measured_index = static_cast<Oid>(std::strtoul(value, nullptr, 10));
}

bool is_measured(const RelOptInfo *rel) {
    const ListCell *cell;
    foreach (cell, rel->indexlist)
        if (static_cast<const IndexOptInfo *>(lfirst(cell))->indexoid == measured_index)
            return true;
    return false;
}

void hide_all_but_measured(RelOptInfo *rel) {
    ListCell *cell;
    foreach (cell, rel->indexlist) {
        const auto *info = static_cast<IndexOptInfo *>(lfirst(cell));
        if (info->amcanorderbyop && info->indexoid != measured_index)
            rel->indexlist = foreach_delete_current(rel->indexlist, cell);
    }
}

void hide_unusable_indexes(PlannerInfo *root, Oid relation, bool inherited_parent,
                           RelOptInfo *rel) {
    if (previous_relation_info_hook)
        previous_relation_info_hook(root, relation, inherited_parent, rel);
    guarded([=] {
        ListCell *cell;
        foreach (cell, rel->indexlist) {
            const auto *info = static_cast<IndexOptInfo *>(lfirst(cell));
            if (is_own_method(info->amcostestimate) && known_unusable(info))
                rel->indexlist = foreach_delete_current(rel->indexlist, cell);
        }
        if (OidIsValid(measured_index) && is_measured(rel))
            hide_all_but_measured(rel);
    });
}

}  // namespace

void hidden_indexes_init() {
    DefineCustomStringVariable(
        "dvec.measured_index", "OID of the only index to order its table's rows by distance with.",
        "For dvec_recall and dvec_compare.", &measured_index_text, "", PGC_USERSET,
        GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE, check_measured_index,
        assign_measured_index, nullptr);
    previous_relation_info_hook = get_relation_info_hook;
    get_relation_info_hook = hide_unusable_indexes;
}

}  // namespace dvec::postgres
