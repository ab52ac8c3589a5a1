// Loads, stores and reductions of float32 blocks, compiled once for each
// instruction set.
#include "zmlx/backend/cpu/vector.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "zmlx/backend/cpu/half.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "zmlx/backend/cpu/vector_move.cpp"
#include "zmlx/backend/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include <hwy/cache_control.h>

#include "zmlx/backend/cpu/vector_loops-inl.h"
#include "zmlx/backend/cpu/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace zmlx::backend::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using lang::Op;
using lang::Type;

// Emulated conversions of float16 do not know infinities.
#define ZMLX_HAVE_F16 \
  (HWY_ARCH_X86 && (HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3))

// ------------------------------------------------------------ loads

void load_float(void* out, const void* in, int64_t, size_t n) noexcept {
  std::memcpy(out, in, n * sizeof(float));
}

void load_bfloat16(void* out, const void* in, int64_t, size_t n) noexcept {
  const hn::ScalableTag<uint32_t> d;
  const hn::Rebind<uint16_t, decltype(d)> half;
  const auto* from = static_cast<const uint16_t*>(in);
  auto* to = static_cast<float*>(out);
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    const auto bits = hn::PromoteTo(d, hn::LoadU(half, from + i));
    hn::StoreU(
        hn::BitCast(hn::RebindToFloat<decltype(d)>(), hn::ShiftLeft<16>(bits)),
        hn::RebindToFloat<decltype(d)>(),
        to + i);
  }
  for (; i < n; ++i) {
    to[i] = from_bfloat16(from[i]);
  }
}

#if ZMLX_HAVE_F16
void load_float16(void* out, const void* in, int64_t, size_t n) noexcept {
  const hn::ScalableTag<float> d;
  const hn::Rebind<hwy::float16_t, decltype(d)> half;
  const auto* from = static_cast<const uint16_t*>(in);
  auto* to = static_cast<float*>(out);
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    const auto* p = reinterpret_cast<const hwy::float16_t*>(from + i);
    hn::StoreU(hn::PromoteTo(d, hn::LoadU(half, p)), d, to + i);
  }
  for (; i < n; ++i) {
    to[i] = from_float16(from[i]);
  }
}
#endif

LoadOp load(Type stored) {
  switch (stored) {
    case Type::F32:
      return &load_float;
    case Type::BF16:
      return &load_bfloat16;
#if ZMLX_HAVE_F16
    case Type::F16:
      return &load_float16;
#endif
    default:
      return nullptr;
  }
}

// ------------------------------------------------------------ stores

const float* source(const StoreArgs& a, size_t i) {
  return static_cast<const float*>(a.in) + (i & a.mask);
}

void store_float(const StoreArgs& a) noexcept {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  auto* to = static_cast<float*>(a.out);
  size_t i = 0;
  if (a.stream) {
    for (; i < a.n && reinterpret_cast<uintptr_t>(to + i) % 64; ++i) {
      to[i] = *source(a, i);
    }
    for (; i + lanes <= a.n; i += lanes) {
      hn::Stream(hn::LoadU(d, source(a, i)), d, to + i);
    }
  }
  for (; i + lanes <= a.n; i += lanes) {
    hn::StoreU(hn::LoadU(d, source(a, i)), d, to + i);
  }
  for (; i < a.n; ++i) {
    to[i] = *source(a, i);
  }
}

// Rounded to nearest even; NaN stays one.
template <class D, class V>
HWY_INLINE auto upper_half(D, V x) {
  const hn::RebindToUnsigned<D> du;
  const hn::Rebind<uint16_t, D> half;
  const auto bits = hn::BitCast(du, x);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
  const auto up = hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7FFF)));
  const auto quiet = hn::Or(bits, hn::Set(du, 0x400000));
  const auto nan = hn::RebindMask(du, hn::IsNaN(x));
  return hn::TruncateTo(
      half, hn::ShiftRight<16>(hn::IfThenElse(nan, quiet, up)));
}

void store_bfloat16(const StoreArgs& a) noexcept {
  const hn::ScalableTag<float> d;
  const hn::Rebind<uint16_t, decltype(d)> half;
  const size_t lanes = hn::Lanes(d), count = a.n, mask = a.mask;
  const auto* from = static_cast<const float*>(a.in);
  auto* to = static_cast<uint16_t*>(a.out);
  size_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    const auto x = upper_half(d, hn::LoadU(d, from + (i & mask)));
    const auto y = upper_half(d, hn::LoadU(d, from + ((i + lanes) & mask)));
    hn::StoreU(x, half, to + i);
    hn::StoreU(y, half, to + i + lanes);
  }
  for (; i < count; ++i) {
    to[i] = to_bfloat16(from[i & mask]);
  }
}

