#include "postgres/relation/usual_rows.hpp"

#include "postgres/bridge/catalog.hpp"
#include "postgres/relation/opclass.hpp"

namespace dvec::postgres {

namespace {

// By these the distance to oneself is 0.
bool is_zero_to_itself(distance::Metric metric) {
    switch (metric) {
        case distance::Metric::l2_squared:
        case distance::Metric::l1:
        case distance::Metric::hamming:
        case distance::Metric::jaccard:
            return true;
        default:
            return false;
    }
}

}  // namespace

RowJudge row_judge(Relation index) {
    RowJudge judge{};
    judge.all_vectors_are_usual = is_zero_to_itself(index_support(index)->metric);
    if (judge.all_vectors_are_usual)
        return judge;
    const Oid type = index->rd_opcintype[0];
    const Oid distance = get_opfamily_member(index->rd_opfamily[0], type, type, distance_strategy);
    if (!OidIsValid(distance))
        elog(ERROR, "operator class of index \"%s\" has no distance",
             RelationGetRelationName(index));
    judge.collation = index->rd_indcollation[0];
    fmgr_info(get_opcode(distance), &judge.distance);
    return judge;
}

bool is_usual(RowJudge *judge, Datum value, bool is_null) {
    if (is_null || judge->all_vectors_are_usual)
        return !is_null;
    return std::isfinite(
        DatumGetFloat8(FunctionCall2Coll(&judge->distance, judge->collation, value, value)));
}

}  // namespace dvec::postgres
