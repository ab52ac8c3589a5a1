#include "zmlx/measure/bandwidth_loops.h"

#include <numeric>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "zmlx/measure/bandwidth_loops.cpp"
#include <hwy/foreach_target.h> // IWYU pragma: keep

#include <hwy/cache_control.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace zmlx::measure::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Wraps around. Not SumOfLanes: GCC's header for AVX-512 adds the lanes as
// signed numbers, whose overflow is undefined.
template <typename D>
std::uint32_t WrappingSum(D d, hn::Vec<D> v) {
  HWY_ALIGN std::uint32_t words[hn::MaxLanes(D())];
  hn::Store(v, d, words);
  return std::accumulate(words, words + hn::Lanes(d), std::uint32_t{0});
}

std::uint32_t ReadForward(const float* data, std::size_t count) {
  const hn::ScalableTag<std::uint32_t> d;
  const std::size_t lanes = hn::Lanes(d);
  auto words = reinterpret_cast<const std::uint32_t*>(data);
  constexpr std::size_t line = 16; // words
  constexpr std::size_t ahead = 16 * line;
  auto s0 = hn::Zero(d), s1 = s0;
  for (std::size_t i = 0; i < count; i += 2 * line) {
    hwy::Prefetch(words + i + ahead);
    hwy::Prefetch(words + i + ahead + line);
    for (std::size_t j = 0; j < line; j += lanes) {
      s0 = hn::Add(s0, hn::Load(d, words + i + j));
      s1 = hn::Xor(s1, hn::Load(d, words + i + line + j));
    }
  }
  return WrappingSum(d, hn::Add(s0, s1));
}

std::uint32_t ReadFour(const float* data, std::size_t count) {
  const hn::ScalableTag<std::uint32_t> d;
  const std::size_t lanes = hn::Lanes(d);
  auto words = reinterpret_cast<const std::uint32_t*>(data);
  const std::size_t part = count / 4;
  auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  for (std::size_t i = 0; i < part; i += lanes) {
    s0 = hn::Add(s0, hn::Load(d, words + i));
    s1 = hn::Xor(s1, hn::Load(d, words + part + i));
    s2 = hn::Add(s2, hn::Load(d, words + 2 * part + i));
    s3 = hn::Xor(s3, hn::Load(d, words + 3 * part + i));
  }
  return WrappingSum(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)));
}

void Triad(float* a, const float* b, const float* c, std::size_t count) {
  const hn::ScalableTag<float> d;
  const std::size_t lanes = hn::Lanes(d);
  const auto factor = hn::Set(d, 3.0f);
  for (std::size_t i = 0; i < count; i += lanes) {
    hn::Stream(
        hn::MulAdd(factor, hn::Load(d, c + i), hn::Load(d, b + i)), d, a + i);
  }
  hwy::FlushStream();
}

} // namespace zmlx::measure::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zmlx::measure {

HWY_EXPORT(ReadForward);
HWY_EXPORT(ReadFour);
HWY_EXPORT(Triad);

std::uint32_t read_forward(const float* data, std::size_t count) {
  return HWY_DYNAMIC_DISPATCH(ReadForward)(data, count);
}

std::uint32_t read_four(const float* data, std::size_t count) {
  return HWY_DYNAMIC_DISPATCH(ReadFour)(data, count);
}

void triad(float* a, const float* b, const float* c, std::size_t count) {
  HWY_DYNAMIC_DISPATCH(Triad)(a, b, c, count);
}

} // namespace zmlx::measure
#endif
