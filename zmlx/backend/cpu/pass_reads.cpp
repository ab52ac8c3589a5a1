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

// Elements as bits: zero bits are 0 in every type. Gives where the first index
// outside 0 .. length stands, or -1.
template <typename T>
int64_t gather(
    void* out,
    const char* from,
    int64_t stride,
    int64_t length,
    const int64_t* places,
    size_t n) {
  const auto* row = reinterpret_cast<const T*>(from);
  auto* to = static_cast<T*>(out);
  int64_t outside = -1;
  for (size_t i = n; i-- > 0;) {
    const bool inside = places[i] >= 0 && places[i] < length;
    to[i] = inside ? row[places[i] * stride] : T(0);
    outside = inside ? outside : static_cast<int64_t>(i);
  }
  return outside;
}

template <typename... Args>
int64_t gather(size_t size, Args... args) {
  switch (size) {
    case 1:
      return gather<uint8_t>(args...);
    case 2:
      return gather<uint16_t>(args...);
    case 4:
      return gather<uint32_t>(args...);
    default:
      return gather<uint64_t>(args...);
  }
}

// The first n elements of an integer register; beyond int64 as its largest.
void read_places(
    int64_t* out,
    lang::Type type,
    const void* reg,
    size_t mask,
    size_t n) {
  constexpr auto kLargest = std::numeric_limits<int64_t>::max();
  with_register_type(type, [&](auto zero) {
    using T = decltype(zero);
    const auto* from = static_cast<const T*>(reg);
    for (size_t i = 0; i < n; ++i) {
      const T place = from[i & mask];
      out[i] = std::is_same_v<T, uint64_t> && place > T(kLargest)
          ? kLargest
          : static_cast<int64_t>(place);
    }
  });
}

// Whether places follow each other within a row of this length.
bool are_run(const int64_t* places, size_t n, int64_t length) {
  const auto first = static_cast<uint64_t>(places[0]);
  uint64_t other = 0;
  for (size_t i = 0; i < n; ++i) {
    other |= static_cast<uint64_t>(places[i]) ^ (first + i);
  }
  return other == 0 && places[0] >= 0 && places[n - 1] < length;
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
  int64_t row = 0;
  read_places(&row, step.type, now.where[step.in[0]], 0, 1);
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

// Some places at once: one by one, or where they follow each other as index() +
// 5 does, and the halves of a row that are exchanged, as they lie.
void BoundPasses::pick(const Step& step, void* out, Running& now)
    const noexcept {
  constexpr size_t kAtOnce = 32;
  alignas(64) std::byte raw[8 * kAtOnce];
  int64_t read[kAtOnce];
  const Access& access = accesses_[step.access];
  const size_t stored = lang::size_of(access.type());
  const size_t size = loaded_size(access);
  const size_t index_size = lang::size_of(step.type);
  const auto* places = static_cast<const char*>(now.where[step.in[0]]);
  const char* from = access.at(now.row);
  for (size_t i = 0; i < now.n; i += kAtOnce) {
    const size_t n = std::min(kAtOnce, now.n - i);
    char* to = static_cast<char*>(out) + i * size;
    read_places(
        read,
        step.type,
        places + (i & step.mask[0]) * index_size,
        step.mask[0],
        n);
    if (are_run(read, n, step.length)) {
      const int64_t first = read[0] * step.own_stride;
      step.run(
          to, from + first * static_cast<int64_t>(stored), step.own_stride, n);
      continue;
    }
    const int64_t outside = gather(
        stored,
        static_cast<void*>(raw),
        from,
        step.own_stride,
        step.length,
        static_cast<const int64_t*>(read),
        n);
    if (outside >= 0 && step.input >= 0) {
      fault_->record({read[outside], step.length, false, false, step.input});
    }
    step.load(to, raw, 1, n);
  }
}

} // namespace zmlx::backend::cpu
