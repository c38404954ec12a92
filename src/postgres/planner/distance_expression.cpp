#include "postgres/planner/distance_expression.hpp"

#include <cstring>

#include "postgres/bridge/catalog.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/relation/opclass.hpp"

namespace dvec::postgres {

namespace {

// The functions that implement the distance operators, by their DVEC_FUNCTION names. Some have a
// second function that returns the same distance in another form, such as the square.
struct DistanceFunction {
    const char *of_operator;
    Interval distances;
    bool may_be_nan;         // relation/usual_rows.hpp says of which vectors
    const char *other_form;  // null: none
    StepKind other_step;     // what the other function does to the distance
};

constexpr Interval any_sign = all_distances;
constexpr Interval not_negative{0, __builtin_inf()};

constexpr DistanceFunction distance_functions[] = {
    {"l2_distance", not_negative, false, "vector_l2_squared_distance", StepKind::square},
    {"halfvec_l2_distance", not_negative, false, "halfvec_l2_squared_distance", StepKind::square},
    {"sparsevec_l2_distance", not_negative, false, "sparsevec_l2_squared_distance",
     StepKind::square},
    {"vector_negative_inner_product", any_sign, true, "inner_product", StepKind::negate},
    {"halfvec_negative_inner_product", any_sign, true, "halfvec_inner_product", StepKind::negate},
    {"sparsevec_negative_inner_product", any_sign, true, "sparsevec_inner_product",
     StepKind::negate},
    {"cosine_distance", {0, 2}, true, nullptr, {}},
    {"halfvec_cosine_distance", {0, 2}, true, nullptr, {}},
    {"sparsevec_cosine_distance", {0, 2}, true, nullptr, {}},
    {"l1_distance", not_negative, false, nullptr, {}},
    {"halfvec_l1_distance", not_negative, false, nullptr, {}},
    {"sparsevec_l1_distance", not_negative, false, nullptr, {}},
    {"hamming_distance", not_negative, false, nullptr, {}},
    {"jaccard_distance", {0, 1}, false, nullptr, {}},
};

// A function written in C: its library and its symbol.
struct Symbol {
    const char *library;  // null when the function is none
    const char *name;
};

const char *without_prefix(const char *symbol) {
    constexpr const char *prefix = "dvec_";
    const size_t length = std::strlen(prefix);
    return std::strncmp(symbol, prefix, length) == 0 ? symbol + length : symbol;
}

Symbol symbol_of(Oid function) {
    Symbol symbol{nullptr, nullptr};
    HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
    if (!HeapTupleIsValid(tuple))
        return symbol;
    if (reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple))->prolang == ClanguageId) {
        bool no_name = false;
        bool no_library = false;
        const Datum name = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &no_name);
        const Datum library = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_probin, &no_library);
        if (!no_name && !no_library)
            symbol = {TextDatumGetCString(library), without_prefix(TextDatumGetCString(name))};
    }
    ReleaseSysCache(tuple);
    return symbol;
}

// What is looked for: the distance of one index.
struct Pattern {
    PlannerInfo *root;
    IndexOptInfo *index;
    Oid ordering_operator;
    Oid ordering_function;
    const char *library;
    const DistanceFunction *function;
};

bool make_pattern(PlannerInfo *root, IndexOptInfo *index, Pattern *pattern) {
    const Oid type = index->opcintype[0];
    const Oid distance_operator =
        get_opfamily_member(index->opfamily[0], type, type, distance_strategy);
    if (!OidIsValid(distance_operator))
        return false;
    const Oid function = get_opcode(distance_operator);
    const Symbol symbol = symbol_of(function);
    if (symbol.name == nullptr)
        return false;
    for (const DistanceFunction &known : distance_functions) {
        if (std::strcmp(known.of_operator, symbol.name) == 0) {
            *pattern = {root, index, distance_operator, function, symbol.library, &known};
            return true;
        }
    }
    return false;
}

Oid function_of(Expr *expr) {
    if (IsA(expr, FuncExpr))
        return reinterpret_cast<FuncExpr *>(expr)->funcid;
    if (!IsA(expr, OpExpr))
        return InvalidOid;
    set_opfuncid(reinterpret_cast<OpExpr *>(expr));
    return reinterpret_cast<OpExpr *>(expr)->opfuncid;
}

List *arguments_of(Expr *expr) {
    return IsA(expr, FuncExpr) ? reinterpret_cast<FuncExpr *>(expr)->args
                               : reinterpret_cast<OpExpr *>(expr)->args;
}

