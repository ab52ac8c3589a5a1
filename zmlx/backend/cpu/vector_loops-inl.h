// What the loops over float32 blocks share: how they read their arguments, and
// what they do with the last elements. Included once for each instruction set.
#if defined(ZMLX_BACKEND_CPU_VECTOR_LOOPS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ZMLX_BACKEND_CPU_VECTOR_LOOPS_INL_H_
#undef ZMLX_BACKEND_CPU_VECTOR_LOOPS_INL_H_
#else
#define ZMLX_BACKEND_CPU_VECTOR_LOOPS_INL_H_
#endif

#include <cstring>

#include <hwy/highway.h>

#include <hwy/cache_control.h>

#include "zmlx/backend/cpu/vector.h"

HWY_BEFORE_NAMESPACE();
namespace zmlx::backend::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// What a loop knows of its arguments, by value: stores may not change it.
template <typename T>
struct Operand {
  const T* from;
  size_t mask;

  HWY_INLINE Operand(const BlockArgs& a, int number)
      : from(static_cast<const T*>(a.in[number])), mask(a.mask[number]) {}
  HWY_INLINE const T* at(size_t i) const {
    return from + (i & mask);
  }
};

template <typename T>
struct Result {
  T* to;
  bool stream;

  HWY_INLINE explicit Result(const BlockArgs& a)
      : to(static_cast<T*>(a.out)), stream(a.stream) {}
  template <class D, class V>
  HWY_INLINE void put(D d, V v, size_t i) const {
    if (stream) {
      hn::Stream(v, d, to + i);
    } else {
      hn::StoreU(v, d, to + i);
    }
  }
};

template <typename T>
struct Fetches {
  const T* from[kMaxFetches];
  int count;

  HWY_INLINE explicit Fetches(const BlockArgs& a) : count(a.fetches) {
    for (int k = 0; k < kMaxFetches; ++k) {
      from[k] = static_cast<const T*>(a.fetch[k]);
    }
  }
  HWY_INLINE void at(size_t i) const {
    if (count > 0) {
      hwy::Prefetch(from[0] + i);
      if (count > 1) {
        hwy::Prefetch(from[1] + i);
        if (count > 2) {
          hwy::Prefetch(from[2] + i);
          if (count > 3) {
            hwy::Prefetch(from[3] + i);
          }
        }
      }
    }
  }
};

// The last elements, where they are fewer than a vector, go through memory of
// our own. A uniform register is one vector, which does not.
template <typename T>
struct Tail {
  alignas(64) T lanes[HWY_MAX_BYTES / sizeof(T)];

  HWY_INLINE const T* load(const T* from, size_t n) {
    if (n == hn::Lanes(hn::ScalableTag<T>())) {
      return from;
    }
    std::memset(lanes, 0, sizeof lanes);
    std::memcpy(lanes, from, n * sizeof(T));
    return lanes;
  }
  template <class D, class V>
  HWY_INLINE void store(D d, V v, T* to, size_t n) {
    if (n == hn::Lanes(d)) {
      return hn::StoreU(v, d, to);
    }
    hn::Store(v, d, lanes);
    std::memcpy(to, lanes, n * sizeof(T));
  }
};

template <typename Out, typename A, typename F>
void run_unary(const BlockArgs& a) noexcept {
  const hn::ScalableTag<Out> out_d;
  const hn::ScalableTag<A> d;
  const size_t lanes = hn::Lanes(d), count = a.n;
  const Operand<A> in(a, 0);
  const Result<Out> out(a);
  const Fetches<A> fetch(a);
  const F f;
  size_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    fetch.at(i);
    fetch.at(i + lanes);
    const auto x = f(d, hn::LoadU(d, in.at(i)));
    const auto y = f(d, hn::LoadU(d, in.at(i + lanes)));
    out.put(out_d, x, i);
    out.put(out_d, y, i + lanes);
  }
  for (; i < count; i += lanes) {
    const size_t n = HWY_MIN(lanes, count - i);
    Tail<A> x;
    Tail<Out> y;
    y.store(out_d, f(d, hn::LoadU(d, x.load(in.at(i), n))), out.to + i, n);
  }
}

template <typename Out, typename A, typename F>
void run_binary(const BlockArgs& a) noexcept {
  const hn::ScalableTag<Out> out_d;
  const hn::ScalableTag<A> d;
  const size_t lanes = hn::Lanes(d), count = a.n;
  const Operand<A> first(a, 0), second(a, 1);
  const Result<Out> out(a);
  const Fetches<A> fetch(a);
  const F f;
  size_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    fetch.at(i);
    fetch.at(i + lanes);
    const auto x = hn::LoadU(d, first.at(i));
    const auto y = hn::LoadU(d, second.at(i));
    const auto u = hn::LoadU(d, first.at(i + lanes));
    const auto v = hn::LoadU(d, second.at(i + lanes));
    out.put(out_d, f(d, x, y), i);
    out.put(out_d, f(d, u, v), i + lanes);
  }
  for (; i < count; i += lanes) {
    const size_t n = HWY_MIN(lanes, count - i);
    Tail<A> x, y;
    Tail<Out> z;
    const auto u = hn::LoadU(d, x.load(first.at(i), n));
    const auto v = hn::LoadU(d, y.load(second.at(i), n));
    z.store(out_d, f(d, u, v), out.to + i, n);
  }
}

// Pairs of lanes in float64, in an order that is fixed.
template <class D, class V>
HWY_INLINE double sum_of_lanes(D d, V v) {
#if HWY_TARGET == HWY_SCALAR
  static_cast<void>(d);
  return hn::GetLane(v);
#else
  const hn::Half<D> half;
  const hn::Rebind<double, decltype(half)> wide;
  return hn::GetLane(hn::SumOfLanes(
      wide,
      hn::Add(
          hn::PromoteTo(wide, hn::LowerHalf(half, v)),
          hn::PromoteTo(wide, hn::UpperHalf(half, v)))));
#endif
}

} // namespace
} // namespace zmlx::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // include guard
