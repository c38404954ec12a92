// CREATE INDEX and REINDEX: the sidecar is built first, and the metapage that names it is written
// last.
#include "postgres/am/callbacks.hpp"

#include "postgres/am/target_recall.hpp"
#include "postgres/bridge/access_method.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/relation/build_sidecar.hpp"
#include "postgres/relation/life.hpp"
#include "postgres/relation/metapage.hpp"

namespace dvec::postgres {

IndexBuildResult *build_index(Relation heap, Relation index, IndexInfo *index_info) {
    return guarded([=] {
        require_registry();
        // The file number may have belonged to an index that was dropped not long ago.
        forget_index(compat::file_name(index));
        forget_life(index);
        Metapage metapage = new_metapage(index, WithIdentity::yes);
        // pg_upgrade has the new server create empty indexes, whose files it then replaces by those
        // of the old server. Nothing is built here, so that the sidecars of the old server can be
        // brought along.
        BuildResult built{};
        if (!IsBinaryUpgrade)
            built = build_sidecar(heap, index, index_info, shape_of(index, metapage), RowSource{});
        metapage.only_usual_rows = built.only_usual_rows ? 1 : 0;
        // Last, so that an index whose sidecar was not completed has no metapage that names one.
        write_metapage(index, MAIN_FORKNUM, metapage);
        if (!IsBinaryUpgrade)
            measure_if_targeted(index);
        auto *result = static_cast<IndexBuildResult *>(palloc0(sizeof(IndexBuildResult)));
        result->heap_tuples = built.heap_tuples;
        result->index_tuples = built.index_tuples;
        return result;
    });
}

void build_empty_index(Relation index) {
    guarded([=] {
        require_registry();
        write_metapage(index, INIT_FORKNUM, new_metapage(index, WithIdentity::no));
    });
}

char *build_phase_name(int64 phase) {
    switch (phase) {
        case PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE:
            return pstrdup("initializing");
        case static_cast<int64>(BuildPhase::load):
            return pstrdup("loading tuples");
        case static_cast<int64>(BuildPhase::link):
            return pstrdup("linking nodes");
        case static_cast<int64>(BuildPhase::store):
            return pstrdup("writing files");
        default:
            return nullptr;
    }
}

}  // namespace dvec::postgres
