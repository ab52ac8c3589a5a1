// Loops that do the work of a slow float32 instruction and of its neighbours,
// compiled once for each instruction set.
#include "zmlx/backend/cpu/vector.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "zmlx/backend/cpu/vector_joined.cpp"
#include "zmlx/backend/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "zmlx/backend/cpu/vector_loops-inl.h"
#include "zmlx/backend/cpu/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace zmlx::backend::cpu::HWY_NAMESPACE {
namespace {

using lang::Op;

// f(x) y, or f(x) y z.
template <typename F, int kFactors>
void run_times(const BlockArgs& a) noexcept {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d), count = a.n;
  const Operand<float> in(a, 0), first(a, 1), second(a, 2);
  const Result<float> out(a);
  const Fetches<float> fetch(a);
  const F f;
  const bool own = in.from == first.from;
  const auto value = [&](size_t i) HWY_ATTR {
    const auto x = hn::LoadU(d, in.at(i));
    auto r = hn::Mul(f(d, x), own ? x : hn::LoadU(d, first.at(i)));
    return kFactors == 1 ? r : hn::Mul(r, hn::LoadU(d, second.at(i)));
  };
  size_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    fetch.at(i);
    fetch.at(i + lanes);
    const auto x = value(i);
    const auto y = value(i + lanes);
    out.put(d, x, i);
    out.put(d, y, i + lanes);
  }
  for (; i < count; i += lanes) {
    const size_t n = HWY_MIN(lanes, count - i);
    Tail<float> x, y, z;
    auto r = hn::Mul(
        f(d, hn::LoadU(d, x.load(in.at(i), n))),
        hn::LoadU(d, y.load(first.at(i), n)));
    if (kFactors == 2) {
      r = hn::Mul(r, hn::LoadU(d, z.load(second.at(i), n)));
    }
    x.store(d, r, out.to + i, n);
  }
}

// exp(x - y), as in every softmax.
struct ExpOfDifference {
  template <class D, class V>
  HWY_INLINE auto operator()(D d, V x, V y) const {
    return exp_any(d, hn::Sub(x, y));
  }
};

BlockOp times(Op op, int factors) {
  // clang-format off
  switch (op) {
#define ZMLX_CASE(NAME) \
  case Op::NAME: return factors == 1 ? &run_times<NAME, 1> : &run_times<NAME, 2>
    ZMLX_CASE(Exp); ZMLX_CASE(Tanh); ZMLX_CASE(Sigmoid); ZMLX_CASE(Erf);
#undef ZMLX_CASE
    default: return nullptr;
  }
  // clang-format on
}

BlockOp exp_of_difference() {
  return &run_binary<float, float, ExpOfDifference>;
}

} // namespace
} // namespace zmlx::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zmlx::backend::cpu {

HWY_EXPORT(times);
HWY_EXPORT(exp_of_difference);

BlockOp find_times(lang::Op op, int factors) {
  return HWY_DYNAMIC_DISPATCH(times)(op, factors);
}

BlockOp find_exp_of_difference() {
  return HWY_DYNAMIC_DISPATCH(exp_of_difference)();
}

} // namespace zmlx::backend::cpu
#endif // HWY_ONCE