#if ZMLX_HAVE_F16
void store_float16(const StoreArgs& a) noexcept {
  const hn::ScalableTag<float> d;
  const hn::Rebind<hwy::float16_t, decltype(d)> half;
  auto* to = static_cast<uint16_t*>(a.out);
  size_t i = 0;
  for (; i + hn::Lanes(d) <= a.n; i += hn::Lanes(d)) {
    hn::StoreU(
        hn::DemoteTo(half, hn::LoadU(d, source(a, i))),
        half,
        reinterpret_cast<hwy::float16_t*>(to + i));
  }
  for (; i < a.n; ++i) {
    to[i] = to_float16(*source(a, i));
  }
}
#endif

StoreOp store(Type stored) {
  switch (stored) {
    case Type::F32:
      return &store_float;
    case Type::BF16:
      return &store_bfloat16;
#if ZMLX_HAVE_F16
    case Type::F16:
      return &store_float16;
#endif
    default:
      return nullptr;
  }
}

// ------------------------------------------------------------ reductions

// One lane after the other.
template <typename F, class D, class V>
HWY_INLINE double join_lanes(D d, V v) {
  alignas(64) float lanes[hn::MaxLanes(d)];
  hn::Store(v, d, lanes);
  double result = F::start;
  for (size_t k = 0; k < hn::Lanes(d); ++k) {
    result = F::join(result, lanes[k]);
  }
  return result;
}

struct SumOf {
  static constexpr float start = 0;
  template <class D, class V>
  HWY_INLINE V operator()(D, V x, V y) const {
    return hn::Add(x, y);
  }
  static double join(double a, double b) {
    return a + b;
  }
  template <class D, class V>
  HWY_INLINE double lanes(D d, V v) const {
    return sum_of_lanes(d, v);
  }
};

struct ProdOf {
  static constexpr float start = 1;
  template <class D, class V>
  HWY_INLINE V operator()(D, V x, V y) const {
    return hn::Mul(x, y);
  }
  static double join(double a, double b) {
    return a * b;
  }
  template <class D, class V>
  HWY_INLINE double lanes(D d, V v) const {
    return join_lanes<ProdOf>(d, v);
  }
};

template <int kSign>
struct Extreme {
  static constexpr float start =
      -kSign * std::numeric_limits<float>::infinity();
  template <class D, class V>
  HWY_INLINE V operator()(D, V x, V y) const {
    const V m = kSign > 0 ? hn::Max(x, y) : hn::Min(x, y);
    return hn::IfThenElse(hn::IsNaN(x), x, hn::IfThenElse(hn::IsNaN(y), y, m));
  }
  static double join(double a, double b) {
    return a != a || (b == b && kSign * a >= kSign * b) ? a : b;
  }
  template <class D, class V>
  HWY_INLINE double lanes(D d, V v) const {
    if (HWY_UNLIKELY(!hn::AllFalse(d, hn::IsNaN(v)))) {
      return join_lanes<Extreme>(d, v);
    }
    return hn::GetLane(kSign > 0 ? hn::MaxOfLanes(d, v) : hn::MinOfLanes(d, v));
  }
};

// A block in four interleaved vectors of partial results, which meet in a
// fixed order; blocks meet in float64.
template <typename F>
HWY_INLINE double reduce_block(const float* in, size_t mask, size_t n) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  const F f;
  auto a = hn::Set(d, F::start), b = a, c = a, e = a;
  size_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    a = f(d, a, hn::LoadU(d, in + (i & mask)));
    b = f(d, b, hn::LoadU(d, in + ((i + lanes) & mask)));
    c = f(d, c, hn::LoadU(d, in + ((i + 2 * lanes) & mask)));
    e = f(d, e, hn::LoadU(d, in + ((i + 3 * lanes) & mask)));
  }
  for (; i + lanes <= n; i += lanes) {
    a = f(d, a, hn::LoadU(d, in + (i & mask)));
  }
  double result = f.lanes(d, f(d, f(d, a, b), f(d, c, e)));
  for (; i < n; ++i) {
    result = F::join(result, in[i & mask]);
  }
  return result;
}

