#pragma once

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include <mlx/mlx.h>

#include "zmlx/lang/type.h"

/// Stored elements and register values, one at a time.
namespace zmlx::test_peer {

/// Calls f(T()) with the C++ type in which a compute type is held; bool is 0 or
/// 1 in an int32.
template <typename F>
auto with_register_type(lang::Type type, F f) {
  switch (type) {
    case lang::Type::F32:
      return f(float());
    case lang::Type::F64:
      return f(double());
    case lang::Type::U32:
      return f(uint32_t());
    case lang::Type::I64:
      return f(int64_t());
    case lang::Type::U64:
      return f(uint64_t());
    default:
      return f(int32_t());
  }
}

/// Calls f(T()) with the C++ type of a stored element.
template <typename F>
auto with_stored_type(lang::Type type, F f) {
  switch (type) {
    case lang::Type::Bool:
      return f(bool());
    case lang::Type::U8:
      return f(uint8_t());
    case lang::Type::I8:
      return f(int8_t());
    case lang::Type::U16:
      return f(uint16_t());
    case lang::Type::I16:
      return f(int16_t());
    case lang::Type::F16:
      return f(mlx::core::float16_t());
    case lang::Type::BF16:
      return f(mlx::core::bfloat16_t());
    default:
      return with_register_type(type, f);
  }
}

/// As C++ converts, but defined for every number: those out of range become the
/// nearest end, NaN becomes 0.
template <typename To, typename From>
To convert(From x) {
  if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    using Limits = std::numeric_limits<To>;
    if (std::isnan(x)) {
      return 0;
    }
    const auto end = static_cast<From>(std::ldexp(1.0, Limits::digits));
    if (x >= end) {
      return Limits::max();
    }
    return x <= static_cast<From>(Limits::min()) ? Limits::min()
                                                 : static_cast<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

template <typename T>
constexpr bool is_half = std::is_same_v<T, mlx::core::float16_t> ||
    std::is_same_v<T, mlx::core::bfloat16_t>;

/// The element that a register value becomes where a T is stored.
template <typename T, typename From>
T stored(From x) {
  if constexpr (is_half<T>) {
    return T(static_cast<float>(x));
  } else if constexpr (std::is_same_v<T, bool>) {
    return x != 0;
  } else {
    return convert<T>(x);
  }
}

template <typename To>
To read(lang::Type type, const std::byte* from) {
  return with_stored_type(type, [&](auto zero) {
    decltype(zero) element;
    std::memcpy(&element, from, sizeof(element));
    if constexpr (is_half<decltype(zero)>) {
      return static_cast<To>(static_cast<float>(element));
    } else {
      return static_cast<To>(element);
    }
  });
}

template <typename From>
void write(lang::Type type, From value, std::byte* to) {
  with_stored_type(type, [&](auto zero) {
    const auto element = stored<decltype(zero)>(value);
    std::memcpy(to, &element, sizeof(element));
  });
}

} // namespace zmlx::test_peer
