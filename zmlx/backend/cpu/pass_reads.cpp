// What a pass reads other than through its loops: inputs that are converted,
// rows of tables, and elements at places of their own.
#include <algorithm>
#include <cstring>
#include <limits>

#include "zmlx/backend/cpu/running.h"
#include "zmlx/backend/cpu/scalar.h"

namespace zmlx::backend::cpu {
namespace {

// Bytes of a register's element that is loaded through `access`.
size_t loaded_size(const Access& access) {
  return lang::size_of(register_type(lang::compute_type(access.type())));
}

// The element of an integer register; beyond int64 as its largest.
int64_t place_at(lang::Type type, const void* reg, size_t i) {
  return with_register_type(type, [reg, i](auto zero) {
    using T = decltype(zero);
    const T place = static_cast<const T*>(reg)[i];
    constexpr auto kLargest = std::numeric_limits<int64_t>::max();
    return std::is_same_v<T, uint64_t> && place > T(kLargest)
        ? kLargest
        : static_cast<int64_t>(place);
  });
}

// Elements as bits: zero bits are 0 in every type. Gives where the first place
// outside 0 .. length stands, or -1.
template <typename T, typename Index>
int64_t gather(
    void* out,
    const char* from,
    int64_t stride,
    int64_t length,
    const void* places,
    size_t mask,
    size_t n) {
  const auto* row = reinterpret_cast<const T*>(from);
  const auto* at = static_cast<const Index*>(places);
  auto* to = static_cast<T*>(out);
  int64_t outside = -1;
  for (size_t i = n; i-- > 0;) {
    const Index place = at[i & mask];
    if (place >= 0 && static_cast<uint64_t>(place) < uint64_t(length)) {
      to[i] = row[static_cast<int64_t>(place) * stride];
    } else {
      to[i] = 0;
      outside = static_cast<int64_t>(i);
    }
  }
  return outside;
}

template <typename... Args>
int64_t gather(size_t size, lang::Type index, Args... args) {
  return with_register_type(index, [&](auto zero) {
    using Index = decltype(zero);
    switch (size) {
      case 1:
        return gather<uint8_t, Index>(args...);
      case 2:
        return gather<uint16_t, Index>(args...);
      case 4:
        return gather<uint32_t, Index>(args...);
      default:
        return gather<uint64_t, Index>(args...);
    }
  });
}

// Whether places are a run within a row of this length, as index() + 5 gives.
bool follow_each_other(const int32_t* places, size_t n, int64_t length) {
  const int32_t first = places[0];
  if (first < 0 || first + static_cast<int64_t>(n) > length) {
    return false;
  }
  int32_t other = 0;
  for (size_t i = 0; i < n; ++i) {
    other |= places[i] ^ (first + static_cast<int32_t>(i));
  }
  return other == 0;
}

} // namespace

void BoundPasses::load(const Step& step, void* to, Running& now)
    const noexcept {
  const Access& access = accesses_[step.access];
  if (step.act == Act::LoadOnce) {
    if (access.empty()) {
      std::memset(to, 0, sizeof(Uniform));
      return;
    }
    return step.load(to, access.at(now.place), 0, kUniformLanes);
  }
  auto* next = static_cast<std::byte*>(to);
  access.for_runs(
      now.place, static_cast<int64_t>(now.n), [&](char* from, int64_t n) {
        step.load(next, from, access.stride(), static_cast<size_t>(n));
        next += static_cast<size_t>(n) * loaded_size(access);
      });
}

void BoundPasses::take(const Step& step, void* to, Running& now)
    const noexcept {
  const int64_t row = place_at(step.type, now.where[step.in[0]], 0);
  const Access& access = accesses_[step.access];
  if (row < 0 || row >= step.length) {
    if (step.input >= 0) {
      fault_->record({row, step.length, true, false, step.input});
    }
    std::memset(to, 0, now.n * loaded_size(access));
    return;
  }
  const auto stored = static_cast<int64_t>(lang::size_of(access.type()));
  char* from = access.at(row) + now.at * step.own_stride * stored;
  step.load(to, from, step.own_stride, now.n);
}

void BoundPasses::pick_runs(const Step& step, void* out, Running& now)
    const noexcept {
  const Access& access = accesses_[step.access];
  const auto stored = static_cast<int64_t>(lang::size_of(access.type()));
  const auto size = static_cast<int64_t>(loaded_size(access));
  const char* row = access.at(now.row);
  const int64_t end = now.at + static_cast<int64_t>(now.n);
  for (const PickedRun& run : runs_[step.runs]) {
    const int64_t from = std::max(run.begin, now.at);
    const int64_t n = std::min(run.end, end) - from;
    if (n > 0) {
      const int64_t place = run.from + from - run.begin;
      step.run(
          static_cast<char*>(out) + (from - now.at) * size,
          row + place * step.own_stride * stored,
          step.own_stride,
          static_cast<size_t>(n));
    }
  }
}

void BoundPasses::pick(const Step& step, void* out, Running& now)
    const noexcept {
  if (step.runs >= 0) {
    return pick_runs(step, out, now);
  }
  const void* places = now.where[step.in[0]];
  if (step.type == lang::Type::I32 && step.mask[0] != 0 &&
      follow_each_other(
          static_cast<const int32_t*>(places), now.n, step.length)) {
    const Access& access = accesses_[step.access];
    const auto stored = static_cast<int64_t>(lang::size_of(access.type()));
    const auto first = int64_t{*static_cast<const int32_t*>(places)};
    const char* from = access.at(now.row) + first * step.own_stride * stored;
    step.run(out, from, step.own_stride, now.n);
    return;
  }
  constexpr size_t kAtOnce = 256;
  alignas(64) std::byte raw[8 * kAtOnce];
  const Access& access = accesses_[step.access];
  const size_t stored = lang::size_of(access.type());
  const size_t size = loaded_size(access);
  const size_t index_size = lang::size_of(step.type);
  const char* from = access.at(now.row);
  for (size_t i = 0; i < now.n; i += kAtOnce) {
    const size_t n = std::min(kAtOnce, now.n - i);
    const void* index =
        static_cast<const char*>(places) + (i & step.mask[0]) * index_size;
    const int64_t outside = gather(
        stored,
        step.type,
        static_cast<void*>(raw),
        from,
        step.own_stride,
        step.length,
        index,
        step.mask[0],
        n);
    if (outside >= 0 && step.input >= 0) {
      const size_t at = static_cast<size_t>(outside) & step.mask[0];
      const int64_t place = place_at(step.type, index, at);
      fault_->record({place, step.length, false, false, step.input});
    }
    step.load(static_cast<char*>(out) + i * size, raw, 1, n);
  }
}

} // namespace zmlx::backend::cpu
