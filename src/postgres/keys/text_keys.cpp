// Text, and identifiers of 16 bytes. In the C collation, which compares bytes, the upper half of a
// key is the first four of them, for ranges; the lower half tells values apart that begin alike,
// and is a hash. In every other collation a key is a hash alone, which knows equality as the
// collation does.
#include "postgres/bridge/guard.hpp"
#include "postgres/keys/key_ranges.hpp"

namespace dvec::postgres {

namespace {

constexpr int64 hash_seed = 0;
constexpr int prefix_bytes = 4;
constexpr uint64 hash_mask = PG_UINT32_MAX;

struct Bytes {
    const unsigned char *first;
    int length;
};

// Shorter ones are filled up: text has no byte 0.
uint64 key_of_bytes(const Bytes &bytes) {
    uint64 prefix = 0;
    for (int i = 0; i < prefix_bytes; ++i)
        prefix = prefix << 8 | (i < bytes.length ? bytes.first[i] : 0U);
    const uint64 hash = hash_bytes(bytes.first, bytes.length);
    return key_below_null(prefix << 32 | hash);
}

KeyCondition condition_on_bytes(uint16 strategy, const Bytes &bytes) {
    const uint64 key = key_of_bytes(bytes);
    if (strategy == key_equal)
        return condition_at(strategy, about_at(key));
    return condition_at(strategy, {key & ~hash_mask, key_below_null(key | hash_mask), false});
}

KeyPrecision precision_of_bytes(uint16 strategy, Oid) {
    return strategy == key_equal ? KeyPrecision::good : KeyPrecision::rough;
}

Bytes bytes_of_text(Datum value) {
    const text *string = DatumGetTextPP(value);
    return {reinterpret_cast<const unsigned char *>(VARDATA_ANY(string)),
            static_cast<int>(VARSIZE_ANY_EXHDR(string))};
}

uint64 hash_of_text(Datum value, Oid collation) {
    return key_below_null(DatumGetUInt64(
        DirectFunctionCall2Coll(hashtextextended, collation, value, Int64GetDatum(hash_seed))));
}

uint64 text_key(Datum value, Oid collation) {
    return compat::compares_bytes(collation) ? key_of_bytes(bytes_of_text(value))
                                             : hash_of_text(value, collation);
}

KeyCondition text_condition(const KeyArgument &argument) {
    if (compat::compares_bytes(argument.collation))
        return condition_on_bytes(argument.strategy, bytes_of_text(argument.value));
    if (argument.strategy != key_equal)
        return any_value(true);
    return condition_at(key_equal, about_at(hash_of_text(argument.value, argument.collation)));
}

KeyPrecision text_precision(uint16 strategy, Oid collation) {
    if (strategy != key_equal && !compat::compares_bytes(collation))
        return KeyPrecision::none;
    return precision_of_bytes(strategy, collation);
}

Bytes bytes_of_uuid(Datum value) { return {DatumGetUUIDP(value)->data, UUID_LEN}; }

uint64 uuid_key(Datum value, Oid) { return key_of_bytes(bytes_of_uuid(value)); }

KeyCondition uuid_condition(const KeyArgument &argument) {
    return condition_on_bytes(argument.strategy, bytes_of_uuid(argument.value));
}

constexpr KeySupport text_support{text_key, text_condition, text_precision, nullptr};
constexpr KeySupport uuid_support{uuid_key, uuid_condition, precision_of_bytes, nullptr};

}  // namespace

DVEC_COMMON_FUNCTION(text_keys) { PG_RETURN_POINTER(&text_support); }
DVEC_COMMON_FUNCTION(uuid_keys) { PG_RETURN_POINTER(&uuid_support); }

}  // namespace dvec::postgres
