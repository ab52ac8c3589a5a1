// Random bits, compiled once for each instruction set.
//
// Philox4x32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// 2011. Counter i / 4 in two words, two words of zeros; the key is the seed.
#include "zmlx/backend/cpu/vector.h"

#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "zmlx/backend/cpu/vector_random.cpp"
#include "zmlx/backend/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace zmlx::backend::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

constexpr uint32_t kMultiplier0 = 0xD2511F53;
constexpr uint32_t kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kStep0 = 0x9E3779B9;
constexpr uint32_t kStep1 = 0xBB67AE85;
constexpr int kRounds = 10;

// The upper halves of the products of 32-bit lanes.
template <class D, class V>
HWY_INLINE V multiply_high(D d, V a, V b) {
#if HWY_TARGET == HWY_SCALAR
  static_cast<void>(d);
  return V(static_cast<uint32_t>(uint64_t{a.raw} * b.raw >> 32));
#else
  const hn::RepartitionToWide<D> wide;
  const auto up = [&](V x) HWY_ATTR {
    return hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(wide, x)));
  };
  const auto even = hn::MulEven(a, b);
  const auto odd = hn::MulEven(up(a), up(b));
  return hn::OddEven(hn::BitCast(d, odd), up(hn::BitCast(d, even)));
#endif
}

// Four words each for as many counters as there are lanes.
template <class D>
HWY_INLINE void
fill_counters(D d, uint64_t seed, uint64_t counter, uint32_t* out) {
  const auto set = [&](uint32_t x) HWY_ATTR { return hn::Set(d, x); };
  const auto low = set(static_cast<uint32_t>(counter));
  auto c0 = hn::Add(low, hn::Iota(d, 0));
  // The upper word goes up where the lower one began anew.
  auto c1 = hn::Add(
      set(static_cast<uint32_t>(counter >> 32)),
      hn::IfThenElseZero(hn::Lt(c0, low), set(1)));
  auto c2 = hn::Zero(d), c3 = hn::Zero(d);
  auto k0 = set(static_cast<uint32_t>(seed));
  auto k1 = set(static_cast<uint32_t>(seed >> 32));
  const auto m0 = set(kMultiplier0), m1 = set(kMultiplier1);
  for (int round = 0; round < kRounds; ++round) {
    const auto high0 = multiply_high(d, c0, m0), low0 = hn::Mul(c0, m0);
    const auto high1 = multiply_high(d, c2, m1), low1 = hn::Mul(c2, m1);
    c0 = hn::Xor(hn::Xor(high1, c1), k0);
    c1 = low1;
    c2 = hn::Xor(hn::Xor(high0, c3), k1);
    c3 = low0;
    k0 = hn::Add(k0, set(kStep0));
    k1 = hn::Add(k1, set(kStep1));
  }
  hn::StoreInterleaved4(c0, c1, c2, c3, d, out);
}

void fill(uint32_t* out, uint64_t seed, uint64_t first, size_t n) {
  const hn::ScalableTag<uint32_t> d;
  const size_t words = 4 * hn::Lanes(d);
  alignas(64) uint32_t some[4 * hn::MaxLanes(d)];
  const auto skipped = static_cast<size_t>(first % 4);
  size_t done = 0;
  if (skipped != 0) {
    fill_counters(d, seed, first / 4, some);
    done = HWY_MIN(n, words - skipped);
    std::memcpy(out, some + skipped, done * sizeof(uint32_t));
  }
  for (; done + words <= n; done += words) {
    fill_counters(d, seed, (first + done) / 4, out + done);
  }
  if (done < n) {
    fill_counters(d, seed, (first + done) / 4, some);
    std::memcpy(out + done, some, (n - done) * sizeof(uint32_t));
  }
}

} // namespace
} // namespace zmlx::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zmlx::backend::cpu {

HWY_EXPORT(fill);

void fill_random(uint32_t* out, uint64_t seed, uint64_t first, size_t n) {
  HWY_DYNAMIC_DISPATCH(fill)(out, seed, first, n);
}

} // namespace zmlx::backend::cpu
#endif // HWY_ONCE
