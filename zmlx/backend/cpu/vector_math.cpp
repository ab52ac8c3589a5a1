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

void run_divide(const BlockArgs& a) noexcept {
  const float y = *static_cast<const float*>(a.in[1]);
  const bool one = a.mask[0] == 0; // dividend: a row divides once
  if (a.mask[1] != 0 || one || !divides_by_reciprocal(y)) {
    return run_binary<float, float, Div>(a);
  }
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d), count = a.n;
  const Operand<float> in(a, 0);
  const Result<float> out(a);
  const Fetches<float> fetch(a);
  const auto divisor = hn::Set(d, y), reciprocal = hn::Set(d, 1 / y);
  size_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    fetch.at(i);
    fetch.at(i + lanes);
    const auto p =
        divide_by_one(d, hn::LoadU(d, in.at(i)), divisor, reciprocal);
    const auto q =
        divide_by_one(d, hn::LoadU(d, in.at(i + lanes)), divisor, reciprocal);
    out.put(d, p, i);
    out.put(d, q, i + lanes);
  }
  for (; i < count; i += lanes) {
    const size_t n = HWY_MIN(lanes, count - i);
    Tail<float> x;
    const auto v = hn::LoadU(d, x.load(in.at(i), n));
    x.store(d, divide_by_one(d, v, divisor, reciprocal), out.to + i, n);
  }
}

// Select by an int32 condition. T: float or int32_t.
template <typename T>
void run_select(const BlockArgs& a) noexcept {
  const hn::ScalableTag<T> d;
  const hn::ScalableTag<int32_t> di;
  const size_t lanes = hn::Lanes(d), count = a.n;
  const Operand<int32_t> condition(a, 0);
  const Operand<T> yes(a, 1), no(a, 2);
  T* out = static_cast<T*>(a.out);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto c = hn::LoadU(di, condition.at(i));
    const auto is_no = hn::RebindMask(d, hn::Eq(c, hn::Zero(di)));
    hn::StoreU(
        hn::IfThenElse(is_no, hn::LoadU(d, no.at(i)), hn::LoadU(d, yes.at(i))),
        d,
        out + i);
  }
  for (; i < count; ++i) {
    out[i] = *condition.at(i) ? *yes.at(i) : *no.at(i);
  }
}

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
#define ZMLX_CASE(NAME) case Op::NAME: return &run_unary<float, float, NAME>
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
#define ZMLX_CASE(NAME) case Op::NAME: return &run_binary<float, float, NAME>
    ZMLX_CASE(Add); ZMLX_CASE(Sub); ZMLX_CASE(Mul);
    ZMLX_CASE(Pow); ZMLX_CASE(Max); ZMLX_CASE(Min);
#undef ZMLX_CASE
    case Op::Div: return &run_divide;
    case Op::Less: return &run_binary<int32_t, float, Less>;
    case Op::LessEqual: return &run_binary<int32_t, float, LessEqual>;
    case Op::Equal: return &run_binary<int32_t, float, Equal>;
    case Op::NotEqual: return &run_binary<int32_t, float, NotEqual>;
    default: return nullptr;
  }
  // clang-format on
}

// T: int32_t or uint32_t.
template <typename T>
BlockOp word_binary(Op op) {
  // clang-format off
  switch (op) {
    case Op::And: return &run_binary<int32_t, T, Both>;
    case Op::Or: return &run_binary<int32_t, T, Either>;
    case Op::Add: return &run_binary<T, T, Add>;
    case Op::Sub: return &run_binary<T, T, Sub>;
    case Op::Mul: return &run_binary<T, T, Mul>;
    case Op::BitAnd: return &run_binary<T, T, BitAnd>;
    case Op::BitOr: return &run_binary<T, T, BitOr>;
    case Op::BitXor: return &run_binary<T, T, BitXor>;
    case Op::Shl: return &run_binary<T, T, ShiftLeft>;
    case Op::Shr: return &run_binary<T, T, ShiftRight>;
    case Op::Less: return &run_binary<int32_t, T, Less>;
    case Op::LessEqual: return &run_binary<int32_t, T, NotGreater>;
    case Op::Equal: return &run_binary<int32_t, T, Equal>;
    case Op::NotEqual: return &run_binary<int32_t, T, NotEqual>;
    default: return nullptr;
  }
  // clang-format on
}

BlockOp operation(Op op, Type rounded, Type result, const Type* in) {
  if (op == Op::Select) {
    if (in[0] != Type::I32) {
      return nullptr;
    }
    return result == Type::F32 ? &run_select<float>
        : result == Type::I32 || result == Type::U32
        ? &run_select<int32_t> // as bits
        : nullptr;
  }
  if (op == Op::Cast) {
    return in[0] == Type::I32 && result == Type::F32
        ? &run_unary<float, int32_t, ToFloat>
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
    return rounded == Type::BF16 ? &run_unary<float, float, AsBfloat16>
                                 : nullptr;
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
