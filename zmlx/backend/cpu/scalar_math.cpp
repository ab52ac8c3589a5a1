// Block operations of every type, one element at a time: what the vectorised
// ones leave.
#include <algorithm>

#include "zmlx/backend/cpu/half.h"
#include "zmlx/backend/cpu/scalar.h"
#include "zmlx/backend/cpu/vector.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Op;
using lang::Type;

template <typename T>
const T& at(const BlockArgs& a, int operand, size_t i) {
  return static_cast<const T*>(a.in[operand])[i & a.mask[operand]];
}

template <typename Out, typename A, typename F>
void run_unary(const BlockArgs& a) noexcept {
  for (size_t i = 0; i < a.n; ++i) {
    static_cast<Out*>(a.out)[i] = F()(at<A>(a, 0, i));
  }
}

template <typename Out, typename A, typename F>
void run_binary(const BlockArgs& a) noexcept {
  for (size_t i = 0; i < a.n; ++i) {
    static_cast<Out*>(a.out)[i] = F()(at<A>(a, 0, i), at<A>(a, 1, i));
  }
}

template <typename C, typename T>
void run_select(const BlockArgs& a) noexcept {
  for (size_t i = 0; i < a.n; ++i) {
    static_cast<T*>(a.out)[i] =
        at<C>(a, 0, i) ? at<T>(a, 1, i) : at<T>(a, 2, i);
  }
}

template <typename T>
T sigmoid(T x) {
  const T e = std::exp(-std::abs(x));
  return (x < 0 ? e : T(1)) / (T(1) + e);
}

// Integers wrap as unsigned ones do.
template <typename T>
using Wrapping = typename std::conditional_t<
    std::is_integral_v<T>,
    std::make_unsigned<T>,
    std::common_type<T>>::type;

template <typename T>
T divide(T x, T y) {
  if constexpr (std::is_integral_v<T>) {
    if (y == 0) {
      return 0;
    }
    if (std::is_signed_v<T> && y == T(-1)) {
      return T(Wrapping<T>(0) - Wrapping<T>(x)); // the least has no opposite
    }
  }
  return x / y;
}

template <typename T>
T modulo(T x, T y) {
  if constexpr (std::is_integral_v<T>) {
    if (y == 0 || (std::is_signed_v<T> && y == T(-1))) {
      return 0;
    }
    const T r = x % y;
    return r != 0 && (r < 0) != (y < 0) ? r + y : r;
  } else {
    const T r = std::fmod(x, y);
    return r != 0 && (r < 0) != (y < 0) ? r + y : r;
  }
}

template <typename T>
T power(T x, T y) {
  if constexpr (std::is_integral_v<T>) {
    if (y < 0) {
      return x == 1 ? 1 : x == T(-1) ? (y % 2 ? x : T(1)) : 0;
    }
    Wrapping<T> result = 1, base = Wrapping<T>(x);
    for (auto e = Wrapping<T>(y); e; e >>= 1, base *= base) {
      result = e & 1 ? result * base : result;
    }
    return T(result);
  } else {
    return std::pow(x, y);
  }
}

// Counts outside the width shift everything out.
template <typename T>
T shift_left(T x, T y) {
  constexpr int width = 8 * sizeof(T);
  return Wrapping<T>(y) >= width ? T(0) : T(Wrapping<T>(x) << y);
}

template <typename T>
T shift_right(T x, T y) {
  constexpr int width = 8 * sizeof(T);
  return Wrapping<T>(y) < width ? T(x >> y) : x < 0 ? T(-1) : T(0);
}

template <typename T>
T negate(T x) {
  if constexpr (std::is_integral_v<T>) {
    return T(Wrapping<T>(0) - Wrapping<T>(x));
  } else {
    return -x;
  }
}

template <typename T>
T absolute(T x) {
  if constexpr (std::is_floating_point_v<T>) {
    return std::abs(x);
  } else {
    return x < 0 ? negate(x) : x;
  }
}

template <typename T>
T round_even(T x) {
  return std::nearbyint(x);
}

// clang-format off
#define ZMLX_UNARY(NAME, VALUE) \
  struct NAME { template <typename T> auto operator()(T x) const { return VALUE; } }
#define ZMLX_BINARY(NAME, VALUE) \
  struct NAME { template <typename T> auto operator()(T x, T y) const { return VALUE; } }

