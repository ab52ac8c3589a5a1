// What a pass reads other than through its loops: inputs that are converted,
// rows of tables, and elements at places of their own.
#include <algorithm>
#include <cstring>
#include <limits>

#include <hwy/cache_control.h>

#include "zmlx/backend/cpu/pass_builder.h"
#include "zmlx/backend/cpu/running.h"
#include "zmlx/backend/cpu/scalar.h"

namespace zmlx::backend::cpu {
namespace {

// Copies the first value of a uniform register over all of it.
void spread(void* reg, size_t size) {
  if (size == 8) {
    std::fill_n(
        static_cast<uint64_t*>(reg),
        kUniformLanes,
        *static_cast<const uint64_t*>(reg));
  } else {
    std::fill_n(
        static_cast<uint32_t*>(reg),
        kUniformLanes,
        *static_cast<const uint32_t*>(reg));
  }
}

// Bytes of a register's element that is loaded through `access`.
size_t loaded_size(const Access& access) {
  return lang::size_of(register_type(lang::compute_type(access.type())));
}

// What a register is whose memory is a table's where it has no such row.
alignas(64) constexpr std::byte kZeros[kMaxViewBlock * 8] = {};

// The first element of an integer register; beyond int64 as its largest.
int64_t index_at(lang::Type type, const void* reg) {
  return with_register_type(type, [reg](auto zero) -> int64_t {
    using T = decltype(zero);
    const T index = *static_cast<const T*>(reg);
    if constexpr (std::is_same_v<T, uint64_t>) {
      return static_cast<int64_t>(
          std::min<uint64_t>(index, std::numeric_limits<int64_t>::max()));
    } else {
      return static_cast<int64_t>(index);
    }
  });
}

// Gives where the first index outside stands, or -1.
template <typename T, typename Index>
int64_t gather_as(
    void* out,
    const char* from,
    int64_t stride,
    int64_t length,
    const void* at,
    size_t mask,
    size_t n) {
  int64_t outside = -1;
  for (size_t i = n; i-- > 0;) {
    const Index place = static_cast<const Index*>(at)[i & mask];
    T value = 0;
    if (place >= 0 && static_cast<uint64_t>(place) < uint64_t(length)) {
      const auto offset = static_cast<int64_t>(place) * stride;
      value = reinterpret_cast<const T*>(from)[offset];
    } else {
      outside = static_cast<int64_t>(i);
    }
    static_cast<T*>(out)[i] = value;
  }
  return outside;
}

// The same at places that are all there.
template <typename T>
void gather_inside(
    void* out,
    const char* from,
    int64_t stride,
    const int32_t* at,
    size_t n) {
  const auto* row = reinterpret_cast<const T*>(from);
  auto* to = static_cast<T*>(out);
  for (size_t i = 0; i < n; ++i) {
    to[i] = row[at[i] * stride];
  }
}

void gather_inside(
    size_t size,
    void* out,
    const char* from,
    int64_t stride,
    const int32_t* at,
    size_t n) {
  switch (size) {
    case 1:
      return gather_inside<uint8_t>(out, from, stride, at, n);
    case 2:
      return gather_inside<uint16_t>(out, from, stride, at, n);
    case 4:
      return gather_inside<uint32_t>(out, from, stride, at, n);
    default:
      return gather_inside<uint64_t>(out, from, stride, at, n);
  }
}

// Elements as bits: zero bits are 0 in every type.
template <typename... Args>
int64_t gather(size_t size, lang::Type index, Args... args) {
  return with_register_type(index, [&](auto i) -> int64_t {
    using Index = decltype(i);
    if constexpr (std::is_integral_v<Index>) {
      switch (size) {
        case 1:
          return gather_as<uint8_t, Index>(args...);
        case 2:
          return gather_as<uint16_t, Index>(args...);
        case 4:
          return gather_as<uint32_t, Index>(args...);
        default:
          return gather_as<uint64_t, Index>(args...);
      }
    }
    return -1;
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
    step.load(to, access.at(now.place), 1, 1);
    spread(to, loaded_size(access));
    return;
  }
  if (step.fetches > 0) { // what is adjacent
    const char* ahead = access.at(now.place) + step.fetch_bytes[0];
    const auto bytes =
        static_cast<int64_t>(now.n * lang::size_of(access.type()));
    for (int64_t i = 0; i < bytes; i += 64) {
      hwy::Prefetch(ahead + i);
    }
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
  const int64_t row = index_at(step.type, now.where[step.in[0]]);
  const Access& access = accesses_[step.access];
  if (row < 0 || row >= step.length) {
    if (step.input >= 0) {
      fault_->record({row, step.length, true, false, step.input});
    }
    if (!step.load) {
      now.where[step.to] = kZeros;
    } else {
      std::memset(to, 0, now.n * loaded_size(access));
    }
    return;
  }
  const auto stored = static_cast<int64_t>(lang::size_of(access.type()));
  char* from = access.at(row) + now.at * step.own_stride * stored;
  if (!step.load) {
    now.where[step.to] = from;
  } else {
    step.load(to, from, step.own_stride, now.n);
  }
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
  auto* to = static_cast<char*>(out);
  const auto* at = static_cast<const char*>(now.where[step.in[0]]);
  for (size_t i = 0; i < now.n; i += kAtOnce) {
    const size_t n = std::min(kAtOnce, now.n - i);
    const void* index = at + (i & step.mask[0]) * index_size;
    if (step.inside) {
      const auto* place = static_cast<const int32_t*>(index);
      gather_inside(stored, raw, from, step.own_stride, place, n);
      step.load(to + i * size, raw, 1, n);
      continue;
    }
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
      const auto* wrong = static_cast<const char*>(index) +
          (static_cast<size_t>(outside) & step.mask[0]) * index_size;
      fault_->record(
          {index_at(step.type, wrong), step.length, false, false, step.input});
    }
    step.load(to + i * size, raw, 1, n);
  }
}

} // namespace zmlx::backend::cpu
