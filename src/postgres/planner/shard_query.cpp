// The query that postgres_fdw has made is extended at its end. Where the distance is fetched, it
// takes the place of the vector, and the order names it by its number, so that the text of what is
// searched for, 8 kB of a vector of 768 elements, is in the query once:
//
//     SELECT id, embedding FROM public.items
//         ORDER BY (embedding OPERATOR(public.<->) '[…]'::public.vector) ASC NULLS LAST
//     SELECT id, (embedding OPERATOR(public.<->) '[…]'::public.vector) FROM public.items
//         ORDER BY 2 ASC NULLS LAST LIMIT 10
//
// Vectors that come back are text, too, which the shard writes and the query reads again: for ten
// rows that takes several times as long as the search for them.
#include "postgres/planner/shard_query.hpp"

#include "postgres/bridge/catalog.hpp"

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

// The first place from `text` on where `words` stand outside of quotes and parentheses, or null. In
// what postgres_fdw writes a quote within quotes is doubled, also where they begin with E.
const char *find_outside(const char *text, const char *words) {
    char quote = 0;
    int depth = 0;
    for (; *text != 0; ++text) {
        if (quote != 0) {
            quote = *text == quote ? '\0' : quote;
            continue;
        }
        if (depth == 0 && std::strncmp(text, words, std::strlen(words)) == 0)
            return text;
        if (*text == '\'' || *text == '"')
            quote = *text;
        depth += (*text == '(') - (*text == ')');
    }
    return nullptr;
}

// The query of a scan, taken apart.
struct QueryText {
    List *columns;       // texts, in the order in which they are fetched
    const char *from;    // FROM, and what is before the order
    const char *key;     // what it sorts by first
    const char *behind;  // that, to the end
};

const char *earlier(const char *left, const char *right) {
    return right == nullptr || (left != nullptr && left < right) ? left : right;
}

bool take_apart(const ForeignScan *scan, QueryText *query) {
    constexpr const char *select = "SELECT ";
    constexpr const char *order = " ORDER BY ";
    const char *text = query_of(scan);
    query->from = find_outside(text, " FROM ");
    const char *sorted = find_outside(text, order);
    if (std::strncmp(text, select, std::strlen(select)) != 0 || query->from == nullptr ||
        sorted == nullptr)
        return false;
    query->columns = NIL;
    for (const char *column = text + std::strlen(select); column < query->from;) {
        const char *comma = find_outside(column, ", ");
        const char *end = comma == nullptr || comma > query->from ? query->from : comma;
        query->columns = lappend(query->columns, pnstrdup(column, static_cast<Size>(end - column)));
        column = end + std::strlen(", ");
    }
    query->key = sorted + std::strlen(order);
    query->behind =
        earlier(find_outside(query->key, " ASC NULLS "), find_outside(query->key, " DESC NULLS "));
    // An operator's expression is in parentheses.
    return query->behind != nullptr && query->key[0] == '(' && query->behind[-1] == ')';
}

const List *fetched_of(const ForeignScan *scan) {
    return static_cast<const List *>(list_nth(scan->fdw_private, fetched_columns));
}

// What is read of the rows of a scan but for the distance it is ordered by.
struct OtherColumns {
    Expr *distance;
    List *columns;  // Vars
};

bool collect_columns(Node *node, void *context) {
    auto *others = static_cast<OtherColumns *>(context);
    if (node == nullptr || equal(node, others->distance))
        return false;
    if (IsA(node, Var)) {
        others->columns = list_append_unique(others->columns, node);
        return false;
    }
    return compat::walk_expression(node, collect_columns, context);
}

// System columns and whole rows are made where a table is scanned.
bool are_fetched(const ForeignScan *scan, const List *columns) {
    const ListCell *cell;
    foreach (cell, columns) {
        const auto *column = lfirst_node(Var, cell);
        if (column->varno != static_cast<int>(scan->scan.scanrelid) || column->varattno <= 0 ||
            !list_member_int(fetched_of(scan), column->varattno))
            return false;
    }
    return true;
}

const char *text_of(const ForeignScan *scan, const QueryText &query, const Var *column) {
    const ListCell *number;
    const ListCell *text;
    forboth(number, fetched_of(scan), text,
            query.columns) if (lfirst_int(number) ==
                               column->varattno) return static_cast<const char *>(lfirst(text));
    elog(ERROR, "column %d is not fetched", column->varattno);
}

void add_fetched(ForeignScan *scan, Expr *column) {
    const int number = list_length(scan->fdw_scan_tlist) + 1;
    scan->fdw_scan_tlist = lappend(
        scan->fdw_scan_tlist, makeTargetEntry(static_cast<Expr *>(copyObjectImpl(column)),
                                              static_cast<AttrNumber>(number), nullptr, false));
}

// The scan becomes one of what a remote query computes, as a scan of joined tables is.
void fetch_distance(ForeignScan *scan, const QueryText &query, const OtherColumns &others) {
    StringInfoData text;
    initStringInfo(&text);
    appendStringInfoString(&text, "SELECT ");
    List *fetched = NIL;
    const ListCell *cell;
    foreach (cell, others.columns) {
        appendStringInfo(&text, "%s, ", text_of(scan, query, lfirst_node(Var, cell)));
        add_fetched(scan, static_cast<Expr *>(lfirst(cell)));
        fetched = lappend_int(fetched, list_length(fetched) + 1);
    }
    add_fetched(scan, others.distance);
    fetched = lappend_int(fetched, list_length(fetched) + 1);
    appendBinaryStringInfo(&text, query.key, static_cast<int>(query.behind - query.key));
    appendBinaryStringInfo(&text, query.from, static_cast<int>(query.key - query.from));
    appendStringInfo(&text, "%d%s", list_length(fetched), query.behind);

    set_query(scan, text.data);
    lfirst(list_nth_cell(scan->fdw_private, fetched_columns)) = fetched;
    // EXPLAIN puts the table's name in the place of its number.
    scan->fdw_private =
        lappend(scan->fdw_private, makeString(psprintf("%u", scan->scan.scanrelid)));
    scan->fdw_recheck_quals = NIL;
    scan->scan.scanrelid = 0;
}

// Where nothing is read of a vector but the distance that the shard sorts by.
void spare_vectors(ForeignScan *scan, const List *key_columns) {
    auto *key = static_cast<TargetEntry *>(
        list_nth(scan->scan.plan.targetlist, linitial_int(key_columns) - 1));
    OtherColumns others{key->expr, NIL};
    collect_columns(reinterpret_cast<Node *>(scan->scan.plan.targetlist), &others);
    QueryText query;
    if (IsA(key->expr, OpExpr) && are_fetched(scan, others.columns) &&
        list_length(others.columns) < list_length(fetched_of(scan)) && take_apart(scan, &query) &&
        list_length(query.columns) == list_length(fetched_of(scan)))
        fetch_distance(scan, query, others);
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
    if (!may_look_again(root))
        spare_vectors(scan, key_columns);
    limit_rows(scan, rows);
}

}  // namespace dvec::postgres
