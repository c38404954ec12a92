// The code of a condition is a list of integers in prefix form:
//     part_and n, part_or n    and the n conditions joined by it
//     part_other               a condition that says nothing about the distance
//     part_compare strategy low high n steps...
// where low and high are the least and the greatest distance (-1 means unbounded). A comparison
// consumes its operands in this order: the vector that its distance is measured to, the operands of
// its steps, and the value compared with.
#include "postgres/planner/bounds.hpp"

#include <algorithm>

#include "postgres/bridge/access_method.hpp"
#include "postgres/bridge/executor.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/planner/distance_expression.hpp"

namespace dvec::postgres {

namespace {

enum Part : int { part_and, part_or, part_other, part_compare };

// -----------------------------------------------------------------------------------------------
// While planning
// -----------------------------------------------------------------------------------------------

struct Writer {
    PlannerInfo *root;
    IndexOptInfo *index;
    OpExpr *distance;  // null until the first is found
    Bounds bounds;

    void put(int value) { bounds.code = lappend_int(bounds.code, value); }
};

int comparison_strategy(Oid comparison) {
    const int strategy = compat::btree_strategy(comparison);
    return strategy <= BTMaxStrategyNumber ? strategy : InvalidStrategy;
}

int commuted(int strategy) { return BTMaxStrategyNumber + 1 - strategy; }

// Whether a comparison can bound the distance from above. Returns true when that depends on
// operands whose values are not known yet.
bool may_limit(const DistanceExpression &expression, int strategy) {
    switch (slope_of(chain_with_constants(expression))) {
        case Slope::rising:
            return strategy <= BTEqualStrategyNumber;
        case Slope::falling:
            return strategy >= BTEqualStrategyNumber;
        case Slope::unknown:
            break;
    }
    return true;
}

bool is_constant(const OpExpr *distance) { return IsA(lsecond(distance->args), Const); }

// Whether the expression is, or may turn out to be, of the distance whose bounds are being
// collected. The first distance bounded from above is chosen for that; one that is bounded only
// from below is not.
bool is_wanted(Writer *writer, const DistanceExpression &expression, bool limits) {
    if (writer->distance == nullptr)
        return limits;
    return equal(writer->distance, expression.distance) || !is_constant(writer->distance) ||
           !is_constant(expression.distance);
}

// The limits come from the ranges of the distance operators, which are all whole numbers or
// infinite.
int code_of_limit(double limit) { return std::isinf(limit) ? -1 : static_cast<int>(limit); }

bool write_comparison(Writer *writer, OpExpr *comparison) {
    if (list_length(comparison->args) != 2)
        return false;
    int strategy = comparison_strategy(comparison->opno);
    if (strategy == InvalidStrategy)
        return false;
    auto *value = static_cast<Expr *>(linitial(comparison->args));
    auto *other = static_cast<Expr *>(lsecond(comparison->args));
    if (is_fixed_for_scan(writer->root, writer->index, value)) {
        std::swap(value, other);
        strategy = commuted(strategy);
    }
    DistanceExpression matched;
    if (!is_numeric_type(exprType(reinterpret_cast<Node *>(other))) ||
        !is_fixed_for_scan(writer->root, writer->index, other) ||
        !match_distance_expression(writer->root, writer->index, value, &matched))
        return false;
    const bool limits = may_limit(matched, strategy);
    if (!is_wanted(writer, matched, limits))
        return false;
    if (writer->distance == nullptr)
        writer->distance = matched.distance;
    writer->put(part_compare);
    writer->put(strategy);
    writer->put(code_of_limit(matched.distances.low));
    writer->put(code_of_limit(matched.distances.high));
    writer->put(list_length(matched.steps));
    writer->bounds.code = list_concat(writer->bounds.code, matched.steps);
    writer->bounds.operands = lappend(writer->bounds.operands, lsecond(matched.distance->args));
    writer->bounds.operands =
        lappend(list_concat(writer->bounds.operands, matched.operands), other);
    writer->bounds.farthest = writer->bounds.farthest || limits;
    return true;
}

void write_condition(Writer *writer, Expr *condition) {
    check_stack_depth();
    if (IsA(condition, RestrictInfo))
        condition = reinterpret_cast<RestrictInfo *>(condition)->clause;
    if (is_andclause(condition) || is_orclause(condition)) {
        List *conditions = reinterpret_cast<BoolExpr *>(condition)->args;
        writer->put(is_andclause(condition) ? part_and : part_or);
        writer->put(list_length(conditions));
        ListCell *cell;
        foreach (cell, conditions)
            write_condition(writer, static_cast<Expr *>(lfirst(cell)));
        return;
    }
    if (!IsA(condition, OpExpr) || !write_comparison(writer, reinterpret_cast<OpExpr *>(condition)))
        writer->put(part_other);
}

}  // namespace

Bounds bounds_of(PlannerInfo *root, IndexOptInfo *index, List *restrictions, OpExpr **distance) {
    Writer writer{root, index, *distance, {NIL, NIL, NIL, false}};
    writer.put(part_and);
    writer.put(list_length(restrictions));
    ListCell *cell;
    foreach (cell, restrictions) {
        const int before = list_length(writer.bounds.operands);
        write_condition(&writer, static_cast<Expr *>(lfirst(cell)));
        if (list_length(writer.bounds.operands) > before)
            writer.bounds.conditions = lappend(writer.bounds.conditions, lfirst(cell));
    }
    if (list_length(writer.bounds.operands) == 0)
        return {NIL, NIL, NIL, false};
    *distance = writer.distance;
    return writer.bounds;
}

// -----------------------------------------------------------------------------------------------
// While executing
// -----------------------------------------------------------------------------------------------

struct BoundsState {
    List *code;
    List *values;   // of ExprState
    Oid *types;     // of the values
    Operand *read;  // room for them
};

BoundsState *init_bounds(List *code, List *operands, PlanState *parent) {
    auto *state = static_cast<BoundsState *>(palloc0(sizeof(BoundsState)));
    state->code = code;
    state->values = ExecInitExprList(operands, parent);
    const auto count = static_cast<Size>(std::max(list_length(operands), 1));
    state->types = static_cast<Oid *>(palloc0(sizeof(Oid) * count));
    state->read = static_cast<Operand *>(palloc0(sizeof(Operand) * count));
    ListCell *cell;
    foreach (cell, operands)
        state->types[foreach_current_index(cell)] = exprType(static_cast<Node *>(lfirst(cell)));
    return state;
}

namespace {

// The value of an operand that is a vector: whether it is the one that the index measures to.
constexpr double same_vector = 1;
constexpr double other_vector = 0;

constexpr DistanceRange every_row{all_distances, DistanceRange::NaN::admitted};

DistanceRange both(const DistanceRange &a, const DistanceRange &b) {
    const bool nan = a.nan == DistanceRange::NaN::admitted && b.nan == DistanceRange::NaN::admitted;
    return {
        {std::max(a.distances.low, b.distances.low), std::min(a.distances.high, b.distances.high)},
        nan ? DistanceRange::NaN::admitted : DistanceRange::NaN::excluded};
}

bool is_empty(Interval interval) { return interval.low > interval.high; }

// The smallest range that covers both, including any gap between them.
DistanceRange either(const DistanceRange &a, const DistanceRange &b) {
    const bool nan = a.nan == DistanceRange::NaN::admitted || b.nan == DistanceRange::NaN::admitted;
    Interval distances = is_empty(a.distances) ? b.distances : a.distances;
    if (!is_empty(a.distances) && !is_empty(b.distances))
        distances = {std::min(a.distances.low, b.distances.low),
                     std::max(a.distances.high, b.distances.high)};
    return {distances, nan ? DistanceRange::NaN::admitted : DistanceRange::NaN::excluded};
}

class Reader {
  public:
    Reader(const List *code, const Operand *operands) : code_(code), operands_(operands) {}

