// Arrays, as sets of labels. A key is a signature: each element sets two of 62 bits, chosen by its
// hash. Elements that are NULL set none: no operator finds them in another array. (Two arrays are
// equal where both have NULL at one place, and then their signatures are equal.)
#include "postgres/bridge/catalog.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/keys/key_ranges.hpp"

namespace dvec::postgres {

namespace {

constexpr uint64 signature_bits = 62;
constexpr int64 hash_seed = 0;

// A condition with more masks would cost more for each row than it saves.
constexpr int most_masks = 64;

struct Elements {
    uint64 *masks;  // of those that are not NULL
    int count;
    bool has_null;
};

uint64 mask_of(uint64 hash) {
    const uint64 one = hash % signature_bits;
    // Another than the first, each equally likely.
    const uint64 other = (one + 1 + (hash >> 32) % (signature_bits - 1)) % signature_bits;
    return uint64{1} << one | uint64{1} << other;
}

TypeCacheEntry *hashed_type(Oid element) {
    TypeCacheEntry *type = lookup_type_cache(element, TYPECACHE_HASH_EXTENDED_PROC_FINFO);
    if (!OidIsValid(type->hash_extended_proc_finfo.fn_oid))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
                        errmsg("could not identify an extended hash function for type %s",
                               format_type_be(element)),
                        errhint("Arrays behind a vector are found by the hashes of their "
                                "elements.")));
    return type;
}

Elements elements_of(Datum value, Oid collation) {
    ArrayType *array = DatumGetArrayTypeP(value);
    TypeCacheEntry *type = hashed_type(ARR_ELEMTYPE(array));
    Datum *values;
    bool *nulls;
    int count;
    deconstruct_array(array, ARR_ELEMTYPE(array), type->typlen, type->typbyval, type->typalign,
                      &values, &nulls, &count);
    Elements elements{
        static_cast<uint64 *>(palloc(sizeof(uint64) * static_cast<Size>(Max(count, 1)))), 0, false};
    for (int i = 0; i < count; ++i) {
        if (nulls[i])
            elements.has_null = true;
        else
            elements.masks[elements.count++] = mask_of(DatumGetUInt64(FunctionCall2Coll(
                &type->hash_extended_proc_finfo, collation, values[i], Int64GetDatum(hash_seed))));
    }
    return elements;
}

uint64 signature_of(const Elements &elements) {
    uint64 signature = 0;
    for (int i = 0; i < elements.count; ++i)
        signature |= elements.masks[i];
    return signature;
}

uint64 array_key(Datum value, Oid collation) { return signature_of(elements_of(value, collation)); }

KeyCondition by_mask(KeyCondition::Kind kind, uint64 mask) {
    auto *copy = static_cast<uint64 *>(palloc(sizeof(uint64)));
    *copy = mask;
    return {kind, true, 1, nullptr, copy};
}

KeyCondition overlapping(const Elements &elements) {
    if (elements.count == 0)
        return no_row();
    if (elements.count > most_masks)
        return any_value(true);
    return {KeyCondition::Kind::has_any_mask, true, elements.count, nullptr, elements.masks};
}

KeyCondition array_condition(const KeyArgument &argument) {
    const Elements elements = elements_of(argument.value, argument.collation);
    switch (argument.strategy) {
        case key_equal:
            return condition_at(key_equal, about_at(signature_of(elements)));
        case key_overlaps:
            return overlapping(elements);
        case key_contains:
            // No array contains NULL, as this operator sees it.
            return elements.has_null
                       ? no_row()
                       : by_mask(KeyCondition::Kind::has_all_bits, signature_of(elements));
        case key_contained:
            return by_mask(KeyCondition::Kind::has_no_other_bits, signature_of(elements));
        default:
            elog(ERROR, "strategy %u is none of arrays", argument.strategy);
    }
}

// Of arrays with many elements nearly all bits are set.
KeyPrecision array_precision(uint16, Oid) { return KeyPrecision::rough; }

void check_array_type(Oid type) {
    const Oid element = get_base_element_type(type);
    if (OidIsValid(element))
        (void)hashed_type(element);
}

constexpr KeySupport array_support{array_key, array_condition, array_precision, check_array_type};

}  // namespace

DVEC_COMMON_FUNCTION(array_keys) { PG_RETURN_POINTER(&array_support); }

}  // namespace dvec::postgres
