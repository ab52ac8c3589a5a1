// Loads, stores and reductions of float32 blocks, compiled once for each
// instruction set.
#include "zmlx/backend/cpu/vector.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "zmlx/backend/cpu/scalar.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "zmlx/backend/cpu/vector_move.cpp"
#include "zmlx/backend/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include <hwy/cache_control.h>
#include <hwy/contrib/algo/find-inl.h>

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

// Sixteen-bit floats, the last ones one at a time.
template <typename Half, float (*kOne)(uint16_t)>
void load_half(void* out, const void* in, int64_t, size_t n) noexcept {
  const hn::ScalableTag<float> d;
  const hn::Rebind<Half, decltype(d)> half;
  const auto* from = static_cast<const uint16_t*>(in);
  auto* to = static_cast<float*>(out);
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    const auto* p = reinterpret_cast<const Half*>(from + i);
    hn::StoreU(hn::PromoteTo(d, hn::LoadU(half, p)), d, to + i);
  }
  for (; i < n; ++i) {
    to[i] = kOne(from[i]);
  }
}

LoadOp load(Type stored) {
  switch (stored) {
    case Type::F32:
      return &load_float;
    case Type::BF16:
      return &load_half<hwy::bfloat16_t, from_bfloat16>;
#if ZMLX_HAVE_F16
    case Type::F16:
      return &load_half<hwy::float16_t, from_float16>;
#endif
    default:
      return nullptr;
  }
}

// ------------------------------------------------------------ stores

void store_float(const StoreArgs& a) noexcept {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  auto* to = static_cast<float*>(a.out);
  const auto* from = static_cast<const float*>(a.in);
  size_t i = 0;
  if (a.stream) {
    for (; i < a.n && reinterpret_cast<uintptr_t>(to + i) % 64; ++i) {
      to[i] = from[i & a.mask];
    }
    for (; i + lanes <= a.n; i += lanes) {
      hn::Stream(hn::LoadU(d, from + (i & a.mask)), d, to + i);
    }
  }
  for (; i + lanes <= a.n; i += lanes) {
    hn::StoreU(hn::LoadU(d, from + (i & a.mask)), d, to + i);
  }
  for (; i < a.n; ++i) {
    to[i] = from[i & a.mask];
  }
}

template <class D, class V>
HWY_INLINE auto narrow(D d, V x, hwy::bfloat16_t /*half*/) {
  const hn::Rebind<uint16_t, D> half;
  return hn::TruncateTo(half, hn::ShiftRight<16>(bfloat16_bits(d, x)));
}

#if ZMLX_HAVE_F16
template <class D, class V>
HWY_INLINE auto narrow(D, V x, hwy::float16_t /*half*/) {
  const hn::Rebind<hwy::float16_t, D> half;
  const hn::Rebind<uint16_t, D> bits;
  return hn::BitCast(bits, hn::DemoteTo(half, x));
}
#endif

template <typename Half, uint16_t (*kOne)(float)>
void store_half(const StoreArgs& a) noexcept {
  const hn::ScalableTag<float> d;
  const hn::Rebind<uint16_t, decltype(d)> half;
  const size_t lanes = hn::Lanes(d), count = a.n, mask = a.mask;
  const auto* from = static_cast<const float*>(a.in);
  auto* to = static_cast<uint16_t*>(a.out);
  size_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    const auto x = narrow(d, hn::LoadU(d, from + (i & mask)), Half());
    const auto y = narrow(d, hn::LoadU(d, from + ((i + lanes) & mask)), Half());
    hn::StoreU(x, half, to + i);
    hn::StoreU(y, half, to + i + lanes);
  }
  for (; i < count; ++i) {
    to[i] = kOne(from[i & mask]);
  }
}

StoreOp store(Type stored) {
  switch (stored) {
    case Type::F32:
      return &store_float;
    case Type::BF16:
      return &store_half<hwy::bfloat16_t, to_bfloat16>;
#if ZMLX_HAVE_F16
    case Type::F16:
      return &store_half<hwy::float16_t, to_float16>;
#endif
    default:
      return nullptr;
  }
}

// ------------------------------------------------------------ reductions

struct SumOf {
  static constexpr float start = 0;
  template <class D, class V>
  HWY_INLINE V operator()(D, V x, V y) const {
    return hn::Add(x, y);
  }
  static double join(double a, double b) {
    return a + b;
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
};

// Sums by pairs of lanes, others one lane after the other.
template <typename F, class D, class V>
HWY_INLINE double join_lanes(D d, V v) {
  if constexpr (std::is_same_v<F, SumOf>) {
    return sum_of_lanes(d, v);
  }
  alignas(64) float lanes[hn::MaxLanes(d)];
  hn::Store(v, d, lanes);
  double result = F::start;
  for (size_t k = 0; k < hn::Lanes(d); ++k) {
    result = F::join(result, lanes[k]);
  }
  return result;
}

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
  double result = join_lanes<F>(d, f(d, f(d, a, b), f(d, c, e)));
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
};

// Most blocks cannot change the place: their extreme, which F gives, says so.
template <Op kOp, typename F>
void arg_block(const ReduceArgs& a) noexcept {
  const auto* in = static_cast<const float*>(a.in);
  Accumulator& best = *a.into;
  const auto replaces = [&](float x, int64_t at) {
    return improves<kOp>(x, at, static_cast<float>(best.real), best.at);
  };
  const auto extreme = static_cast<float>(reduce_block<F>(in, a.mask, a.n));
  if (a.n == 0 || !replaces(extreme, a.first)) {
    return;
  }
  const hn::ScalableTag<float> d;
  const bool nan = extreme != extreme;
  const auto is_extreme = [&](auto tag, auto x) HWY_ATTR {
    return nan ? hn::IsNaN(x) : hn::Eq(x, hn::Set(tag, extreme));
  };
  size_t i = a.mask == 0 ? 0 : hn::FindIf(d, in, a.n, is_extreme);
  i = i < a.n ? i : 0; // all are NaN
  const int64_t at = a.first + static_cast<int64_t>(i);
  if (replaces(in[i & a.mask], at)) {
    best.real = in[i & a.mask];
    best.at = at;
  }
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
      return &arg_block<Op::ArgMax, Extreme<1>>;
    case Op::ArgMin:
      return &arg_block<Op::ArgMin, LeastNumber>;
    default:
      return nullptr;
  }
}

} // namespace
} // namespace zmlx::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zmlx::backend::cpu {

HWY_EXPORT(load);
HWY_EXPORT(store);
HWY_EXPORT(reduction);

LoadOp vector_load(lang::Type stored) {
  return HWY_DYNAMIC_DISPATCH(load)(stored);
}

StoreOp vector_store(lang::Type stored) {
  return HWY_DYNAMIC_DISPATCH(store)(stored);
}

AddOp vector_reduction(lang::Op op) {
  return HWY_DYNAMIC_DISPATCH(reduction)(op);
}

} // namespace zmlx::backend::cpu
#endif // HWY_ONCE
