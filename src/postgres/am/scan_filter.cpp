#include "postgres/am/scan_filter.hpp"

#include "postgres/bridge/catalog.hpp"
#include "postgres/keys/key_ranges.hpp"
#include "postgres/relation/options.hpp"
#include "postgres/relation/row_encoder.hpp"

namespace dvec::postgres {

namespace {

// column OPERATOR ANY (array): elements that are NULL let no row pass.
KeyCondition condition_of_any(const KeySupport &support, const KeyArgument &argument) {
    ArrayType *array = DatumGetArrayTypeP(argument.value);
    const Oid type = ARR_ELEMTYPE(array);
    int16 length;
    bool by_value;
    char alignment;
    get_typlenbyvalalign(type, &length, &by_value, &alignment);
    Datum *values;
    bool *nulls;
    int elements;
    deconstruct_array(array, type, length, by_value, alignment, &values, &nulls, &elements);

    auto *conditions = static_cast<KeyCondition *>(MemoryContextAllocHuge(
        CurrentMemoryContext, sizeof(KeyCondition) * static_cast<Size>(Max(elements, 1))));
    int count = 0;
    for (int i = 0; i < elements; ++i) {
        if (i % 1024 == 0)
            CHECK_FOR_INTERRUPTS();
        if (nulls[i])
            continue;
        KeyArgument element = argument;
        element.value = values[i];
        conditions[count++] = support.condition(element);
    }
    return any_of(conditions, count);
}

KeyCondition condition_of(Relation index, const ScanKeyData &key) {
    if ((key.sk_flags & SK_SEARCHNULL) != 0)
        return only_null();
    if ((key.sk_flags & SK_SEARCHNOTNULL) != 0)
        return any_value(false);
    if ((key.sk_flags & SK_ISNULL) != 0)
        return no_row();
    const KeySupport &support = *key_support(index, key.sk_attno - 2);
    const KeyArgument argument{key.sk_strategy, key.sk_subtype, key.sk_collation, key.sk_argument};
    return (key.sk_flags & SK_SEARCHARRAY) != 0 ? condition_of_any(support, argument)
                                                : support.condition(argument);
}

// Of the vector: whether a condition on it says nothing, since every entry has one.
bool is_met_by_all(Relation index, const ScanKeyData &key) {
    if (key.sk_attno != 1)
        return false;
    // The planner knows (estimate_cost).
    if ((key.sk_flags & SK_SEARCHNOTNULL) == 0)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("%s index \"%s\" has no rows without a vector", method_name(index),
                               RelationGetRelationName(index))));
    return true;
}

}  // namespace

ScanConditions scan_conditions(IndexScanDesc descriptor) {
    Relation index = descriptor->indexRelation;
    const auto keys = static_cast<Size>(descriptor->numberOfKeys);
    ScanConditions conditions{nullptr, 0, false};
    if (keys == 0)
        return conditions;
    conditions.each =
        static_cast<ScanConditions::Each *>(palloc(sizeof(ScanConditions::Each) * keys));
    for (Size i = 0; i < keys; ++i) {
        const ScanKeyData &key = descriptor->keyData[i];
        if (is_met_by_all(index, key))
            continue;
        const KeyCondition condition = condition_of(index, key);
        conditions.each[conditions.count++] = {key.sk_attno - 2, condition};
        conditions.lossy |= condition.lossy;
    }
    return conditions;
}

std::unique_ptr<graph::RowFilter> row_filter(const ScanConditions &conditions) {
    using Condition = graph::RowFilter::Condition;
    static_assert(graph::RowFilter::null_key == null_key);
    static_assert(static_cast<int>(Condition::Kind::has_no_other_bits) ==
                  static_cast<int>(KeyCondition::Kind::has_no_other_bits));
    if (conditions.count == 0)
        return nullptr;
    auto filter = std::make_unique<graph::RowFilter>();
    for (int i = 0; i < conditions.count; ++i) {
        const KeyCondition &keys = conditions.each[i].keys;
        Condition condition;
        condition.column = static_cast<std::uint32_t>(conditions.each[i].column);
        condition.kind = static_cast<Condition::Kind>(keys.kind);
        if (keys.kind == KeyCondition::Kind::within_ranges) {
            condition.ranges.reserve(static_cast<std::size_t>(keys.count));
            for (int j = 0; j < keys.count; ++j)
                condition.ranges.push_back({keys.ranges[j].first, keys.ranges[j].last});
        } else
            condition.masks.assign(keys.masks, keys.masks + keys.count);
        filter->add(std::move(condition));
    }
    return filter;
}

}  // namespace dvec::postgres
