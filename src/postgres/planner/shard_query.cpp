// The query that postgres_fdw has made is kept as it is, and extended around its end and, where
// distances are fetched, around its whole:
//
//     SELECT r.c1, (r.c2 OPERATOR(public.<->) $1::public.vector)
//     FROM (SELECT id, embedding FROM public.items ORDER BY … LIMIT 10) r(c1, c2)
//
// A vector of 768 elements comes to 8 kB of text, which the shard writes and the query reads again:
// for ten rows that takes longer than the search for them.
#include "postgres/planner/shard_query.hpp"

#include "postgres/bridge/catalog.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/planner/distance_expression.hpp"

namespace dvec::postgres {

namespace {

// ForeignScan::fdw_private, as postgres_fdw makes it and expects it in all versions.
enum RemoteScan : int {
    query_text,
    fetched_columns,  // numbers of the columns that come back
    fetch_size,
    parts_of_table,  // a scan of one table has no more
    relation_names = parts_of_table
};

bool has_query(const ForeignScan *scan) {
    const List *parts = scan->fdw_private;
    return list_length(parts) == parts_of_table && IsA(linitial(parts), String) &&
           lsecond(parts) != nullptr && IsA(lsecond(parts), IntList) && IsA(lthird(parts), Integer);
}

char *query_of(const ForeignScan *scan) { return strVal(list_nth(scan->fdw_private, query_text)); }

void set_query(ForeignScan *scan, char *text) {
    lfirst(list_nth_cell(scan->fdw_private, query_text)) = makeString(text);
}

// postgres_fdw computes what is in fdw_exprs, and sends it as parameters by their numbers there.
void append_parameter(StringInfo query, ForeignScan *scan, Node *value) {
    scan->fdw_exprs = lappend(scan->fdw_exprs, value);
    appendStringInfo(query, "$%d::%s", list_length(scan->fdw_exprs),
                     format_type_extended(exprType(value), -1, FORMAT_TYPE_FORCE_QUALIFY));
}

void limit_rows(ForeignScan *scan, Expr *rows) {
    StringInfoData query;
    initStringInfo(&query);
    appendStringInfo(&query, "%s LIMIT ", query_of(scan));
    if (IsA(rows, Const))
        appendStringInfo(&query, INT64_FORMAT,
                         DatumGetInt64(reinterpret_cast<const Const *>(rows)->constvalue));
    else
        append_parameter(&query, scan, reinterpret_cast<Node *>(rows));
    set_query(scan, query.data);
}

// What is computed of a foreign table's rows: distances that can be fetched, and columns.
struct Wanted {
    Index relation;
    List *known_distances;  // null where all count
    List *distances;
    List *columns;  // Vars
};

const Var *vector_of(const Wanted *wanted, Expr *distance) {
    List *arguments = arguments_of_distance(distance);
    if (arguments == NIL)
        return nullptr;
    auto *left = static_cast<Node *>(linitial(arguments));
    auto *right = static_cast<Node *>(lsecond(arguments));
    if (!IsA(left, Var))
        std::swap(left, right);
    return IsA(left, Var) &&
                   reinterpret_cast<Var *>(left)->varno == static_cast<int>(wanted->relation) &&
                   !contain_var_clause(right)
               ? reinterpret_cast<const Var *>(left)
               : nullptr;
}

bool collect_wanted(Node *node, void *context) {
    auto *wanted = static_cast<Wanted *>(context);
    if (node == nullptr)
        return false;
    const bool known = wanted->known_distances == NIL || list_member(wanted->known_distances, node);
    if (known && vector_of(wanted, reinterpret_cast<Expr *>(node)) != nullptr) {
        wanted->distances = list_append_unique(wanted->distances, node);
        return false;
    }
    if (IsA(node, Var)) {
        wanted->columns = list_append_unique(wanted->columns, node);
        return false;
    }
    return compat::walk_expression(node, collect_wanted, context);
}

// Distances count where the shard sorts by them, so that it is sure to have the operator.
Wanted wanted_of(const ForeignScan *scan, const List *key_columns) {
    Wanted of_keys{scan->scan.scanrelid, NIL, NIL, NIL};
    const ListCell *cell;
    foreach (cell, key_columns) {
        auto *key =
            static_cast<TargetEntry *>(list_nth(scan->scan.plan.targetlist, lfirst_int(cell) - 1));
        collect_wanted(reinterpret_cast<Node *>(key->expr), &of_keys);
    }
    Wanted wanted{scan->scan.scanrelid, of_keys.distances, NIL, NIL};
    if (of_keys.distances != NIL)
        collect_wanted(reinterpret_cast<Node *>(scan->scan.plan.targetlist), &wanted);
    return wanted;
}

// The place of a column among those that the scan's query returns, from 1; 0: it is not there.
int place_of(const ForeignScan *scan, const Var *column) {
    const auto *fetched = static_cast<const List *>(list_nth(scan->fdw_private, fetched_columns));
    const ListCell *cell;
    foreach (cell, fetched)
        if (lfirst_int(cell) == column->varattno)
            return foreach_current_index(cell) + 1;
    return 0;
}

// System columns and whole rows are made where a table is scanned.
bool can_be_fetched(const ForeignScan *scan, const Wanted &wanted, const Var *column) {
    return column->varno == static_cast<int>(wanted.relation) && column->varattno > 0 &&
           place_of(scan, column) > 0;
}

// Whether distances can be fetched, and at least a vector need not be.
bool spares_vectors(const ForeignScan *scan, const Wanted &wanted) {
    const ListCell *cell;
    foreach (cell, wanted.columns)
        if (!can_be_fetched(scan, wanted, lfirst_node(Var, cell)))
            return false;
    foreach (cell, wanted.distances) {
        const Var *vector = vector_of(&wanted, static_cast<Expr *>(lfirst(cell)));
        if (!can_be_fetched(scan, wanted, vector) || list_member(wanted.columns, vector))
            return false;
    }
    return wanted.distances != NIL;
}

void append_operand(StringInfo query, ForeignScan *scan, Node *operand) {
    if (IsA(operand, Var))
        appendStringInfo(query, "r.c%d", place_of(scan, reinterpret_cast<const Var *>(operand)));
    else
        append_parameter(query, scan, operand);
}

const char *schema_of_operator(Oid number) {
    HeapTuple tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(number));
    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for operator %u", number);
    const Oid schema = reinterpret_cast<Form_pg_operator>(GETSTRUCT(tuple))->oprnamespace;
    ReleaseSysCache(tuple);
    return quote_identifier(get_namespace_name(schema));
}

void append_distance(StringInfo query, ForeignScan *scan, Expr *distance) {
    List *arguments = arguments_of_distance(distance);
    const char *between = ", ";
    if (IsA(distance, OpExpr)) {
        const Oid number = reinterpret_cast<const OpExpr *>(distance)->opno;
        between = psprintf(" OPERATOR(%s.%s) ", schema_of_operator(number), get_opname(number));
    } else {
        const Oid number = reinterpret_cast<const FuncExpr *>(distance)->funcid;
        const char *schema = get_namespace_name(get_func_namespace(number));
        appendStringInfoString(query, quote_qualified_identifier(schema, get_func_name(number)));
    }
    appendStringInfoChar(query, '(');
    append_operand(query, scan, static_cast<Node *>(linitial(arguments)));
    appendStringInfoString(query, between);
    append_operand(query, scan, static_cast<Node *>(lsecond(arguments)));
    appendStringInfoChar(query, ')');
}

// One column more of what the scan fetches.
void add_fetched(ForeignScan *scan, StringInfo query, Expr *column) {
    const int number = list_length(scan->fdw_scan_tlist) + 1;
    if (number > 1)
        appendStringInfoString(query, ", ");
    scan->fdw_scan_tlist = lappend(
        scan->fdw_scan_tlist, makeTargetEntry(static_cast<Expr *>(copyObjectImpl(column)),
                                              static_cast<AttrNumber>(number), nullptr, false));
}

void append_inner(StringInfo query, const ForeignScan *scan) {
    appendStringInfo(query, " FROM (%s) r(", query_of(scan));
    const int count =
        list_length(static_cast<const List *>(list_nth(scan->fdw_private, fetched_columns)));
    for (int place = 1; place <= count; ++place)
        appendStringInfo(query, place == 1 ? "c%d" : ", c%d", place);
    appendStringInfoChar(query, ')');
}

// The scan becomes one of what a remote query computes, as a scan of joined tables is.
void fetch_distances(ForeignScan *scan, const Wanted &wanted) {
    StringInfoData query;
    initStringInfo(&query);
    appendStringInfoString(&query, "SELECT ");
    const ListCell *cell;
    foreach (cell, wanted.columns) {
        auto *column = static_cast<Expr *>(lfirst(cell));
        add_fetched(scan, &query, column);
        append_operand(&query, scan, reinterpret_cast<Node *>(column));
    }
    foreach (cell, wanted.distances) {
        auto *distance = static_cast<Expr *>(lfirst(cell));
        add_fetched(scan, &query, distance);
        append_distance(&query, scan, distance);
    }
    append_inner(&query, scan);

    List *fetched = NIL;
    for (int number = 1; number <= list_length(scan->fdw_scan_tlist); ++number)
        fetched = lappend_int(fetched, number);
    set_query(scan, query.data);
    lfirst(list_nth_cell(scan->fdw_private, fetched_columns)) = fetched;
    // EXPLAIN puts the table's name in the place of its number.
    scan->fdw_private =
        lappend(scan->fdw_private, makeString(psprintf("(%u)", scan->scan.scanrelid)));
    scan->fdw_recheck_quals = NIL;
    scan->scan.scanrelid = 0;
}

// A row that was locked or is to be changed, and has changed meanwhile, is looked at again by the
// scan of its table, which a scan of a computed query cannot do.
bool may_look_again(const PlannerInfo *root) {
    for (; root != nullptr; root = root->parent_root) {
        const Query *query = root->parse;
        if ((query->commandType != CMD_SELECT && query->commandType != CMD_INSERT) ||
            query->rowMarks != NIL || query->hasModifyingCTE)
            return true;
    }
    return false;
}

Const *integer(int64 value) {
    return makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(value), false,
                     FLOAT8PASSBYVAL);
}