template <typename F>
void add_block(const ReduceArgs& a) noexcept {
  a.into->real = F::join(
      a.into->real,
      reduce_block<F>(static_cast<const float*>(a.in), a.mask, a.n));
}

// The least of the numbers; NaN counts as infinite.
struct LeastNumber {
  static constexpr float start = std::numeric_limits<float>::infinity();
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V y) const {
    return hn::Min(x, hn::IfThenElse(hn::IsNaN(y), hn::Set(d, start), y));
  }
  static double join(double a, double b) {
    return b < a ? b : a;
  }
  template <class D, class V>
  HWY_INLINE double lanes(D d, V v) const {
    return hn::GetLane(hn::MinOfLanes(d, v));
  }
};

// Most blocks cannot change the place: their extreme says so. NaN is above
// all numbers.
void arg_max_block(const ReduceArgs& a) noexcept {
  const auto* in = static_cast<const float*>(a.in);
  Accumulator& best = *a.into;
  if (a.n == 0 || (best.at >= 0 && best.real != best.real)) {
    return;
  }
  const double most = reduce_block<Extreme<1>>(in, a.mask, a.n);
  const bool nan = most != most;
  if (best.at >= 0 && !nan && most <= best.real) {
    return;
  }
  size_t i = 0;
  while (nan ? in[i & a.mask] == in[i & a.mask] : in[i & a.mask] != most) {
    ++i;
  }
  best.real = most;
  best.at = a.first + static_cast<int64_t>(i);
}

void arg_min_block(const ReduceArgs& a) noexcept {
  const auto* in = static_cast<const float*>(a.in);
  Accumulator& best = *a.into;
  if (a.n == 0) {
    return;
  }
  const double least = reduce_block<LeastNumber>(in, a.mask, a.n);
  if (best.at >= 0 && best.real <= least && least < LeastNumber::start) {
    return;
  }
  size_t i = 0;
  while (i < a.n && in[i & a.mask] != least) {
    ++i;
  }
  const bool all_nan = i == a.n;
  if (best.at >= 0 && (all_nan || best.real <= least)) {
    return;
  }
  best.real = all_nan ? in[0] : least;
  best.at = a.first + static_cast<int64_t>(all_nan ? 0 : i);
}

AddOp reduction(Op op) {
  switch (op) {
    case Op::Sum:
      return &add_block<SumOf>;
    case Op::Prod:
      return &add_block<ProdOf>;
    case Op::MaxOf:
      return &add_block<Extreme<1>>;
    case Op::MinOf:
      return &add_block<Extreme<-1>>;
    case Op::ArgMax:
      return &arg_max_block;
    case Op::ArgMin:
      return &arg_min_block;
    default:
      return nullptr;
  }
}

void accumulate_float(
    void* sums,
    const void* in,
    size_t mask,
    size_t n) noexcept {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> half;
  const size_t lanes = hn::Lanes(d);
  auto* to = static_cast<double*>(sums);
  const auto* from = static_cast<const float*>(in);
  size_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    const auto x = hn::PromoteTo(d, hn::LoadU(half, from + (i & mask)));
    const auto y =
        hn::PromoteTo(d, hn::LoadU(half, from + ((i + lanes) & mask)));
    hn::StoreU(hn::Add(hn::LoadU(d, to + i), x), d, to + i);
    hn::StoreU(hn::Add(hn::LoadU(d, to + i + lanes), y), d, to + i + lanes);
  }
  for (; i < n; ++i) {
    to[i] += from[i & mask];
  }
}

AccumulateOp accumulate() {
  return &accumulate_float;
}

} // namespace
} // namespace zmlx::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zmlx::backend::cpu {

HWY_EXPORT(load);
HWY_EXPORT(store);
HWY_EXPORT(reduction);
HWY_EXPORT(accumulate);

LoadOp vector_load(lang::Type stored) {
  return HWY_DYNAMIC_DISPATCH(load)(stored);
}

StoreOp vector_store(lang::Type stored) {
  return HWY_DYNAMIC_DISPATCH(store)(stored);
}

AddOp vector_reduction(lang::Op op) {
  return HWY_DYNAMIC_DISPATCH(reduction)(op);
}

AccumulateOp vector_accumulate() {
  return HWY_DYNAMIC_DISPATCH(accumulate)();
}

} // namespace zmlx::backend::cpu
#endif // HWY_ONCE
