// Dates and timestamps. A date's key counts days, a timestamp's microseconds; both begin with
// -infinity and end with infinity.
//
// Where one with a time zone is compared with one without, the session's zone decides. A column's
// values cannot be converted ahead, nor can the argument: a zone sets its clocks back, and then the
// order of local times is not that of moments. But no zone is a day off.
#include "postgres/bridge/guard.hpp"
#include "postgres/keys/key_ranges.hpp"

namespace dvec::postgres {

namespace {

constexpr uint64 sign_bit = uint64{1} << 63;

uint64 key_of(int64 value) { return key_below_null(static_cast<uint64>(value) ^ sign_bit); }

uint64 key_of_moment(Timestamp value) { return key_of(value); }
uint64 key_of_day(DateADT value) { return key_of(value); }

uint64 date_key(Datum value, Oid) { return key_of_day(DatumGetDateADT(value)); }
uint64 timestamp_key(Datum value, Oid) { return key_of_moment(DatumGetTimestamp(value)); }

int64 days_before(Timestamp value) {
    const int64 days = value / USECS_PER_DAY;
    return days * USECS_PER_DAY > value ? days - 1 : days;
}

// Among days.
KeyPlace place_of_infinity(Timestamp value) {
    return exactly_at(key_of_day(TIMESTAMP_IS_NOBEGIN(value) ? DATEVAL_NOBEGIN : DATEVAL_NOEND));
}

KeyPlace day_place_of_timestamp(Timestamp value) {
    if (TIMESTAMP_NOT_FINITE(value))
        return place_of_infinity(value);
    const int64 day = days_before(value);
    if (day * USECS_PER_DAY == value)
        return exactly_at(key_of(day));
    return {key_of(day + 1), key_of(day), true};
}

KeyPlace day_place_of_timestamptz(TimestampTz value) {
    if (TIMESTAMP_NOT_FINITE(value))
        return place_of_infinity(value);
    const int64 day = days_before(value);
    return {key_of(day - 1), key_of(day + 2), false};
}

KeyCondition date_condition(const KeyArgument &argument) {
    switch (argument.type) {
        case DATEOID:
            return condition_at(argument.strategy,
                                exactly_at(date_key(argument.value, InvalidOid)));
        case TIMESTAMPOID:
            return condition_at(argument.strategy,
                                day_place_of_timestamp(DatumGetTimestamp(argument.value)));
        case TIMESTAMPTZOID:
            return condition_at(argument.strategy,
                                day_place_of_timestamptz(DatumGetTimestampTz(argument.value)));
        default:
            elog(ERROR, "type %u is none of dates and times", argument.type);
    }
}

// Of an argument that was converted, or is beyond what the column's type can say: then it lies
// between the infinity on its side and the finite values.
KeyPlace converted(Timestamp value, int overflow) {
    if (overflow == 0)
        return exactly_at(key_of_moment(value));
    const uint64 infinity = key_of_moment(overflow > 0 ? DT_NOEND : DT_NOBEGIN);
    return overflow > 0 ? KeyPlace{infinity, infinity - 1, true}
                        : KeyPlace{infinity + 1, infinity, true};
}

KeyPlace place_within_a_day(Timestamp value) {
    if (TIMESTAMP_NOT_FINITE(value))
        return exactly_at(key_of_moment(value));
    // All finite values are farther than a day from the ends of the numbers.
    static_assert(END_TIMESTAMP < PG_INT64_MAX - USECS_PER_DAY &&
                  MIN_TIMESTAMP > PG_INT64_MIN + USECS_PER_DAY);
    return {key_of_moment(value - USECS_PER_DAY), key_of_moment(value + USECS_PER_DAY), false};
}

KeyCondition timestamp_condition(const KeyArgument &argument) {
    int overflow = 0;
    switch (argument.type) {
        case DATEOID: {
            const Timestamp value =
                date2timestamp_opt_overflow(DatumGetDateADT(argument.value), &overflow);
            return condition_at(argument.strategy, converted(value, overflow));
        }
        case TIMESTAMPOID:
            return condition_at(argument.strategy,
                                exactly_at(timestamp_key(argument.value, InvalidOid)));
        case TIMESTAMPTZOID:
            return condition_at(argument.strategy,
                                place_within_a_day(DatumGetTimestampTz(argument.value)));
        default:
            elog(ERROR, "type %u is none of dates and times", argument.type);
    }
}

KeyCondition timestamptz_condition(const KeyArgument &argument) {
    int overflow = 0;
    switch (argument.type) {
        case DATEOID: {
            const TimestampTz value =
                date2timestamptz_opt_overflow(DatumGetDateADT(argument.value), &overflow);
            return condition_at(argument.strategy, converted(value, overflow));
        }
        case TIMESTAMPOID: {
            const TimestampTz value =
                timestamp2timestamptz_opt_overflow(DatumGetTimestamp(argument.value), &overflow);
            return condition_at(argument.strategy, converted(value, overflow));
        }
        case TIMESTAMPTZOID:
            return condition_at(argument.strategy,
                                exactly_at(timestamp_key(argument.value, InvalidOid)));
        default:
            elog(ERROR, "type %u is none of dates and times", argument.type);
    }
}

constexpr KeySupport date_support{date_key, date_condition, nullptr, nullptr};
constexpr KeySupport timestamp_support{timestamp_key, timestamp_condition, nullptr, nullptr};
constexpr KeySupport timestamptz_support{timestamp_key, timestamptz_condition, nullptr, nullptr};

}  // namespace

DVEC_COMMON_FUNCTION(date_keys) { PG_RETURN_POINTER(&date_support); }
DVEC_COMMON_FUNCTION(timestamp_keys) { PG_RETURN_POINTER(&timestamp_support); }
DVEC_COMMON_FUNCTION(timestamptz_keys) { PG_RETURN_POINTER(&timestamptz_support); }

}  // namespace dvec::postgres
