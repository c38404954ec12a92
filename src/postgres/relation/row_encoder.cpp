#include "postgres/relation/row_encoder.hpp"

#include "postgres/bridge/catalog.hpp"
#include "postgres/relation/compact_rows.hpp"
#include "postgres/relation/options.hpp"

namespace dvec::postgres {

namespace {

bool has_function(Relation index, int column, uint16 function) {
    return OidIsValid(index_getprocid(index, static_cast<AttrNumber>(column + 1), function));
}

void check_first_column(Relation index) {
    if (!has_function(index, 0, support_function))
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("first column of %s index \"%s\" is not a vector", method_name(index),
                        RelationGetRelationName(index)),
                 errhint("Name the vector first, and the columns of conditions behind it.")));
}

void check_key_column(Relation index, int column) {
    const FormData_pg_attribute *attribute = TupleDescAttr(RelationGetDescr(index), column);
    if (!has_function(index, column, key_support_function))
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("column \"%s\" of %s index \"%s\" is a second vector",
                               NameStr(attribute->attname), method_name(index),
                               RelationGetRelationName(index)),
                        errhint("Make an index for each vector.")));
    const KeySupport *support = key_support(index, column - 1);
    if (support->check_type != nullptr)
        support->check_type(getBaseType(attribute->atttypid));
}

}  // namespace

int key_column_count(Relation index) { return IndexRelationGetNumberOfKeyAttributes(index) - 1; }

const KeySupport *key_support(Relation index, int number) {
    const Datum support = FunctionCall1(
        index_getprocinfo(index, static_cast<AttrNumber>(number + 2), key_support_function),
        PointerGetDatum(nullptr));
    return reinterpret_cast<const KeySupport *>(DatumGetPointer(support));
}

void check_key_columns(Relation index) {
    const int columns = IndexRelationGetNumberOfAttributes(index);
    const int keys = IndexRelationGetNumberOfKeyAttributes(index);
    if (columns > keys)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("access method \"%s\" does not support included columns",
                               method_name(index)),
                        errhint("Columns for conditions stand behind the vector, without INCLUDE: "
                                "(embedding vector_l2_ops, tenant_id).")));
    if (keys - 1 > most_key_columns)
        ereport(ERROR, (errcode(ERRCODE_TOO_MANY_COLUMNS),
                        errmsg("%s index \"%s\" has %d columns behind the vector, more than %d",
                               method_name(index), RelationGetRelationName(index), keys - 1,
                               most_key_columns),
                        errhint("Conditions on other columns are checked all the same, row by "
                                "row: leave out those that most rows satisfy.")));
    check_first_column(index);
    for (int column = 1; column < keys; ++column)
        check_key_column(index, column);
}

RowEncoder row_encoder(Relation index, const store::Shape &shape) {
    RowEncoder encoder{};
    encoder.vector = index_support(index);
    encoder.dimensions = static_cast<int>(shape.dimensions);
    encoder.element = shape.element;
    encoder.bits = stored_bits(shape);
    encoder.key_columns = key_column_count(index);
    for (int i = 0; i < encoder.key_columns; ++i) {
        encoder.keys[i] = key_support(index, i);
        encoder.collations[i] = index->rd_indcollation[i + 1];
    }
    return encoder;
}

RowEncoder::Row RowEncoder::encode(const Datum *values, const bool *is_null) const {
    Row row{};
    row.bytes = encode_row(*vector, dimensions, values[0]);
    if (row.bytes == nullptr)
        return row;
    if (bits != 0)
        row.bytes = make_compact(*vector, dimensions, row.bytes, bits);
    else if (vector->fit != nullptr)
        row.bytes = vector->fit(*vector, {dimensions, row.bytes}, element, IndexSupport::Use::row);
    for (int i = 0; i < key_columns; ++i)
        row.keys[i] = is_null[i + 1] ? null_key : keys[i]->key(values[i + 1], collations[i]);
    return row;
}

}  // namespace dvec::postgres
