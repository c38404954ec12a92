// Numbers, truth values and enums.
//
// All integers share one scale of keys, and so do the floating-point types, so that a column can be
// compared with an argument of another of them.
#include <bit>

#include "postgres/bridge/catalog.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/keys/key_ranges.hpp"

namespace dvec::postgres {

namespace {

constexpr uint64 sign_bit = uint64{1} << 63;

uint64 key_of_integer(int64 value) { return key_below_null(static_cast<uint64>(value) ^ sign_bit); }

uint64 int2_key(Datum value, Oid) { return key_of_integer(DatumGetInt16(value)); }
uint64 int4_key(Datum value, Oid) { return key_of_integer(DatumGetInt32(value)); }
uint64 int8_key(Datum value, Oid) { return key_of_integer(DatumGetInt64(value)); }

KeyCondition integer_condition(const KeyArgument &argument) {
    uint64 key = 0;
    switch (argument.type) {
        case INT2OID:
            key = int2_key(argument.value, InvalidOid);
            break;
        case INT4OID:
            key = int4_key(argument.value, InvalidOid);
            break;
        case INT8OID:
            key = int8_key(argument.value, InvalidOid);
            break;
        default:
            elog(ERROR, "type %u is no integer", argument.type);
    }
    return condition_at(argument.strategy, exactly_at(key));
}

// Above that of infinity.
constexpr uint64 nan_key = uint64{0xFFF8} << 48;

// Negative numbers have their bits inverted, so that the greatest magnitude is the least key. The
// two zeros are equal, and so are all NaNs, which are greater than everything else.
uint64 key_of_float(double value) {
    if (std::isnan(value))
        return nan_key;
    const auto bits = std::bit_cast<uint64>(value == 0 ? 0.0 : value);
    return (bits & sign_bit) != 0 ? ~bits : bits | sign_bit;
}

uint64 float4_key(Datum value, Oid) {
    return key_of_float(static_cast<double>(DatumGetFloat4(value)));
}
uint64 float8_key(Datum value, Oid) { return key_of_float(DatumGetFloat8(value)); }

KeyCondition float_condition(const KeyArgument &argument) {
    const uint64 key = argument.type == FLOAT4OID ? float4_key(argument.value, InvalidOid)
                                                  : float8_key(argument.value, InvalidOid);
    return condition_at(argument.strategy, exactly_at(key));
}

// The nearest double. Rounding keeps the order, and what is too large for one becomes infinite.
uint64 numeric_key(Datum value, Oid) {
    return key_of_float(DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, value)));
}

KeyCondition numeric_condition(const KeyArgument &argument) {
    return condition_at(argument.strategy, about_at(numeric_key(argument.value, InvalidOid)));
}

uint64 bool_key(Datum value, Oid) { return DatumGetBool(value) ? 1 : 0; }

KeyCondition bool_condition(const KeyArgument &argument) {
    return condition_at(argument.strategy, exactly_at(bool_key(argument.value, InvalidOid)));
}

// A label is known by its OID, whose order says nothing.
uint64 enum_key(Datum value, Oid) { return DatumGetObjectId(value); }

struct Label {
    Oid oid;
    float4 place;
};

Label label_of(HeapTuple tuple) {
    const auto *row = reinterpret_cast<Form_pg_enum>(GETSTRUCT(tuple));
    return {row->oid, row->enumsortorder};
}

bool satisfies(uint16 strategy, float4 label, float4 argument) {
    switch (strategy) {
        case key_less:
            return label < argument;
        case key_less_equal:
            return label <= argument;
        case key_greater_equal:
            return label >= argument;
        case key_greater:
            return label > argument;
        default:
            elog(ERROR, "strategy %u is none of an ordered type", strategy);
    }
}

// All keys but those of labels that fail. Another transaction may just have added one: rows with it
// are admitted and checked.
KeyCondition labels_in_order(uint16 strategy, Oid argument) {
    HeapTuple tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(argument));
    if (!HeapTupleIsValid(tuple))
        ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
                        errmsg("invalid internal value for enum: %u", argument)));
    const float4 place = label_of(tuple).place;
    const Oid type = reinterpret_cast<Form_pg_enum>(GETSTRUCT(tuple))->enumtypid;
    ReleaseSysCache(tuple);

    CatCList *labels = SearchSysCacheList1(ENUMTYPOIDNAME, ObjectIdGetDatum(type));
    auto *failing = static_cast<KeyRange *>(
        palloc(sizeof(KeyRange) * static_cast<Size>(labels->n_members + 1)));
    int count = 0;
    for (int i = 0; i < labels->n_members; ++i) {
        const Label label = label_of(&labels->members[i]->tuple);
        if (!satisfies(strategy, label.place, place))
            failing[count++] = {label.oid, label.oid};
    }
    ReleaseCatCacheList(labels);
    const KeyCondition fail = within(failing, count, false);

    auto *others =
        static_cast<KeyRange *>(palloc(sizeof(KeyRange) * static_cast<Size>(fail.count + 1)));
    uint64 next = 0;
    count = 0;
    for (int i = 0; i < fail.count; ++i) {
        if (next < fail.ranges[i].first)
            others[count++] = {next, fail.ranges[i].first - 1};
        next = fail.ranges[i].last + 1;
    }
    others[count++] = {next, last_key};
    return within(others, count, true);
}

KeyCondition enum_condition(const KeyArgument &argument) {
    if (argument.strategy == key_equal)
        return condition_at(key_equal, exactly_at(enum_key(argument.value, InvalidOid)));
    return labels_in_order(argument.strategy, DatumGetObjectId(argument.value));
}

constexpr KeySupport int2_support{int2_key, integer_condition, nullptr, nullptr};
constexpr KeySupport int4_support{int4_key, integer_condition, nullptr, nullptr};
constexpr KeySupport int8_support{int8_key, integer_condition, nullptr, nullptr};
constexpr KeySupport float4_support{float4_key, float_condition, nullptr, nullptr};
constexpr KeySupport float8_support{float8_key, float_condition, nullptr, nullptr};
constexpr KeySupport numeric_support{numeric_key, numeric_condition, nullptr, nullptr};
constexpr KeySupport bool_support{bool_key, bool_condition, nullptr, nullptr};
constexpr KeySupport enum_support{enum_key, enum_condition, nullptr, nullptr};

}  // namespace

DVEC_COMMON_FUNCTION(int2_keys) { PG_RETURN_POINTER(&int2_support); }
DVEC_COMMON_FUNCTION(int4_keys) { PG_RETURN_POINTER(&int4_support); }
DVEC_COMMON_FUNCTION(int8_keys) { PG_RETURN_POINTER(&int8_support); }
DVEC_COMMON_FUNCTION(float4_keys) { PG_RETURN_POINTER(&float4_support); }
DVEC_COMMON_FUNCTION(float8_keys) { PG_RETURN_POINTER(&float8_support); }
DVEC_COMMON_FUNCTION(numeric_keys) { PG_RETURN_POINTER(&numeric_support); }
DVEC_COMMON_FUNCTION(bool_keys) { PG_RETURN_POINTER(&bool_support); }
DVEC_COMMON_FUNCTION(enum_keys) { PG_RETURN_POINTER(&enum_support); }

}  // namespace dvec::postgres
