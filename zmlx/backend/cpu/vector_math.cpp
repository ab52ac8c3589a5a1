// Float32 (and a little int32) block operations, compiled once for each
// instruction set.
#include "zmlx/backend/cpu/vector.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "zmlx/backend/cpu/vector_math.cpp"
#include "zmlx/backend/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "zmlx/backend/cpu/vector_loops-inl.h"
#include "zmlx/backend/cpu/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace zmlx::backend::cpu::HWY_NAMESPACE {
namespace {

using lang::Op;
using lang::Type;

struct DivideByOne {
  float divisor;

  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    return divide_by_one(d, x, hn::Set(d, divisor), hn::Set(d, 1 / divisor));
  }
};

void run_divide(const BlockArgs& a) noexcept {
  const float y = *static_cast<const float*>(a.in[1]);
  const bool one = a.mask[0] == 0; // dividend: a row divides once
  if (a.mask[1] != 0 || one || !divides_by_reciprocal(y)) {
    return run<float, float, 2, Div>(a);
  }
  run_each<float, float>(a, DivideByOne{y}, std::make_index_sequence<1>());
}

// The condition is an int32, whatever the type of the other operands.
struct Select {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V condition, V yes, V no) const {
    const hn::RebindToSigned<D> di;
    const auto is_no = hn::Eq(hn::BitCast(di, condition), hn::Zero(di));
    return hn::IfThenElse(hn::RebindMask(d, is_no), no, yes);
  }
};

// clang-format off
// Comparisons give int32 0 or 1.
#define ZMLX_COMPARE(NAME, MASK) \
  struct NAME { \
    template <class D, class V> HWY_INLINE auto operator()(D d, V x, V y) const { \
      static_cast<void>(d); \
      const hn::RebindToSigned<D> di; \
      return hn::IfThenElseZero(hn::RebindMask(di, MASK), hn::Set(di, 1)); } }
ZMLX_COMPARE(Less, hn::Lt(x, y));
ZMLX_COMPARE(LessEqual, hn::Le(x, y));
ZMLX_COMPARE(NotGreater, hn::Not(hn::Gt(x, y))); // <= of integers
ZMLX_COMPARE(Both, hn::And(hn::Ne(x, hn::Zero(d)), hn::Ne(y, hn::Zero(d))));
ZMLX_COMPARE(Either, hn::Ne(hn::Or(x, y), hn::Zero(d)));
ZMLX_COMPARE(Equal, hn::Eq(x, y));
ZMLX_COMPARE(NotEqual, hn::Not(hn::Eq(x, y))); // hn::Ne is false for NaN
// clang-format on
// Counts outside the width shift everything out.
struct ShiftLeft {
  template <class D, class V>
  HWY_INLINE auto operator()(D d, V x, V y) const {
    const hn::RebindToUnsigned<D> du;
    const auto n = hn::BitCast(du, y);
    const auto r = hn::Shl(hn::BitCast(du, x), hn::Min(n, hn::Set(du, 31)));
    return hn::BitCast(d, hn::IfThenElseZero(hn::Lt(n, hn::Set(du, 32)), r));
  }
};

struct ShiftRight {
  template <class D, class V>
  HWY_INLINE auto operator()(D d, V x, V y) const {
    const hn::RebindToUnsigned<D> du;
    const auto n = hn::BitCast(du, y);
    const auto r = hn::Shr(x, hn::BitCast(d, hn::Min(n, hn::Set(du, 31))));
    if constexpr (std::is_signed_v<hn::TFromD<D>>) {
      return r; // what is left of it is its sign
    } else {
      return hn::IfThenElseZero(hn::Lt(n, hn::Set(du, 32)), r);
    }
  }
};

struct ToFloat {
  template <class D, class V>
  HWY_INLINE auto operator()(D, V x) const {
    return hn::ConvertTo(hn::RebindToFloat<D>(), x);
  }
};

BlockOp float_unary(Op op) {
  // clang-format off
  switch (op) {
#define ZMLX_CASE(NAME) case Op::NAME: return &run<float, float, 1, NAME>
    ZMLX_CASE(Neg);  ZMLX_CASE(Abs);   ZMLX_CASE(Exp);   ZMLX_CASE(Expm1);
    ZMLX_CASE(Log);  ZMLX_CASE(Log1p); ZMLX_CASE(Sqrt);  ZMLX_CASE(Rsqrt);
    ZMLX_CASE(Sin);  ZMLX_CASE(Cos);   ZMLX_CASE(Tanh);  ZMLX_CASE(Sigmoid);
    ZMLX_CASE(Erf);  ZMLX_CASE(Floor); ZMLX_CASE(Ceil);  ZMLX_CASE(Round);
#undef ZMLX_CASE
    default: return nullptr;
  }
  // clang-format on
}