ZMLX_UNARY(Neg, negate(x));
ZMLX_UNARY(Abs, absolute(x));
ZMLX_UNARY(Not, int32_t(!x));
ZMLX_UNARY(Exp, std::exp(x));
ZMLX_UNARY(Expm1, std::expm1(x));
ZMLX_UNARY(Log, std::log(x));
ZMLX_UNARY(Log1p, std::log1p(x));
ZMLX_UNARY(Sqrt, std::sqrt(x));
ZMLX_UNARY(Rsqrt, T(1) / std::sqrt(x));
ZMLX_UNARY(Sin, std::sin(x));
ZMLX_UNARY(Cos, std::cos(x));
ZMLX_UNARY(Tanh, std::tanh(x));
ZMLX_UNARY(Sigmoid, sigmoid(x));
ZMLX_UNARY(Erf, std::erf(x));
ZMLX_UNARY(Floor, std::floor(x));
ZMLX_UNARY(Ceil, std::ceil(x));
ZMLX_UNARY(Round, round_even(x));
ZMLX_UNARY(Same, x);
ZMLX_BINARY(Add, T(Wrapping<T>(x) + Wrapping<T>(y)));
ZMLX_BINARY(Sub, T(Wrapping<T>(x) - Wrapping<T>(y)));
ZMLX_BINARY(Mul, T(Wrapping<T>(x) * Wrapping<T>(y)));
ZMLX_BINARY(Div, divide(x, y));
ZMLX_BINARY(Mod, modulo(x, y));
ZMLX_BINARY(Pow, power(x, y));
ZMLX_BINARY(Max, x != x || x > y ? x : y);
ZMLX_BINARY(Min, x != x || x < y ? x : y);
ZMLX_BINARY(And, int32_t(x && y));
ZMLX_BINARY(Or, int32_t(x || y));
ZMLX_BINARY(Less, int32_t(x < y));
ZMLX_BINARY(LessEqual, int32_t(x <= y));
ZMLX_BINARY(Equal, int32_t(x == y));
ZMLX_BINARY(NotEqual, int32_t(x != y));
ZMLX_BINARY(BitAnd, T(x & y));
ZMLX_BINARY(BitOr, T(x | y));
ZMLX_BINARY(BitXor, T(x ^ y));
ZMLX_BINARY(Shl, shift_left(x, y));
ZMLX_BINARY(Shr, shift_right(x, y));

template <typename T>
BlockOp float_unary(Op op) {
  switch (op) {
#define ZMLX_CASE(NAME) case Op::NAME: return &run_unary<T, T, NAME>
    ZMLX_CASE(Exp);   ZMLX_CASE(Expm1); ZMLX_CASE(Log);  ZMLX_CASE(Log1p);
    ZMLX_CASE(Sqrt);  ZMLX_CASE(Rsqrt); ZMLX_CASE(Sin);  ZMLX_CASE(Cos);
    ZMLX_CASE(Tanh);  ZMLX_CASE(Erf);   ZMLX_CASE(Sigmoid);
    ZMLX_CASE(Floor); ZMLX_CASE(Ceil);  ZMLX_CASE(Round);
#undef ZMLX_CASE
    default: return nullptr;
  }
}

template <typename T>
BlockOp integer_operation(Op op) {
  switch (op) {
#define ZMLX_CASE(NAME) case Op::NAME: return &run_binary<T, T, NAME>
    ZMLX_CASE(BitAnd); ZMLX_CASE(BitOr); ZMLX_CASE(BitXor);
    ZMLX_CASE(Shl);    ZMLX_CASE(Shr);
#undef ZMLX_CASE
    case Op::Floor: case Op::Ceil: case Op::Round:
      return &run_unary<T, T, Same>;
    default: return nullptr;
  }
}

template <typename T>
BlockOp operation(Op op) {
  switch (op) {
#define ZMLX_CASE(NAME) case Op::NAME: return &run_binary<T, T, NAME>
    ZMLX_CASE(Add); ZMLX_CASE(Sub); ZMLX_CASE(Mul); ZMLX_CASE(Div);
    ZMLX_CASE(Mod); ZMLX_CASE(Pow); ZMLX_CASE(Max); ZMLX_CASE(Min);
#undef ZMLX_CASE
#define ZMLX_CASE(NAME) case Op::NAME: return &run_binary<int32_t, T, NAME>
    ZMLX_CASE(And);  ZMLX_CASE(Or);    ZMLX_CASE(Less);
    ZMLX_CASE(Equal); ZMLX_CASE(NotEqual); ZMLX_CASE(LessEqual);
#undef ZMLX_CASE
    case Op::Neg: return &run_unary<T, T, Neg>;
    case Op::Abs: return &run_unary<T, T, Abs>;
    case Op::Not: return &run_unary<int32_t, T, Not>;
    default: break;
  }
  if constexpr (std::is_floating_point_v<T>) {
    return float_unary<T>(op);
  } else {
    return integer_operation<T>(op);
  }
}
// clang-format on

