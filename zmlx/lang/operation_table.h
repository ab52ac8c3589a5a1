#pragma once

#include <cmath>
#include <tuple>
#include <type_traits>

#include "zmlx/lang/operations.h"
#include "zmlx/lang/scalar.h"

/// The rows of the operations, for the files that compile something for each
/// of them; others ask operation() of operations.h.
namespace zmlx::lang::operation_table {

/// In the place of a value function: the operation is none of one place's
/// values alone, or has another form in each type.
struct NoValue {};

template <typename Value>
struct Row : Operation {
  constexpr Row(Operation facts, Value value, Derivative back = nullptr)
      : Operation(facts), value(value) {
    derivative = back;
  }

  /// The result for operands of one compute type: any that TypeRule admits.
  Value value;
};

// clang-format off
constexpr Operation leaf(Op op, std::string_view name, TypeRule types, Along along = Along::Operands) {
  return {.op = op, .name = name, .types = types, .along = along, .knows_row = types == TypeRule::Count, .written = types == TypeRule::Count ? Written::Call : Written::Otherwise};
}
constexpr Operation map(Op op, std::string_view name, int arity, TypeRule types, Cost cost = Cost::Quick) {
  return {.op = op, .name = name, .arity = arity, .kind = OpKind::Map, .types = types, .cost = cost, .written = Written::Call};
}
constexpr Operation function(Op op, std::string_view name, Cost cost) {
  return map(op, name, 1, TypeRule::Float, cost);
}
constexpr Operation prefix(Op op, std::string_view name, TypeRule types) {
  Operation o = map(op, name, 1, types);
  o.written = Written::Prefix;
  return o;
}
constexpr Operation infix(Op op, std::string_view name, int precedence, TypeRule types) {
  Operation o = map(op, name, 2, types);
  o.written = Written::Infix;
  o.precedence = precedence;
  return o;
}
constexpr Operation reduction(Op op, std::string_view name, TypeRule types) {
  return {.op = op, .name = name, .arity = 1, .kind = OpKind::Reduction, .types = types, .along = Along::OnePerRow, .knows_row = true, .cost = Cost::Quick, .written = Written::Call};
}
constexpr Operation row_to_row(Op op, std::string_view name, TypeRule types) {
  return {.op = op, .name = name, .arity = 1, .kind = OpKind::RowToRow, .types = types, .along = Along::Varies, .knows_row = true, .cost = Cost::Quick, .written = Written::SpecialCall};
}
constexpr Operation read(Op op, std::string_view name, Along along) {
  return {.op = op, .name = name, .arity = 2, .kind = OpKind::Read, .along = along, .knows_row = true, .written = Written::SpecialCall};
}
constexpr Operation stage(Op op, std::string_view name, int arity) {
  return {.op = op, .name = name, .arity = arity, .kind = OpKind::Stage, .along = Along::Varies, .cost = Cost::Quick, .written = Written::SpecialCall, .differentiable = false};
}
constexpr Operation with(Operation o, Payload payload) {
  o.payload = payload;
  return o;
}
constexpr Operation varying(Operation o) {
  o.along = Along::Varies;
  return o;
}
constexpr Operation special(Operation o) {
  o.written = Written::SpecialCall;
  return o;
}
constexpr Operation costless(Operation o) {
  o.cost = Cost::None;
  return o;
}
constexpr Operation unknown_derivative(Operation o) {
  o.differentiable = false;
  return o;
}
// clang-format on

/// x as a product is differentiated: prod / x, also where a factor is 0.
inline Expr product_of_others(const Expr& x) {
  Expr zeros = sum(select(x == 0, 1.0, 0.0));
  Expr others = prod(select(x == 0, 1.0, x));
  return select(
      zeros == 0, others / x, select(zeros == 1 && x == 0, others, 0.0));
}

/// The order that leads back from a running sum to its terms.
constexpr ScanOrder reversed(ScanOrder order) {
  switch (order) {
    case ScanOrder::Forward:
      return ScanOrder::Reverse;
    case ScanOrder::ForwardExclusive:
      return ScanOrder::ReverseExclusive;
    case ScanOrder::Reverse:
      return ScanOrder::Forward;
    default:
      return ScanOrder::ForwardExclusive;
  }
}

using Flow = CotangentFlow;

inline constexpr NoValue none;
inline constexpr auto kPassOn = [](Flow& f) { f.give(0, f.c); };
inline constexpr auto kPassOnFloats = [](Flow& f) {
  if (is_float(f.node().type)) {
    f.give(0, f.c);
  }
};

// clang-format off
/// In the order of Op.
inline constexpr auto kRows = std::tuple{
    Row{with(leaf(Op::Input, "input", TypeRule::Own, Along::ByRole), Payload::Input), none},
    Row{with(leaf(Op::Constant, "constant", TypeRule::Own), Payload::Number), none},
    Row{leaf(Op::Index, "index", TypeRule::Count, Along::Varies), none},
    Row{leaf(Op::Width, "width", TypeRule::Count), none},
    Row{leaf(Op::RowIndex, "row_index", TypeRule::Count, Along::OnePerRow), none},
    Row{with(special(leaf(Op::Extent, "extent", TypeRule::Own)), Payload::Axis), none},
    Row{with(special(costless(map(Op::As, "as", 1, TypeRule::Own))), Payload::Type), none, kPassOnFloats},
    Row{with(special(costless(map(Op::Cast, "cast", 1, TypeRule::Own))), Payload::Type), none, kPassOnFloats},
    Row{costless(map(Op::Stop, "stop_gradient", 1, TypeRule::Own)), none},
    Row{costless(map(Op::Real, "real", 1, TypeRule::Own)), none, kPassOn},
    Row{Operation{.op = Op::Random, .name = "random", .arity = 1, .kind = OpKind::Draw, .along = Along::Varies, .cost = Cost::Quick, .written = Written::Call}, none},

    Row{prefix(Op::Neg, "-", TypeRule::Same), [](auto x) { return scalar::negate(x); }, [](Flow& f) { f.give(0, -f.c); }},
    Row{map(Op::Abs, "abs", 1, TypeRule::Same), [](auto x) { return scalar::absolute(x); },
        [](Flow& f) { f.give(0, f.c * select(f.arg(0) > 0, 1, select(f.arg(0) < 0, -1, 0))); }},
    Row{function(Op::Exp, "exp", Cost::Slow), [](auto x) { return std::exp(x); }, [](Flow& f) { f.give(0, f.c * f.y); }},
    Row{function(Op::Expm1, "expm1", Cost::Slow), [](auto x) { return std::expm1(x); }, [](Flow& f) { f.give(0, f.c * (f.y + 1)); }},
    Row{function(Op::Log, "log", Cost::Slow), [](auto x) { return std::log(x); }, [](Flow& f) { f.give(0, f.c / f.arg(0)); }},
    Row{function(Op::Log1p, "log1p", Cost::Slow), [](auto x) { return std::log1p(x); }, [](Flow& f) { f.give(0, f.c / (1 + f.arg(0))); }},
    Row{function(Op::Sqrt, "sqrt", Cost::Quick), [](auto x) { return std::sqrt(x); }, [](Flow& f) { f.give(0, f.c * 0.5 / f.y); }},
    Row{function(Op::Rsqrt, "rsqrt", Cost::Quick), [](auto x) { return 1 / std::sqrt(x); }, [](Flow& f) { f.give(0, f.c * (-0.5 * (f.y * f.y * f.y))); }},
    Row{function(Op::Sin, "sin", Cost::Slow), [](auto x) { return std::sin(x); }, [](Flow& f) { f.give(0, f.c * cos(f.arg(0))); }},
    Row{function(Op::Cos, "cos", Cost::Slow), [](auto x) { return std::cos(x); }, [](Flow& f) { f.give(0, -(f.c * sin(f.arg(0)))); }},
    Row{function(Op::Tanh, "tanh", Cost::Slow), [](auto x) { return std::tanh(x); }, [](Flow& f) { f.give(0, f.c * (1 - f.y * f.y)); }},
    Row{function(Op::Sigmoid, "sigmoid", Cost::Slow), [](auto x) { return scalar::sigmoid(x); }, [](Flow& f) { f.give(0, f.c * (f.y * (1 - f.y))); }},
    Row{function(Op::Erf, "erf", Cost::Slow), [](auto x) { return std::erf(x); },
        [](Flow& f) { f.give(0, f.c * (1.1283791670955126 * exp(-(f.arg(0) * f.arg(0))))); }},
    Row{map(Op::Floor, "floor", 1, TypeRule::Rounding), [](auto x) { return scalar::floor(x); }},
    Row{map(Op::Ceil, "ceil", 1, TypeRule::Rounding), [](auto x) { return scalar::ceil(x); }},
    Row{map(Op::Round, "round", 1, TypeRule::Rounding), [](auto x) { return scalar::round_even(x); }},
    Row{prefix(Op::Not, "!", TypeRule::Logical), [](auto x) { return !x; }},

    Row{infix(Op::Add, "+", 9, TypeRule::Same), [](auto x, auto y) { return scalar::add(x, y); }, [](Flow& f) { f.give(0, f.c); f.give(1, f.c); }},
    Row{infix(Op::Sub, "-", 9, TypeRule::Same), [](auto x, auto y) { return scalar::subtract(x, y); }, [](Flow& f) { f.give(0, f.c); f.give(1, -f.c); }},
    Row{infix(Op::Mul, "*", 10, TypeRule::Same), [](auto x, auto y) { return scalar::multiply(x, y); },
        [](Flow& f) {
          if (f.arg(0).get() == f.arg(1).get()) {
            f.give(0, 2 * f.c * f.arg(0));
          } else {
            f.give(0, f.c * f.arg(1)); f.give(1, f.c * f.arg(0));
          }
        }},
    Row{infix(Op::Div, "/", 10, TypeRule::Same), [](auto x, auto y) { return scalar::divide(x, y); },
        [](Flow& f) { f.give(0, f.c / f.arg(1)); f.give(1, -(f.c * f.y / f.arg(1))); }},
    Row{infix(Op::Mod, "%", 10, TypeRule::Same), [](auto x, auto y) { return scalar::modulo(x, y); },
        [](Flow& f) { f.give(0, f.c); f.give(1, -(f.c * floor(f.arg(0) / f.arg(1)))); }},
    Row{map(Op::Pow, "pow", 2, TypeRule::Same, Cost::Slow), [](auto x, auto y) { return scalar::power(x, y); },
        [](Flow& f) {
          f.give(0, f.c * (f.arg(1) * pow(f.arg(0), f.arg(1) - 1)));
          f.give(1, f.c * select(f.arg(0) == 0, 0.0, f.y * log(f.arg(0))));
        }},
    Row{map(Op::Max, "max", 2, TypeRule::Same), [](auto x, auto y) { return scalar::larger(x, y); },
        [](Flow& f) { f.give(0, select(f.arg(0) > f.arg(1), f.c, 0.0)); f.give(1, select(f.arg(0) > f.arg(1), 0.0, f.c)); }},
    Row{map(Op::Min, "min", 2, TypeRule::Same), [](auto x, auto y) { return scalar::smaller(x, y); },
        [](Flow& f) { f.give(0, select(f.arg(0) < f.arg(1), f.c, 0.0)); f.give(1, select(f.arg(0) < f.arg(1), 0.0, f.c)); }},
    Row{infix(Op::And, "&&", 2, TypeRule::Logical), [](auto x, auto y) { return x && y; }},
    Row{infix(Op::Or, "||", 1, TypeRule::Logical), [](auto x, auto y) { return x || y; }},
    Row{infix(Op::BitAnd, "&", 5, TypeRule::Integer), [](auto x, auto y) { return x & y; }},
    Row{infix(Op::BitOr, "|", 3, TypeRule::Integer), [](auto x, auto y) { return x | y; }},
    Row{infix(Op::BitXor, "^", 4, TypeRule::Integer), [](auto x, auto y) { return x ^ y; }},
    Row{infix(Op::Shl, "<<", 8, TypeRule::Integer), [](auto x, auto y) { return scalar::shift_left(x, y); }},
    Row{infix(Op::Shr, ">>", 8, TypeRule::Integer), [](auto x, auto y) { return scalar::shift_right(x, y); }},
    Row{infix(Op::Less, "<", 7, TypeRule::Comparison), [](auto x, auto y) { return x < y; }},
    Row{infix(Op::LessEqual, "<=", 7, TypeRule::Comparison), [](auto x, auto y) { return x <= y; }},
    Row{infix(Op::Equal, "==", 6, TypeRule::Comparison), [](auto x, auto y) { return x == y; }},
    Row{infix(Op::NotEqual, "!=", 6, TypeRule::Comparison), [](auto x, auto y) { return x != y; }},
    Row{map(Op::Select, "select", 3, TypeRule::Own), none,
        [](Flow& f) { f.give(1, select(f.arg(0), f.c, 0.0)); f.give(2, select(f.arg(0), 0.0, f.c)); }},

    Row{reduction(Op::Sum, "sum", TypeRule::Total), none, kPassOn},
    Row{reduction(Op::Prod, "prod", TypeRule::Total), none, [](Flow& f) { f.give(0, f.c * product_of_others(f.arg(0))); }},
    Row{reduction(Op::MaxOf, "max_of", TypeRule::Same), none, [](Flow& f) { f.give(0, select(index() == argmax(f.arg(0)), f.c, 0.0)); }},
    Row{reduction(Op::MinOf, "min_of", TypeRule::Same), none, [](Flow& f) { f.give(0, select(index() == argmin(f.arg(0)), f.c, 0.0)); }},
    Row{reduction(Op::ArgMax, "argmax", TypeRule::Place), none},
    Row{reduction(Op::ArgMin, "argmin", TypeRule::Place), none},
    Row{read(Op::Pick, "pick", Along::Operands), none},
    Row{read(Op::Take, "take", Along::Varies), none},
    Row{with(row_to_row(Op::CumSum, "cumsum", TypeRule::Total), Payload::Order), none, [](Flow& f) { f.give(0, cumsum(f.c, reversed(f.node().order))); }},
    Row{with(unknown_derivative(row_to_row(Op::TopValues, "top_values", TypeRule::Same)), Payload::Count), none},
    Row{with(row_to_row(Op::TopPlaces, "top_places", TypeRule::Place), Payload::Count), none},
    Row{with(stage(Op::Product, "product", 1), Payload::Weight), none},
    Row{with(stage(Op::Attention, "attention", 4), Payload::Scale), none},
    Row{leaf(Op::Slot, "slot", TypeRule::Own), none},
};
// clang-format on

/// The type of row I.
template <size_t I>
using RowOf = std::tuple_element_t<I, std::remove_const_t<decltype(kRows)>>;

/// Whether row I has a value function for operands of compute type T. Bool as a
/// type of its own has the logical operations; where a device holds truth
/// values as numbers these take numbers too.
template <size_t I, typename T>
consteval bool has_value() {
  constexpr TypeRule types = std::get<I>(kRows).types;
  if constexpr (std::is_same_v<decltype(RowOf<I>::value), NoValue>) {
    return false;
  } else if constexpr (std::is_same_v<T, bool>) {
    return types == TypeRule::Logical;
  } else if constexpr (std::is_floating_point_v<T>) {
    return types != TypeRule::Integer;
  } else {
    return types != TypeRule::Float;
  }
}

} // namespace zmlx::lang::operation_table
