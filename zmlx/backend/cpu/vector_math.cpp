// Float32 block operations, compiled once for each
// instruction set.
#include "zmlx/backend/cpu/cpu.h"
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
ZMLX_COMPARE(Equal, hn::Eq(x, y));
ZMLX_COMPARE(NotEqual, hn::Not(hn::Eq(x, y))); // hn::Ne is false for NaN
// clang-format on

BlockOp float_unary(Op op) {
  // clang-format off
  switch (op) {
#define ZMLX_CASE(NAME) case Op::NAME: return &run<float, float, 1, NAME>
    ZMLX_CASE(Neg);  ZMLX_CASE(Abs);   ZMLX_CASE(Exp);   ZMLX_CASE(Expm1);
    ZMLX_CASE(Log);  ZMLX_CASE(Log1p); ZMLX_CASE(Sqrt);  ZMLX_CASE(Rsqrt);
    ZMLX_CASE(Tanh); ZMLX_CASE(Erf);   ZMLX_CASE(Floor); ZMLX_CASE(Ceil);
    ZMLX_CASE(Round); ZMLX_CASE(Sigmoid);
#if HWY_NATIVE_FMA
    ZMLX_CASE(Sin);  ZMLX_CASE(Cos);
#endif
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

BlockOp operation(const lang::Instruction& i, Type operand) {
  if (operand != Type::F32 || i.op == Op::Cast) {
    return nullptr;
  }
  switch (i.op) {
    case Op::Select:
      return &run<float, float, 3, Select>;
    case Op::As:
      return i.rounded == Type::BF16 ? &run<float, float, 1, AsBfloat16>
                                     : nullptr;
    default:
      return lang::arity(i.op) == 2 ? float_binary(i.op) : float_unary(i.op);
  }
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

BlockOp vector_operation(const lang::Instruction& i, lang::Type operand) {
  return HWY_DYNAMIC_DISPATCH(operation)(i, operand);
}

std::string simd_name() {
  return HWY_DYNAMIC_DISPATCH(target)();
}

} // namespace zmlx::backend::cpu
#endif // HWY_ONCE
