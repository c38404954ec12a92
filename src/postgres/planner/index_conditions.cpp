#include "postgres/planner/index_conditions.hpp"

#include "postgres/bridge/catalog.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/relation/row_encoder.hpp"

namespace dvec::postgres {

namespace {

// One column of an index, and a condition that may be on it.
struct Candidate {
    PlannerInfo *root;
    IndexOptInfo *index;
    RestrictInfo *condition;
    int column;

    bool is_column(Node *expression) const {
        return match_index_to_operand(expression, column, index);
    }
    bool is_argument(Node *expression) const {
        return !bms_is_member(static_cast<int>(index->rel->relid), pull_varnos(root, expression)) &&
               !contain_volatile_functions(expression);
    }
    bool has_operator(Oid operator_oid, Oid collation) const {
        const Oid own = index->indexcollations[column];
        return OidIsValid(operator_oid) && (!OidIsValid(own) || own == collation) &&
               op_in_opfamily(operator_oid, index->opfamily[column]);
    }
};

IndexClause *clause_of(const Candidate &candidate, RestrictInfo *checked) {
    IndexClause *clause = makeNode(IndexClause);
    clause->rinfo = candidate.condition;
    clause->indexquals = list_make1(checked);
    clause->indexcol = static_cast<AttrNumber>(candidate.column);
    return clause;
}

IndexClause *match_operator(const Candidate &candidate, const OpExpr *clause) {
    if (list_length(clause->args) != 2)
        return nullptr;
    auto *left = static_cast<Node *>(linitial(clause->args));
    auto *right = static_cast<Node *>(lsecond(clause->args));
    if (candidate.is_column(left) && candidate.is_argument(right))
        return candidate.has_operator(clause->opno, clause->inputcollid)
                   ? clause_of(candidate, candidate.condition)
                   : nullptr;
    if (!candidate.is_column(right) || !candidate.is_argument(left))
        return nullptr;
    const Oid commuted = get_commutator(clause->opno);
    return candidate.has_operator(commuted, clause->inputcollid)
               ? clause_of(candidate, commute_restrictinfo(candidate.condition, commuted))
               : nullptr;
}

IndexClause *match_any(const Candidate &candidate, const ScalarArrayOpExpr *clause) {
    auto *left = static_cast<Node *>(linitial(clause->args));
    auto *right = static_cast<Node *>(lsecond(clause->args));
    return clause->useOr && candidate.is_column(left) && candidate.is_argument(right) &&
                   candidate.has_operator(clause->opno, clause->inputcollid)
               ? clause_of(candidate, candidate.condition)
               : nullptr;
}

IndexClause *match_null(const Candidate &candidate, const NullTest *clause) {
    return !clause->argisrow && candidate.is_column(reinterpret_cast<Node *>(clause->arg))
               ? clause_of(candidate, candidate.condition)
               : nullptr;
}

// column, NOT column, column IS TRUE, column IS FALSE: written as column = constant.
IndexClause *match_boolean(const Candidate &candidate, Node *clause) {
    if (!candidate.has_operator(BooleanEqualOperator, InvalidOid))
        return nullptr;
    bool wanted = true;
    if (IsA(clause, BooleanTest)) {
        const auto *test = reinterpret_cast<const BooleanTest *>(clause);
        if (test->booltesttype != IS_TRUE && test->booltesttype != IS_FALSE)
            return nullptr;
        wanted = test->booltesttype == IS_TRUE;
        clause = reinterpret_cast<Node *>(test->arg);
    } else if (is_notclause(clause)) {
        wanted = false;
        clause = reinterpret_cast<Node *>(get_notclausearg(clause));
    }
    if (!candidate.is_column(clause))
        return nullptr;
    Expr *equal = make_opclause(
        BooleanEqualOperator, BOOLOID, false, reinterpret_cast<Expr *>(clause),
        reinterpret_cast<Expr *>(makeBoolConst(wanted, false)), InvalidOid, InvalidOid);
    return clause_of(candidate, make_simple_restrictinfo(candidate.root, equal));
}

IndexClause *match(const Candidate &candidate) {
    auto *clause = reinterpret_cast<Node *>(candidate.condition->clause);
    if (candidate.condition->pseudoconstant ||
        !restriction_is_securely_promotable(candidate.condition, candidate.index->rel))
        return nullptr;
    IndexClause *found = match_boolean(candidate, clause);
    if (found != nullptr)
        return found;
    if (IsA(clause, OpExpr))
        return match_operator(candidate, reinterpret_cast<OpExpr *>(clause));
    if (IsA(clause, ScalarArrayOpExpr))
        return match_any(candidate, reinterpret_cast<ScalarArrayOpExpr *>(clause));
    if (IsA(clause, NullTest))
        return match_null(candidate, reinterpret_cast<NullTest *>(clause));
    return nullptr;
}

uint16 strategy_of(const IndexOptInfo *index, int column, const Node *clause) {
    Oid operator_oid = InvalidOid;
    if (IsA(clause, OpExpr))
        operator_oid = reinterpret_cast<const OpExpr *>(clause)->opno;
    else if (IsA(clause, ScalarArrayOpExpr))
        operator_oid = reinterpret_cast<const ScalarArrayOpExpr *>(clause)->opno;
    return OidIsValid(operator_oid) ? static_cast<uint16>(get_op_opfamily_strategy(
                                          operator_oid, index->opfamily[column]))
                                    : InvalidStrategy;
}

// The planner holds a lock on the index.
KeyPrecision precision_of(const IndexOptInfo *index, const IndexClause *clause) {
    const int column = clause->indexcol;
    const auto *checked = linitial_node(RestrictInfo, clause->indexquals);
    const uint16 strategy =
        strategy_of(index, column, reinterpret_cast<const Node *>(checked->clause));
    // IS [NOT] NULL; the vector's own.
    if (strategy == InvalidStrategy || column == 0)
        return KeyPrecision::good;
    Relation relation = index_open(index->indexoid, NoLock);
    const KeySupport *support = key_support(relation, column - 1);
    index_close(relation, NoLock);
    return support->precision == nullptr
               ? KeyPrecision::good
               : support->precision(strategy, index->indexcollations[column]);
}

bool is_checked(const IndexPath *path, RestrictInfo *condition) {
    const ListCell *cell;
    foreach (cell, path->indexclauses) {
        const auto *clause = lfirst_node(IndexClause, cell);
        if (is_redundant_with_indexclauses(condition,
                                           list_make1(const_cast<IndexClause *>(clause))))
            return precision_of(path->indexinfo, clause) == KeyPrecision::good;
    }
    return false;
}

}  // namespace

List *index_conditions(PlannerInfo *root, IndexOptInfo *index, List *conditions) {
    List *found = NIL;
    for (int column = 1; column < index->nkeycolumns; ++column) {
        ListCell *cell;
        foreach (cell, conditions) {
            IndexClause *clause = match({root, index, lfirst_node(RestrictInfo, cell), column});
            if (clause != nullptr)
                found = lappend(found, clause);
        }
    }
    return found;
}

bool checks_all(const IndexPath *path, List *conditions) {
    ListCell *cell;
    foreach (cell, conditions)
        if (!is_checked(path, lfirst_node(RestrictInfo, cell)))
            return false;
    return true;
}

Selectivity share_admitted(PlannerInfo *root, const IndexPath *path) {
    List *checked = NIL;
    const ListCell *cell;
    foreach (cell, path->indexclauses) {
        const auto *clause = lfirst_node(IndexClause, cell);
        if (precision_of(path->indexinfo, clause) != KeyPrecision::none)
            checked = list_concat(checked, clause->indexquals);
    }
    return clauselist_selectivity(root, checked, static_cast<int>(path->indexinfo->rel->relid),
                                  JOIN_INNER, nullptr);
}

}  // namespace dvec::postgres
