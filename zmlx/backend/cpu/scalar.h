#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "zmlx/lang/type.h"

namespace zmlx::backend::cpu {

/// Calls f(T()) with the C++ type of a register type.
template <typename F>
auto with_register_type(lang::Type type, F f) {
  using lang::Type;
  switch (type) {
    case Type::F32:
      return f(float());
    case Type::F64:
      return f(double());
    case Type::U32:
      return f(uint32_t());
    case Type::I64:
      return f(int64_t());
    case Type::U64:
      return f(uint64_t());
    default:
      return f(int32_t());
  }
}

/// Conversion as C++ does it, but defined for every value: numbers out of
/// range go to the nearest end, NaN to 0.
template <typename To, typename From>
To convert(From x) {
  if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    using Limits = std::numeric_limits<To>;
    if (x != x) {
      return 0;
    }
    // max() + 1 is a power of two, so both ends are exact.
    constexpr From end = From(Limits::max() / 2 + 1) * 2;
    return x >= end                ? Limits::max()
        : x <= From(Limits::min()) ? Limits::min()
                                   : static_cast<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

} // namespace zmlx::backend::cpu
