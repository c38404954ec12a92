#include "postgres/keys/key_ranges.hpp"

#include <algorithm>

namespace dvec::postgres {

namespace {

KeyCondition one_range(uint64 first, uint64 last, bool lossy) {
    auto *range = static_cast<KeyRange *>(palloc(sizeof(KeyRange)));
    *range = {first, last};
    return {KeyCondition::Kind::within_ranges, lossy, 1, range, nullptr};
}

}  // namespace

KeyCondition no_row() { return {KeyCondition::Kind::within_ranges, false, 0, nullptr, nullptr}; }

KeyCondition any_value(bool lossy) { return one_range(0, last_key, lossy); }

KeyCondition only_null() { return one_range(null_key, null_key, false); }

KeyCondition condition_at(uint16 strategy, const KeyPlace &place) {
    // Where nothing is known of the keys between, each of them may satisfy the condition.
    const bool lossy = !place.exact;
    switch (strategy) {
        case key_less:
            if (lossy)
                return one_range(0, place.last, true);
            return place.first == 0 ? no_row() : one_range(0, place.first - 1, false);
        case key_less_equal:
            return one_range(0, place.last, lossy);
        case key_equal:
            return place.first > place.last ? no_row() : one_range(place.first, place.last, lossy);
        case key_greater_equal:
            return one_range(place.first, last_key, lossy);
        case key_greater:
            if (lossy)
                return one_range(place.first, last_key, true);
            return place.last >= last_key ? no_row() : one_range(place.last + 1, last_key, false);
        default:
            elog(ERROR, "strategy %u is none of an ordered type", strategy);
    }
}

KeyCondition within(KeyRange *ranges, int count, bool lossy) {
    const auto before = [](const KeyRange &a, const KeyRange &b) { return a.first < b.first; };
    // Applications often send arrays in order.
    if (!std::is_sorted(ranges, ranges + count, before))
        std::sort(ranges, ranges + count, before);
    int kept = 0;
    for (int i = 0; i < count; ++i) {
        if (kept > 0 &&
            (ranges[kept - 1].last == null_key || ranges[i].first <= ranges[kept - 1].last + 1))
            ranges[kept - 1].last = std::max(ranges[kept - 1].last, ranges[i].last);
        else
            ranges[kept++] = ranges[i];
    }
    return {KeyCondition::Kind::within_ranges, lossy, kept, ranges, nullptr};
}

KeyCondition any_of(const KeyCondition *conditions, int count) {
    Size total = 0;
    for (int i = 0; i < count; ++i) {
        if (conditions[i].kind != KeyCondition::Kind::within_ranges)
            return any_value(true);
        total += static_cast<Size>(conditions[i].count);
    }
    auto *ranges = static_cast<KeyRange *>(
        MemoryContextAllocHuge(CurrentMemoryContext, std::max<Size>(total, 1) * sizeof(KeyRange)));
    int filled = 0;
    bool lossy = false;
    for (int i = 0; i < count; ++i) {
        lossy |= conditions[i].lossy;
        filled = static_cast<int>(std::copy(conditions[i].ranges,
                                            conditions[i].ranges + conditions[i].count,
                                            ranges + filled) -
                                  ranges);
    }
    return within(ranges, filled, lossy);
}

}  // namespace dvec::postgres