// Two of these can be added. NULL, which is no limit, becomes the most.
Expr *capped(Node *count) {
    MinMaxExpr *least = makeNode(MinMaxExpr);
    least->minmaxtype = INT8OID;
    least->op = IS_LEAST;
    least->args = list_make2(count, integer(PG_INT64_MAX / 2));
    least->location = -1;
    return reinterpret_cast<Expr *>(least);
}

Node *zero_if_null(Node *count) {
    CoalesceExpr *coalesce = makeNode(CoalesceExpr);
    coalesce->coalescetype = INT8OID;
    coalesce->args = list_make2(count, integer(0));
    coalesce->location = -1;
    return reinterpret_cast<Node *>(coalesce);
}

}  // namespace

bool is_read_by_postgres_fdw(const RelOptInfo *rel) {
    if (rel->fdwroutine == nullptr || !OidIsValid(rel->serverid))
        return false;
    const Oid wrapper = GetForeignServer(rel->serverid)->fdwid;
    const char *handler = get_func_name(GetForeignDataWrapper(wrapper)->fdwhandler);
    return handler != nullptr && std::strcmp(handler, "postgres_fdw_handler") == 0;
}

Expr *most_rows(PlannerInfo *root, Node *limit_count, Node *limit_offset) {
    Expr *rows = capped(limit_count);
    if (limit_offset != nullptr)
        rows = reinterpret_cast<Expr *>(
            makeFuncExpr(F_INT8PL, INT8OID, list_make2(rows, capped(zero_if_null(limit_offset))),
                         InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL));
    return reinterpret_cast<Expr *>(
        eval_const_expressions(root, static_cast<Node *>(copyObjectImpl(rows))));
}

void ask_for_nearest(PlannerInfo *root, ForeignScan *scan, const List *key_columns, Expr *rows) {
    if (scan->scan.plan.qual != NIL || scan->scan.scanrelid == 0 || !has_query(scan))
        return;
    limit_rows(scan, rows);
    if (may_look_again(root))
        return;
    const Wanted wanted = wanted_of(scan, key_columns);
    if (spares_vectors(scan, wanted))
        fetch_distances(scan, wanted);
}

}  // namespace dvec::postgres