    DistanceRange condition() {
        switch (static_cast<Part>(next())) {
            case part_and:
                return joined(both, every_row);
            case part_or:
                return joined(either, {no_distances, DistanceRange::NaN::excluded});
            case part_compare:
                return comparison();
            case part_other:
                break;
        }
        return every_row;
    }

  private:
    int next() { return list_nth_int(code_, position_++); }

    double limit(double without_end) {
        const int code = next();
        return code < 0 ? without_end : code;
    }

    template <class Join>
    DistanceRange joined(Join join, DistanceRange range) {
        for (int left = next(); left > 0; --left)
            range = join(range, condition());
        return range;
    }

    Chain chain() {
        Chain chain;
        chain.distances.low = limit(all_distances.low);
        chain.distances.high = limit(all_distances.high);
        chain.length = next();
        for (int i = 0; i < chain.length; ++i) {
            chain.steps[i].kind = static_cast<StepKind>(next());
            if (has_operand(chain.steps[i].kind))
                chain.steps[i].operand = *operands_++;
        }
        return chain;
    }

    // SQL sorts NaN above all other numbers, and every arithmetic step on NaN gives NaN again.
    DistanceRange comparison() {
        const int strategy = next();
        const Operand query = *operands_++;
        const Chain steps = chain();
        const Operand bound = *operands_++;
        if (query.state == Operand::State::null || bound.state == Operand::State::null)
            return {no_distances, DistanceRange::NaN::excluded};
        if (query.value == other_vector)
            return every_row;
        Interval range = all_distances;
        if (strategy <= BTEqualStrategyNumber)
            range = distances_within(steps, Side::at_most, bound.value);
        if (strategy >= BTEqualStrategyNumber) {
            const Interval other = distances_within(steps, Side::at_least, bound.value);
            range = {std::max(range.low, other.low), std::min(range.high, other.high)};
        }
        const bool nan = strategy > BTEqualStrategyNumber ||
                         (std::isnan(bound.value) && strategy != BTLessStrategyNumber);
        return {range, nan ? DistanceRange::NaN::admitted : DistanceRange::NaN::excluded};
    }

    const List *code_;
    const Operand *operands_;
    int position_ = 0;
};

Operand operand_of(Oid type, Datum value, bool is_null, QueryVector query) {
    if (is_null)
        return {Operand::State::null, 0};
    if (is_numeric_type(type))
        return {Operand::State::known, double_of(type, value)};
    const bool same = !query.is_null && datum_image_eq(value, query.value, false, -1);
    return {Operand::State::known, same ? same_vector : other_vector};
}

void read_operands(const BoundsState *state, ExprContext *context, QueryVector query) {
    ListCell *cell;
    foreach (cell, state->values) {
        const int i = foreach_current_index(cell);
        bool is_null = false;
        const Datum value =
            ExecEvalExprSwitchContext(static_cast<ExprState *>(lfirst(cell)), context, &is_null);
        state->read[i] = operand_of(state->types[i], value, is_null, query);
    }
}

}  // namespace

DistanceRange distance_range(const BoundsState *state, ExprContext *context, QueryVector query) {
    if (state->code == NIL)
        return every_row;
    read_operands(state, context, query);
    return Reader(state->code, state->read).condition();
}

}  // namespace dvec::postgres
