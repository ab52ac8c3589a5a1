// Loops that do the work of several instructions on float32 blocks, compiled
// once for each instruction set.
#include "zmlx/backend/cpu/vector.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "zmlx/backend/cpu/vector_joined.cpp"
#include "zmlx/backend/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

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
  const auto value = [&](size_t i) HWY_ATTR {
    auto r = hn::Mul(f(d, hn::LoadU(d, in.at(i))), hn::LoadU(d, first.at(i)));
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
        f(d, hn::Load(d, x.load(in.at(i), n))),
        hn::Load(d, y.load(first.at(i), n)));
    if (kFactors == 2) {
      r = hn::Mul(r, hn::Load(d, z.load(second.at(i), n)));
    }
    hn::Store(r, d, x.lanes);
    std::memcpy(out.to + i, x.lanes, n * sizeof(float));
  }
}

// second(first(x, y), z), or second(z, first(x, y)) where `kLater`.
template <typename First, typename Second, bool kLater>
void run_pair(const BlockArgs& a) noexcept {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d), count = a.n;
  const Operand<float> x(a, 0), y(a, 1), z(a, 2);
  const Result<float> out(a);
  const Fetches<float> fetch(a);
  const auto value = [&](auto u, auto v, auto w) HWY_ATTR {
    const auto t = First()(d, u, v);
    return kLater ? Second()(d, w, t) : Second()(d, t, w);
  };
  size_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    fetch.at(i);
    fetch.at(i + lanes);
    const auto r = value(
        hn::LoadU(d, x.at(i)), hn::LoadU(d, y.at(i)), hn::LoadU(d, z.at(i)));
    const auto s = value(
        hn::LoadU(d, x.at(i + lanes)),
        hn::LoadU(d, y.at(i + lanes)),
        hn::LoadU(d, z.at(i + lanes)));
    out.put(d, r, i);
    out.put(d, s, i + lanes);
  }
  for (; i < count; i += lanes) {
    const size_t n = HWY_MIN(lanes, count - i);
    Tail<float> u, v, w, r;
    hn::Store(
        value(
            hn::Load(d, u.load(x.at(i), n)),
            hn::Load(d, v.load(y.at(i), n)),
            hn::Load(d, w.load(z.at(i), n))),
        d,
        r.lanes);
    std::memcpy(out.to + i, r.lanes, n * sizeof(float));
  }
}

// exp(x - y), as in every softmax.
struct ExpOfDifference {
  template <class D, class V>
  HWY_INLINE auto operator()(D d, V x, V y) const {
    return exp_any(d, hn::Sub(x, y));
  }
};

// How many registers a sum of products has, and what its terms are.
enum class Term { Product, TripleProduct, SquaredDifference };

// Sums x y, x y z or (x - y)^2 as the sum of a block of them would be.
template <Term kTerm>
void add_products(const ProductsArgs& a) noexcept {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d), count = a.n;
  const auto* x = static_cast<const float*>(a.in[0]);
  const auto* y = static_cast<const float*>(a.in[1]);
  const auto* z = static_cast<const float*>(a.in[2]);
  const size_t my = a.mask[1], mx = a.mask[0], mz = a.mask[2];
  const auto value = [&](size_t i) HWY_ATTR {
    const auto u = hn::LoadU(d, x + (i & mx)), v = hn::LoadU(d, y + (i & my));
    if constexpr (kTerm == Term::SquaredDifference) {
      const auto t = hn::Sub(u, v);
      return hn::Mul(t, t);
    } else if constexpr (kTerm == Term::Product) {
      return hn::Mul(u, v);
    } else {
      return hn::Mul(hn::Mul(u, v), hn::LoadU(d, z + (i & mz)));
    }
  };
  auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  size_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    s0 = hn::Add(s0, value(i));
    s1 = hn::Add(s1, value(i + lanes));
    s2 = hn::Add(s2, value(i + 2 * lanes));
    s3 = hn::Add(s3, value(i + 3 * lanes));
  }
  for (; i + lanes <= count; i += lanes) {
    s0 = hn::Add(s0, value(i));
  }
  double sum = sum_of_lanes(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)));
  for (; i < count; ++i) {
    const float u = x[i & mx], v = y[i & my];
    const float t = u - v;
    sum += kTerm == Term::SquaredDifference ? t * t
        : kTerm == Term::Product            ? u * v
                                            : u * v * z[i & mz];
  }
  a.into->real += sum;
}

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

template <typename First>
BlockOp pair_after(Op second, bool later) {
  switch (second) {
    case Op::Add:
      return &run_pair<First, Add, false>;
    case Op::Mul:
      return &run_pair<First, Mul, false>;
    case Op::Sub:
      return later ? &run_pair<First, Sub, true> : &run_pair<First, Sub, false>;
    default:
      return nullptr;
  }
}

BlockOp pair(Op first, Op second, bool later) {
  switch (first) {
    case Op::Add:
      return pair_after<Add>(second, later);
    case Op::Sub:
      return pair_after<Sub>(second, later);
    case Op::Mul:
      return pair_after<Mul>(second, later);
    default:
      return nullptr;
  }
}

BlockOp exp_of_difference() {
  return &run_binary<float, float, ExpOfDifference>;
}

ProductsOp products(int factors) {
  return factors == 2 ? &add_products<Term::Product>
                      : &add_products<Term::TripleProduct>;
}

ProductsOp squared_differences() {
  return &add_products<Term::SquaredDifference>;
}

} // namespace
} // namespace zmlx::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zmlx::backend::cpu {

HWY_EXPORT(times);
HWY_EXPORT(pair);
HWY_EXPORT(exp_of_difference);
HWY_EXPORT(products);
HWY_EXPORT(squared_differences);

BlockOp find_times(lang::Op op, int factors) {
  return HWY_DYNAMIC_DISPATCH(times)(op, factors);
}

BlockOp find_pair(lang::Op first, lang::Op second, bool later) {
  return HWY_DYNAMIC_DISPATCH(pair)(first, second, later);
}

BlockOp find_exp_of_difference() {
  return HWY_DYNAMIC_DISPATCH(exp_of_difference)();
}

ProductsOp find_products(int factors) {
  return HWY_DYNAMIC_DISPATCH(products)(factors);
}

ProductsOp find_squared_differences() {
  return HWY_DYNAMIC_DISPATCH(squared_differences)();
}

} // namespace zmlx::backend::cpu
#endif // HWY_ONCE
