// What the loops over float32 blocks share: how they read their arguments, and
// what they do with the last elements. Included once for each instruction set.
#if defined(ZMLX_BACKEND_CPU_VECTOR_LOOPS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ZMLX_BACKEND_CPU_VECTOR_LOOPS_INL_H_
#undef ZMLX_BACKEND_CPU_VECTOR_LOOPS_INL_H_
#else
#define ZMLX_BACKEND_CPU_VECTOR_LOOPS_INL_H_
#endif

#include <cstring>
#include <utility>

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

// Each element of the result is f of the elements of the operands, all of type
// In.
template <typename Out, typename In, typename F, size_t... k>
HWY_INLINE void
run_each(const BlockArgs& a, const F& f, std::index_sequence<k...>) {
  const hn::ScalableTag<Out> out_d;
  const hn::ScalableTag<In> d;
  const size_t lanes = hn::Lanes(d), count = a.n;
  const Operand<In> in[] = {Operand<In>(a, k)...};
  const Result<Out> out(a);
  size_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    const auto x = f(d, hn::LoadU(d, in[k].at(i))...);
    const auto y = f(d, hn::LoadU(d, in[k].at(i + lanes))...);
    out.put(out_d, x, i);
    out.put(out_d, y, i + lanes);
  }
  for (; i < count; i += lanes) {
    const size_t n = HWY_MIN(lanes, count - i);
    Tail<In> tails[sizeof...(k)];
    Tail<Out> result;
    result.store(
        out_d,
        f(d, hn::LoadU(d, tails[k].load(in[k].at(i), n))...),
        out.to + i,
        n);
  }
}

template <typename Out, typename In, size_t kOperands, typename F>
void run(const BlockArgs& a) noexcept {
  run_each<Out, In>(a, F(), std::make_index_sequence<kOperands>());
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