template <typename To>
struct CastTo {
  template <typename T>
  To operator()(T x) const {
    return convert<To>(x);
  }
};

template <typename Stored>
struct AsInteger {
  template <typename T>
  T operator()(T x) const {
    return T(convert<Stored>(x));
  }
};

struct NonZero {
  template <typename T>
  int32_t operator()(T x) const {
    return x != 0;
  }
};

struct AsBool {
  template <typename T>
  T operator()(T x) const {
    return T(x != 0);
  }
};

struct AsFloat16 {
  template <typename T>
  T operator()(T x) const {
    return T(from_float16(to_float16(float(x))));
  }
};

struct AsBfloat16 {
  template <typename T>
  T operator()(T x) const {
    return T(from_bfloat16(to_bfloat16(float(x))));
  }
};

template <typename T>
BlockOp as(Type stored) {
  // clang-format off
  switch (stored) {
    case Type::Bool: return &run_unary<T, T, AsBool>;
    case Type::U8: return &run_unary<T, T, AsInteger<uint8_t>>;
    case Type::I8: return &run_unary<T, T, AsInteger<int8_t>>;
    case Type::U16: return &run_unary<T, T, AsInteger<uint16_t>>;
    case Type::I16: return &run_unary<T, T, AsInteger<int16_t>>;
    case Type::U32: return &run_unary<T, T, AsInteger<uint32_t>>;
    case Type::I32: return &run_unary<T, T, AsInteger<int32_t>>;
    case Type::U64: return &run_unary<T, T, AsInteger<uint64_t>>;
    case Type::I64: return &run_unary<T, T, AsInteger<int64_t>>;
    case Type::F16: return &run_unary<T, T, AsFloat16>;
    case Type::BF16: return &run_unary<T, T, AsBfloat16>;
    case Type::F32: return &run_unary<T, T, CastTo<float>>;
    case Type::F64: return &run_unary<T, T, CastTo<double>>;
  }
  // clang-format on
  return nullptr;
}

BlockOp cast(Type from, Type to) {
  return with_register_type(from, [to](auto x) {
    using From = decltype(x);
    return with_register_type(to, [](auto y) -> BlockOp {
      using To = decltype(y);
      return &run_unary<To, From, CastTo<To>>;
    });
  });
}

BlockOp to_bool(Type from) {
  return with_register_type(from, [](auto x) -> BlockOp {
    return &run_unary<int32_t, decltype(x), NonZero>;
  });
}

BlockOp select(Type condition, Type type) {
  return with_register_type(condition, [type](auto c) {
    using C = decltype(c);
    return with_register_type(
        type, [](auto x) -> BlockOp { return &run_select<C, decltype(x)>; });
  });
}

bool is_logical(Op op) {
  return op == Op::Not || op == Op::And || op == Op::Or || op == Op::Less ||
      op == Op::LessEqual || op == Op::Equal || op == Op::NotEqual;
}

// Whether the types of operands and result are what the operation takes.
bool types_fit(
    const lang::Instruction& i,
    const std::array<Type, 3>& in,
    Type result) {
  if (i.op == Op::Select) {
    return in[1] == result && in[2] == result;
  }
  if (lang::arity(i.op) == 2 && in[0] != in[1]) {
    return false;
  }
  return i.op == Op::Cast || result == (is_logical(i.op) ? Type::I32 : in[0]);
}

} // namespace

Type register_type(Type compute) {
  switch (compute) {
    case Type::F32:
    case Type::F64:
    case Type::U32:
    case Type::I64:
    case Type::U64:
      return compute;
    default:
      return Type::I32;
  }
}

BlockOp find_operation(
    const lang::Instruction& instruction,
    const std::array<Type, 3>& operands) {
  std::array<Type, 3> in;
  std::transform(operands.begin(), operands.end(), in.begin(), register_type);
  const Type result = register_type(instruction.type);
  if (!types_fit(instruction, in, result)) {
    return nullptr;
  }
  if (BlockOp op = vector_operation(instruction, in)) {
    return op;
  }
  switch (instruction.op) {
    case Op::Cast:
      return instruction.type == Type::Bool ? to_bool(in[0])
                                            : cast(in[0], result);
    case Op::Select:
      return select(in[0], result);
    case Op::As:
      return with_register_type(
          result, [&](auto x) { return as<decltype(x)>(instruction.rounded); });
    default:
      return with_register_type(in[0], [&](auto x) {
        return operation<decltype(x)>(instruction.op);
      });
  }
}

} // namespace zmlx::backend::cpu
