// Running sums, and sums of blocks place by place.
#include "zmlx/backend/cpu/scalar.h"
#include "zmlx/backend/cpu/vector.h"

namespace zmlx::backend::cpu {
namespace {

using lang::ScanOrder;
using lang::Type;

template <typename T>
void accumulate(void* sums, const void* in, size_t mask, size_t n) noexcept {
  using Sum = std::conditional_t<std::is_integral_v<T>, uint64_t, double>;
  auto* __restrict to = static_cast<Sum*>(sums);
  const auto* __restrict from = static_cast<const T*>(in);
  with_layout(1, mask, [=](auto /*adjacent*/, auto each) {
    for (size_t i = 0; i < n; ++i) {
      to[i] += static_cast<Sum>(from[i & each]);
    }
  });
}

// Integers wrap, as unsigned ones do. Places go in groups whose own sums do not
// wait for what came before them: an addition a group stands in line.
template <typename T, bool kReverse, bool kExclusive>
void scan(const ScanArgs& a) noexcept {
  using Sum = typename std::conditional_t<
      std::is_integral_v<T>,
      std::make_unsigned<T>,
      std::type_identity<double>>::type;
  constexpr size_t kGroup = 8;
  const auto* in = static_cast<const T*>(a.in);
  auto* out = static_cast<T*>(a.out);
  const auto place = [&](size_t k) { return kReverse ? a.n - 1 - k : k; };
  auto before = *static_cast<Sum*>(a.carry);
  size_t k = 0;
  for (; k + kGroup <= a.n; k += kGroup) {
    Sum sums[kGroup + 1] = {};
    for (size_t j = 0; j < kGroup; ++j) {
      sums[j + 1] = sums[j] + static_cast<Sum>(in[place(k + j) & a.mask]);
    }
    for (size_t j = 0; j < kGroup; ++j) {
      out[place(k + j)] = static_cast<T>(before + sums[kExclusive ? j : j + 1]);
    }
    before += sums[kGroup];
  }
  for (; k < a.n; ++k) {
    const Sum after = before + static_cast<Sum>(in[place(k) & a.mask]);
    out[place(k)] = static_cast<T>(kExclusive ? before : after);
    before = after;
  }
  *static_cast<Sum*>(a.carry) = before;
}

} // namespace

AccumulateOp find_accumulate(Type from) {
  return with_register_type(register_type(from), [](auto x) -> AccumulateOp {
    return &accumulate<decltype(x)>;
  });
}

ScanOp find_scan(ScanOrder order, Type type) {
  return with_register_type(register_type(type), [order](auto x) {
    using T = decltype(x);
    static constexpr ScanOp kScans[] = {
        &scan<T, false, false>,
        &scan<T, false, true>,
        &scan<T, true, false>,
        &scan<T, true, true>};
    return kScans[static_cast<size_t>(order)];
  });
}

} // namespace zmlx::backend::cpu
