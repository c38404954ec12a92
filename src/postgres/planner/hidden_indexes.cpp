// The server asks for the indexes of each table of a query before it plans; what is taken out of
// that list is not looked at.
#include "postgres/planner/hidden_indexes.hpp"

#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/planner.hpp"
#include "postgres/relation/own_method.hpp"
#include "postgres/runtime/open_index.hpp"

extern "C" {
#include "access/genam.h"
#include "access/xlog.h"
#include "optimizer/plancat.h"
}

namespace dvec::postgres {

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
    return !wants_opening(file) && !may_be_planned(file);
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
    });
}

}  // namespace

void hidden_indexes_init() {
    previous_relation_info_hook = get_relation_info_hook;
    get_relation_info_hook = hide_unusable_indexes;
}

}  // namespace dvec::postgres