// The distance between two arguments of which one is the index's column; null when none is.
OpExpr *distance_between(const Pattern &pattern, List *arguments, Oid collation) {
    auto *left = static_cast<Expr *>(linitial(arguments));
    auto *right = static_cast<Expr *>(lsecond(arguments));
    if (!match_index_to_operand(reinterpret_cast<Node *>(left), 0, pattern.index))
        std::swap(left, right);
    if (!match_index_to_operand(reinterpret_cast<Node *>(left), 0, pattern.index) ||
        !is_fixed_for_scan(pattern.root, pattern.index, right))
        return nullptr;
    auto *distance = reinterpret_cast<OpExpr *>(make_opclause(
        pattern.ordering_operator, FLOAT8OID, false, left, right, InvalidOid, collation));
    distance->opfuncid = pattern.ordering_function;
    return distance;
}

bool match_distance(const Pattern &pattern, Expr *expr, DistanceExpression *result) {
    const Oid function = function_of(expr);
    if (!OidIsValid(function) || list_length(arguments_of(expr)) != 2)
        return false;
    bool other_form = false;
    if (function != pattern.ordering_function) {
        const Symbol symbol = symbol_of(function);
        if (symbol.name == nullptr || pattern.function->other_form == nullptr ||
            std::strcmp(symbol.library, pattern.library) != 0 ||
            std::strcmp(symbol.name, pattern.function->other_form) != 0)
            return false;
        other_form = true;
    }
    result->distance = distance_between(pattern, arguments_of(expr),
                                        exprInputCollation(reinterpret_cast<Node *>(expr)));
    if (result->distance == nullptr)
        return false;
    result->distances = pattern.function->distances;
    result->may_be_nan = pattern.function->may_be_nan;
    result->steps = NIL;
    result->operands = NIL;
    if (other_form)
        result->steps = list_make1_int(static_cast<int>(pattern.function->other_step));
    return true;
}

// What a function of one argument does to it.
constexpr int no_step = -1;

int unary_step(Oid function) {
    switch (function) {
        case F_FLOAT8UM:
        case F_FLOAT4UM:
        case F_NUMERIC_UMINUS:
            return static_cast<int>(StepKind::negate);
        case F_DSQRT:
        case F_SQRT_FLOAT8:
            return static_cast<int>(StepKind::root);
        case F_DEXP:
        case F_EXP_FLOAT8:
            return static_cast<int>(StepKind::exponential);
        case F_FLOAT4_FLOAT8:
        case F_FLOAT4_NUMERIC:
            return static_cast<int>(StepKind::round_to_float4);
        // What comes from float4 has fewer digits than is rounded to: six.
        case F_NUMERIC_FLOAT4:
            return static_cast<int>(StepKind::round_to_float4);
        case F_NUMERIC_FLOAT8:
        case F_FLOAT8_NUMERIC:
        // These conversions are exact. Treating them as that rounding widens bounds a little, which
        // does no harm.
        case F_FLOAT8_FLOAT4:
        case F_FLOAT8UP:
        case F_FLOAT4UP:
        case F_NUMERIC_UPLUS:
        case F_FLOAT8_INT2:
        case F_FLOAT8_INT4:
        case F_FLOAT8_INT8:
        case F_NUMERIC_INT2:
        case F_NUMERIC_INT4:
        case F_NUMERIC_INT8:
            return static_cast<int>(StepKind::round_to_numeric);
        case F_INT2_FLOAT8:
        case F_INT4_FLOAT8:
        case F_INT8_FLOAT8:
        case F_INT2_FLOAT4:
        case F_INT4_FLOAT4:
        case F_INT8_FLOAT4:
        case F_INT2_NUMERIC:
        case F_INT4_NUMERIC:
        case F_INT8_NUMERIC:
        case F_DROUND:
        case F_DTRUNC:
        case F_ROUND_FLOAT8:
        case F_TRUNC_FLOAT8:
        case F_CEIL_FLOAT8:
        case F_CEILING_FLOAT8:
        case F_FLOOR_FLOAT8:
        case F_ROUND_NUMERIC:
        case F_TRUNC_NUMERIC:
        case F_CEIL_NUMERIC:
        case F_CEILING_NUMERIC:
        case F_FLOOR_NUMERIC:
            return static_cast<int>(StepKind::round_to_integer);
        default:
            return no_step;
    }
}

enum class Position : bool { left, right };  // of the distance among two arguments

