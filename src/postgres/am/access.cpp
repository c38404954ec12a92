// A sidecar that cannot be believed is rebuilt by the first process that needs it, from the table,
// with the rights of the table's owner: the index's expressions are the owner's code, whoever runs
// the query.
#include "postgres/am/access.hpp"

#include "postgres/am/build.hpp"
#include "postgres/am/metapage.hpp"

extern "C" {
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/index.h"
#include "nodes/execnodes.h"
}

namespace dvec::postgres {

namespace {

void rebuild_from_heap(Relation index, const store::Shape &shape) {
    Relation heap = table_open(IndexGetRelation(RelationGetRelid(index), false), AccessShareLock);
    Oid user;
    int security_context;
    GetUserIdAndSecContext(&user, &security_context);
    // Both are restored by the end of the transaction too, should an ERROR intervene.
    SetUserIdAndSecContext(heap->rd_rel->relowner,
                           security_context | SECURITY_RESTRICTED_OPERATION);
    const int settings_level = NewGUCNestLevel();

    build_sidecar(heap, index, BuildIndexInfo(index), shape, Rows::present);

    AtEOXact_GUC(false, settings_level);
    SetUserIdAndSecContext(user, security_context);
    table_close(heap, AccessShareLock);
}

class RelationSource final : public IndexSource {
  public:
    explicit RelationSource(Relation index) : index_(index) {}

    store::Shape shape() override { return shape_of(index_, read_metapage(index_)); }

    void rebuild(const IndexFile &, const store::Shape &shape) override {
        rebuild_from_heap(index_, shape);
    }

  private:
    Relation index_;
};

}  // namespace

OpenIndex *open_relation(Relation index) {
    require_registry();
    if (RecoveryInProgress())
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("hnsw index \"%s\" cannot be used during recovery",
                        RelationGetRelationName(index)),
                 errhint("Queries on a standby use the exact search; do not set enable_seqscan "
                         "to off.")));
    RelationSource source(index);
    return open_index(compat::file_name(index), source);
}

}  // namespace dvec::postgres
