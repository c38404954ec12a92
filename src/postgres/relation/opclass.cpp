// An opclass for this access method is one ordering operator and one support function, for a
// vector, or operators of conditions and the other support function, for a column behind it;
// validate_opclass checks just that, in the style of the server's own access methods.
#include "postgres/relation/opclass.hpp"

#include "postgres/bridge/access_method.hpp"
#include "postgres/bridge/catalog.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/keys/key_support.hpp"
#include "postgres/relation/options.hpp"

namespace dvec::postgres {

const IndexSupport *index_support(Relation index) {
    const Datum support =
        FunctionCall1(index_getprocinfo(index, 1, support_function), PointerGetDatum(nullptr));
    return reinterpret_cast<const IndexSupport *>(DatumGetPointer(support));
}

int column_dimensions(Relation index, const IndexSupport &support) {
    const FormData_pg_attribute *column = TupleDescAttr(RelationGetDescr(index), 0);
    // Its values may be shorter than declared, and the class for bit would take it.
    if (column->atttypid == VARBITOID)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("type not supported for %s index", method_name(index))));
    const int dimensions = column->atttypmod;
    if (dimensions < 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("column does not have dimensions")));
    if (dimensions > support.max_dimensions)
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                        errmsg("column cannot have more than %d dimensions for %s index",
                               support.max_dimensions, method_name(index))));
    return dimensions;
}

const void *encode_row(const IndexSupport &support, int dimensions, Datum value) {
    const IndexSupport::Encoded row = support.encode(value, IndexSupport::Use::row);
    if (row.dimensions != dimensions)
        ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
                        errmsg("expected %d dimensions, not %d", dimensions, row.dimensions)));
    return row.bytes;
}

IndexSupport::Encoded encode_query(const IndexSupport &support, int dimensions, Datum value) {
    const IndexSupport::Encoded query = support.encode(value, IndexSupport::Use::query);
    if (query.dimensions != dimensions)
        support.refuse_query(dimensions, query.dimensions);
    return query;
}

namespace {

struct Family {
    Oid oid;
    const char *name;
    const char *method;
};

void complain(const Family &family, const char *problem) {
    ereport(INFO, (errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
                   errmsg("operator family \"%s\" of access method %s %s", family.name,
                          family.method, problem)));
}

// What was found of a class in its family.
struct Parts {
    bool vector_function = false;
    bool key_function = false;
    bool distance = false;
    bool conditions = false;
};

bool validate_functions(const Family &family, Parts *parts) {
    bool valid = true;
    CatCList *functions = SearchSysCacheList1(AMPROCNUM, ObjectIdGetDatum(family.oid));
    for (int i = 0; i < functions->n_members; ++i) {
        const auto *row =
            reinterpret_cast<Form_pg_amproc>(GETSTRUCT(&functions->members[i]->tuple));
        const bool known =
            row->amprocnum == support_function || row->amprocnum == key_support_function;
        if (known && check_amproc_signature(row->amproc, INTERNALOID, true, 1, 1, INTERNALOID)) {
            parts->vector_function |= row->amprocnum == support_function;
            parts->key_function |= row->amprocnum == key_support_function;
        } else {
            complain(family, "contains a support function with a wrong number or signature");
            valid = false;
        }
    }
    ReleaseCatCacheList(functions);
    return valid;
}

bool is_distance(Form_pg_amop row) {
    return row->amopstrategy == distance_strategy && row->amoppurpose == AMOP_ORDER &&
           opfamily_can_sort_type(row->amopsortfamily, get_op_rettype(row->amopopr));
}

bool is_condition(Form_pg_amop row) {
    return row->amoppurpose == AMOP_SEARCH && row->amopstrategy >= 1 &&
           row->amopstrategy <= last_key_strategy && get_op_rettype(row->amopopr) == BOOLOID;
}

bool validate_operators(const Family &family, Parts *parts) {
    bool valid = true;
    CatCList *operators = SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(family.oid));
    for (int i = 0; i < operators->n_members; ++i) {
        auto *row = reinterpret_cast<Form_pg_amop>(GETSTRUCT(&operators->members[i]->tuple));
        if (parts->key_function ? is_condition(row) : is_distance(row)) {
            parts->distance |= !parts->key_function;
            parts->conditions |= parts->key_function;
        } else {
            complain(family, parts->key_function ? "contains an operator that is no condition"
                                                 : "contains an operator that is not its distance");
            valid = false;
        }
    }
    ReleaseCatCacheList(operators);
    return valid;
}

// Whether there is all of what a class of the kind needs, and nothing of the other.
bool is_complete(const Family &family, const Parts &parts) {
    if (parts.vector_function == parts.key_function) {
        complain(family, parts.key_function ? "has support functions of both kinds of class"
                                            : "is missing its support function");
        return false;
    }
    if (parts.vector_function && !parts.distance)
        complain(family, "is missing its distance operator");
    else if (parts.key_function && !parts.conditions)
        complain(family, "is missing its operators");
    return parts.distance || parts.conditions;
}

}  // namespace

bool validate_opclass(Oid opclass) {
    HeapTuple tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclass));
    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for operator class %u", opclass);
    const auto *row = reinterpret_cast<Form_pg_opclass>(GETSTRUCT(tuple));
    Family family{row->opcfamily, nullptr, get_am_name(row->opcmethod)};
    ReleaseSysCache(tuple);
    tuple = SearchSysCache1(OPFAMILYOID, ObjectIdGetDatum(family.oid));
    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for operator family %u", family.oid);
    family.name = pstrdup(NameStr(reinterpret_cast<Form_pg_opfamily>(GETSTRUCT(tuple))->opfname));
    ReleaseSysCache(tuple);

    Parts parts;
    bool valid = validate_functions(family, &parts);
    valid = validate_operators(family, &parts) && valid;
    return is_complete(family, parts) && valid;
}

}  // namespace dvec::postgres