int binary_step(Oid function, Position position) {
    const bool left = position == Position::left;
    switch (function) {
        case F_FLOAT8PL:
        case F_FLOAT4PL:
        case F_FLOAT48PL:
        case F_FLOAT84PL:
        case F_NUMERIC_ADD:
            return static_cast<int>(StepKind::add);
        case F_FLOAT8MI:
        case F_FLOAT4MI:
        case F_FLOAT48MI:
        case F_FLOAT84MI:
        case F_NUMERIC_SUB:
            return static_cast<int>(left ? StepKind::subtract : StepKind::subtract_from);
        case F_FLOAT8MUL:
        case F_FLOAT4MUL:
        case F_FLOAT48MUL:
        case F_FLOAT84MUL:
        case F_NUMERIC_MUL:
            return static_cast<int>(StepKind::multiply);
        case F_FLOAT8DIV:
        case F_FLOAT4DIV:
        case F_FLOAT48DIV:
        case F_FLOAT84DIV:
        case F_NUMERIC_DIV:
            return static_cast<int>(left ? StepKind::divide : StepKind::divide_into);
        case F_ROUND_NUMERIC_INT4:
        case F_TRUNC_NUMERIC_INT4:
            return left ? static_cast<int>(StepKind::round_to_digits) : no_step;
        default:
            return no_step;
    }
}

// The rounding that a function's result type implies for the step before.
int rounding_behind(Oid function) {
    switch (function) {
        case F_FLOAT4PL:
        case F_FLOAT4MI:
        case F_FLOAT4MUL:
        case F_FLOAT4DIV:
            return static_cast<int>(StepKind::round_to_float4);
        case F_NUMERIC_DIV:
            return static_cast<int>(StepKind::round_quotient);
        default:
            return no_step;
    }
}

bool is_two(const Expr *expr) {
    return IsA(expr, Const) && !reinterpret_cast<const Const *>(expr)->constisnull &&
           is_numeric_type(reinterpret_cast<const Const *>(expr)->consttype) &&
           double_of(reinterpret_cast<const Const *>(expr)->consttype,
                     reinterpret_cast<const Const *>(expr)->constvalue) == 2;
}

void add_step(DistanceExpression *result, int step, Expr *operand) {
    result->steps = lappend_int(result->steps, step);
    if (operand != nullptr)
        result->operands = lappend(result->operands, operand);
}

bool match(const Pattern &pattern, Expr *expr, DistanceExpression *result);

bool match_unary(const Pattern &pattern, Expr *expr, DistanceExpression *result) {
    const int step = unary_step(function_of(expr));
    if (step == no_step ||
        !match(pattern, static_cast<Expr *>(linitial(arguments_of(expr))), result))
        return false;
    add_step(result, step, nullptr);
    return true;
}

// numeric(precision, scale) as a cast: the operand of the rounding is hidden in the type modifier.
Expr *digits_of_typmod(Expr *typmod) {
    if (!IsA(typmod, Const) || reinterpret_cast<Const *>(typmod)->constisnull)
        return nullptr;
    const int32 modifier = DatumGetInt32(reinterpret_cast<Const *>(typmod)->constvalue);
    if (modifier < static_cast<int32>(VARHDRSZ))
        return nullptr;
    // The scale is the lower 11 bits, with sign.
    const int scale = (((modifier - static_cast<int32>(VARHDRSZ)) & 0x7ff) ^ 1024) - 1024;
    return reinterpret_cast<Expr *>(
        makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(scale), false, true));
}

bool match_typmod(const Pattern &pattern, List *arguments, DistanceExpression *result) {
    Expr *digits = digits_of_typmod(static_cast<Expr *>(lsecond(arguments)));
    if (digits == nullptr || !match(pattern, static_cast<Expr *>(linitial(arguments)), result))
        return false;
    add_step(result, static_cast<int>(StepKind::round_to_digits), digits);
    return true;
}

bool match_power(const Pattern &pattern, List *arguments, DistanceExpression *result) {
    if (!is_two(static_cast<Expr *>(lsecond(arguments))) ||
        !match(pattern, static_cast<Expr *>(linitial(arguments)), result))
        return false;
    add_step(result, static_cast<int>(StepKind::square), nullptr);
    return true;
}

