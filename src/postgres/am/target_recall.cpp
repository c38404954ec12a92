// The curve of an index is in its entry in the registry, which may be given to another index at any
// moment. Then a search is as wide as that one's would be, once.
#include "postgres/am/target_recall.hpp"

#include <optional>

#include "postgres/bridge/executor.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/wal.hpp"
#include "postgres/relation/options.hpp"
#include "postgres/relation/own_index.hpp"
#include "postgres/repair/open_relation.hpp"
#include "postgres/runtime/open_index.hpp"

namespace dvec::postgres {

namespace {

// Null where the index is not in use.
store::SharedState *state_of(const IndexFile &file) {
    if (registry() == nullptr)
        return nullptr;
    if (const OpenIndex *open = find_open_index(file))
        return &open->entry->shared;
    LWLockAcquire(&registry()->lock, LW_SHARED);
    IndexEntry *entry = find_entry(file);
    LWLockRelease(&registry()->lock);
    return entry == nullptr ? nullptr : &entry->shared;
}

void ask_for_curve(store::SharedState *state) {
    if (state->recall_wanted.load(std::memory_order_relaxed) != 0)
        return;
    state->recall_wanted.store(1);
    wake_worker();
}

void put(ReturnSetInfo *result, const graph::RecallCurve &curve, std::size_t k, std::size_t ef) {
    const graph::RecallCurve::Point point = curve.points[k][ef];
    Datum values[] = {Int32GetDatum(static_cast<int32>(graph::curve_neighbours[k])),
                      Int32GetDatum(static_cast<int32>(graph::curve_efs[ef])),
                      Float8GetDatum(double{point.recall}),
                      Float8GetDatum(double{point.error}),
                      Int32GetDatum(static_cast<int32>(curve.queries)),
                      Int64GetDatum(static_cast<int64>(curve.rows))};
    bool nulls[lengthof(values)] = {};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

}  // namespace

int ef_for_target(Relation index, double recall, double rows) {
    store::SharedState *state = state_of(compat::file_name(index));
    if (state != nullptr) {
        ask_for_curve(state);
        if (const std::optional<graph::RecallCurve> curve = state->recall.load())
            return static_cast<int>(curve->ef_for(recall, rows));
    }
    return static_cast<int>(graph::careful_ef(recall, rows));
}

void measure_if_targeted(Relation index) {
    if (index_options(index).target_recall == no_target_recall || !can_be_searched(index))
        return;
    if (store::SharedState *state = state_of(compat::file_name(index)))
        ask_for_curve(state);
}

// Opens the index, so that what its file holds is known.
DVEC_COMMON_FUNCTION(recall_curve) {
    require_registry();
    InitMaterializedSRF(fcinfo, 0);
    auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    const OwnIndex own = open_own_index(PG_GETARG_OID(0));
    if (!RecoveryInProgress())
        (void)open_relation(own.index);
    const store::SharedState *state = state_of(compat::file_name(own.index));
    const std::optional<graph::RecallCurve> curve =
        state == nullptr ? std::nullopt : state->recall.load();
    for (std::size_t k = 0; curve && k < graph::curve_neighbours.size(); ++k)
        for (std::size_t ef = 0; ef < graph::curve_efs.size(); ++ef)
            if (graph::curve_efs[ef] >= graph::curve_neighbours[k])
                put(result, *curve, k, ef);
    close_own_index(own);
    return Datum{0};
}

}  // namespace dvec::postgres
