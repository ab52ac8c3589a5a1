// Loads of stored floats as float32, for every Highway target.
#if defined(ZMLX_STAGES_CPU_LOAD_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ZMLX_STAGES_CPU_LOAD_INL
#undef ZMLX_STAGES_CPU_LOAD_INL
#else
#define ZMLX_STAGES_CPU_LOAD_INL
#endif

#include <cstring>

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace zmlx::backend::stages::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F = hn::ScalableTag<float>;
using V = hn::Vec<F>;

HWY_INLINE V load(F d, const float* p) {
  return hn::LoadU(d, p);
}

template <typename T> // hwy::float16_t or hwy::bfloat16_t
HWY_INLINE V load(F d, const T* p) {
  return hn::PromoteTo(d, hn::LoadU(hn::Rebind<T, F>(), p));
}

/// The first `count` numbers, then zeros; reads no further.
template <typename T>
HWY_INLINE V load_first(F d, const T* p, size_t count) {
  HWY_ALIGN T padded[HWY_MAX_BYTES / sizeof(float)] = {};
  std::memcpy(padded, p, count * sizeof(T));
  return load(d, padded);
}

} // namespace zmlx::backend::stages::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