BlockOp float_binary(Op op) {
  // clang-format off
  switch (op) {
#define ZMLX_CASE(NAME) case Op::NAME: return &run<float, float, 2, NAME>
    ZMLX_CASE(Add); ZMLX_CASE(Sub); ZMLX_CASE(Mul);
    ZMLX_CASE(Pow); ZMLX_CASE(Max); ZMLX_CASE(Min);
#undef ZMLX_CASE
    case Op::Div: return &run_divide;
    case Op::Less: return &run<int32_t, float, 2, Less>;
    case Op::LessEqual: return &run<int32_t, float, 2, LessEqual>;
    case Op::Equal: return &run<int32_t, float, 2, Equal>;
    case Op::NotEqual: return &run<int32_t, float, 2, NotEqual>;
    default: return nullptr;
  }
  // clang-format on
}

// T: int32_t or uint32_t.
template <typename T>
BlockOp word_binary(Op op) {
  // clang-format off
  switch (op) {
    case Op::And: return &run<int32_t, T, 2, Both>;
    case Op::Or: return &run<int32_t, T, 2, Either>;
    case Op::Add: return &run<T, T, 2, Add>;
    case Op::Sub: return &run<T, T, 2, Sub>;
    case Op::Mul: return &run<T, T, 2, Mul>;
    case Op::BitAnd: return &run<T, T, 2, BitAnd>;
    case Op::BitOr: return &run<T, T, 2, BitOr>;
    case Op::BitXor: return &run<T, T, 2, BitXor>;
    case Op::Shl: return &run<T, T, 2, ShiftLeft>;
    case Op::Shr: return &run<T, T, 2, ShiftRight>;
    case Op::Less: return &run<int32_t, T, 2, Less>;
    case Op::LessEqual: return &run<int32_t, T, 2, NotGreater>;
    case Op::Equal: return &run<int32_t, T, 2, Equal>;
    case Op::NotEqual: return &run<int32_t, T, 2, NotEqual>;
    default: return nullptr;
  }
  // clang-format on
}

BlockOp operation(Op op, Type rounded, Type result, const Type* in) {
  if (op == Op::Select) {
    if (in[0] != Type::I32) {
      return nullptr;
    }
    return result == Type::F32 ? &run<float, float, 3, Select>
        : result == Type::I32 || result == Type::U32
        ? &run<int32_t, int32_t, 3, Select> // as bits
        : nullptr;
  }
  if (op == Op::Cast) {
    return in[0] == Type::I32 && result == Type::F32
        ? &run<float, int32_t, 1, ToFloat>
        : nullptr;
  }
  if (in[0] == Type::I32 || in[0] == Type::U32) {
    return lang::arity(op) != 2 ? nullptr
        : in[0] == Type::I32    ? word_binary<int32_t>(op)
                                : word_binary<uint32_t>(op);
  }
  if (in[0] != Type::F32) {
    return nullptr;
  }
  if (op == Op::As) {
    return rounded == Type::BF16 ? &run<float, float, 1, AsBfloat16> : nullptr;
  }
  return lang::arity(op) == 2 ? float_binary(op) : float_unary(op);
}

std::string target() {
  return hwy::TargetName(HWY_TARGET);
}

} // namespace
} // namespace zmlx::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zmlx::backend::cpu {

HWY_EXPORT(operation);
HWY_EXPORT(target);

BlockOp vector_operation(
    const lang::Instruction& i,
    const std::array<lang::Type, 3>& operands) {
  std::array<lang::Type, 3> in;
  for (int k = 0; k < 3; ++k) {
    in[k] = register_type(operands[k]);
  }
  return HWY_DYNAMIC_DISPATCH(operation)(
      i.op, i.rounded, register_type(i.type), in.data());
}

std::string vector_target() {
  return HWY_DYNAMIC_DISPATCH(target)();
}

} // namespace zmlx::backend::cpu
#endif // HWY_ONCE