bool match_binary(const Pattern &pattern, Expr *expr, DistanceExpression *result) {
    const Oid function = function_of(expr);
    List *arguments = arguments_of(expr);
    if (function == F_NUMERIC_NUMERIC_INT4)
        return match_typmod(pattern, arguments, result);
    if (function == F_DPOW || function == F_POW_FLOAT8_FLOAT8 || function == F_POWER_FLOAT8_FLOAT8)
        return match_power(pattern, arguments, result);
    if (binary_step(function, Position::left) == no_step)
        return false;
    auto *inner = static_cast<Expr *>(linitial(arguments));
    auto *operand = static_cast<Expr *>(lsecond(arguments));
    Position position = Position::left;
    if (is_fixed_for_scan(pattern.root, pattern.index, inner)) {
        std::swap(inner, operand);
        position = Position::right;
    }
    const int step = binary_step(function, position);
    if (step == no_step || !is_fixed_for_scan(pattern.root, pattern.index, operand) ||
        !match(pattern, inner, result))
        return false;
    add_step(result, step, operand);
    if (rounding_behind(function) != no_step)
        add_step(result, rounding_behind(function), nullptr);
    return true;
}

bool match(const Pattern &pattern, Expr *expr, DistanceExpression *result) {
    check_stack_depth();
    while (IsA(expr, RelabelType))
        expr = reinterpret_cast<RelabelType *>(expr)->arg;
    if (match_distance(pattern, expr, result))
        return true;
    if (!OidIsValid(function_of(expr)))
        return false;
    switch (list_length(arguments_of(expr))) {
        case 1:
            return match_unary(pattern, expr, result);
        case 2:
            return match_binary(pattern, expr, result);
        default:
            return false;
    }
}

bool is_distance(Expr *expr) {
    const Oid function = function_of(expr);
    const Symbol symbol = OidIsValid(function) ? symbol_of(function) : Symbol{nullptr, nullptr};
    if (symbol.name == nullptr)
        return false;
    for (const DistanceFunction &known : distance_functions)
        if (std::strcmp(known.of_operator, symbol.name) == 0 ||
            (known.other_form != nullptr && std::strcmp(known.other_form, symbol.name) == 0))
            return true;
    return false;
}

}  // namespace

bool is_fixed_for_scan(PlannerInfo *root, const IndexOptInfo *index, Expr *expr) {
    Node *node = reinterpret_cast<Node *>(expr);
    return !bms_is_member(static_cast<int>(index->rel->relid), pull_varnos(root, node)) &&
           !contain_volatile_functions(node) && !contain_subplans(node);
}

bool match_distance_expression(PlannerInfo *root, IndexOptInfo *index, Expr *expr,
                               DistanceExpression *result) {
    Pattern pattern;
    return make_pattern(root, index, &pattern) && match(pattern, expr, result) &&
           list_length(result->steps) <= Chain::most_steps;
}

Chain chain_with_constants(const DistanceExpression &expression) {
    Chain chain{expression.distances, 0, {}};
    ListCell *operand = list_head(expression.operands);
    ListCell *cell;
    foreach (cell, expression.steps) {
        Step &step = chain.steps[chain.length++];
        step = {static_cast<StepKind>(lfirst_int(cell)), {Operand::State::unknown, 0}};
        if (!has_operand(step.kind))
            continue;
        const auto *value = static_cast<const Const *>(lfirst(operand));
        operand = lnext(expression.operands, operand);
        if (!IsA(value, Const))
            continue;
        if (value->constisnull)
            step.operand.state = Operand::State::null;
        else
            step.operand = {Operand::State::known, double_of(value->consttype, value->constvalue)};
    }
    return chain;
}

bool is_numeric_type(Oid type) {
    switch (type) {
        case FLOAT8OID:
        case FLOAT4OID:
        case NUMERICOID:
        case INT2OID:
        case INT4OID:
        case INT8OID:
            return true;
        default:
            return false;
    }
}

double double_of(Oid type, Datum value) {
    switch (type) {
        case FLOAT8OID:
            return DatumGetFloat8(value);
        case FLOAT4OID:
            return static_cast<double>(DatumGetFloat4(value));
        case NUMERICOID:
            return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, value));
        case INT2OID:
            return DatumGetInt16(value);
        case INT4OID:
            return DatumGetInt32(value);
        case INT8OID:
            return static_cast<double>(DatumGetInt64(value));
        default:
            elog(ERROR, "type %u is not numeric", type);
    }
}

bool contains_distance(Node *node, void *context) {
    if (node == nullptr)
        return false;
    return is_distance(reinterpret_cast<Expr *>(node)) ||
           compat::walk_expression(node, contains_distance, context);
}

}  // namespace dvec::postgres
