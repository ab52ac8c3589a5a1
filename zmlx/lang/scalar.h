#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>
#include <type_traits>

/// Arithmetic on one value, where it is more than C++'s: T is float, double or
/// an integer of 32 or 64 bits. Defined for all operands; integers wrap.
namespace zmlx::lang::scalar {

template <typename T>
using Wrapping = typename std::conditional_t<
    std::is_integral_v<T>,
    std::make_unsigned<T>,
    std::common_type<T>>::type;

template <typename T>
T add(T x, T y) {
  return T(Wrapping<T>(x) + Wrapping<T>(y));
}

template <typename T>
T subtract(T x, T y) {
  return T(Wrapping<T>(x) - Wrapping<T>(y));
}

template <typename T>
T multiply(T x, T y) {
  return T(Wrapping<T>(x) * Wrapping<T>(y));
}

template <typename T>
T negate(T x) {
  if constexpr (std::is_integral_v<T>) {
    return T(Wrapping<T>(0) - Wrapping<T>(x));
  } else {
    return -x;
  }
}

template <typename T>
T absolute(T x) {
  if constexpr (std::is_floating_point_v<T>) {
    return std::abs(x);
  } else {
    return x < 0 ? negate(x) : x;
  }
}

template <std::floating_point T>
T sigmoid(T x) {
  const T e = std::exp(-std::abs(x));
  return (x < 0 ? e : T(1)) / (T(1) + e);
}

/// Integers truncate, and give 0 by 0.
template <typename T>
T divide(T x, T y) {
  if constexpr (std::is_integral_v<T>) {
    if (y == 0) {
      return 0;
    }
    if (std::is_signed_v<T> && y == T(-1)) {
      return negate(x); // the least has no opposite
    }
  }
  return x / y;
}

/// The sign of y; integers give 0 by 0.
template <typename T>
T modulo(T x, T y) {
  if constexpr (std::is_integral_v<T>) {
    if (y == 0 || (std::is_signed_v<T> && y == T(-1))) {
      return 0;
    }
    const T r = x % y;
    return r != 0 && (r < 0) != (y < 0) ? r + y : r;
  } else {
    const T r = std::fmod(x, y);
    return r != 0 && (r < 0) != (y < 0) ? r + y : r;
  }
}

template <typename T>
T power(T x, T y) {
  if constexpr (std::is_integral_v<T>) {
    if (y < 0) {
      return x == 1 ? 1 : x == T(-1) ? (y % 2 ? x : T(1)) : 0;
    }
    Wrapping<T> result = 1, base = Wrapping<T>(x);
    for (auto e = Wrapping<T>(y); e; e >>= 1, base *= base) {
      result = e & 1 ? result * base : result;
    }
    return T(result);
  } else {
    return std::pow(x, y);
  }
}

/// Counts outside the width shift everything out.
template <std::integral T>
T shift_left(T x, T y) {
  constexpr int width = 8 * sizeof(T);
  return Wrapping<T>(y) >= width ? T(0) : T(Wrapping<T>(x) << y);
}

template <std::integral T>
T shift_right(T x, T y) {
  constexpr int width = 8 * sizeof(T);
  return Wrapping<T>(y) < width ? T(x >> y) : x < 0 ? T(-1) : T(0);
}

template <typename T>
T floor(T x) {
  if constexpr (std::is_integral_v<T>) {
    return x;
  } else {
    return std::floor(x);
  }
}

template <typename T>
T ceil(T x) {
  if constexpr (std::is_integral_v<T>) {
    return x;
  } else {
    return std::ceil(x);
  }
}

/// To the nearest integer, halves to even.
template <typename T>
T round_even(T x) {
  if constexpr (std::is_integral_v<T>) {
    return x;
  } else {
    return std::nearbyint(x);
  }
}

/// NaN if either is NaN.
template <typename T>
T larger(T x, T y) {
  return x != x || x > y ? x : y;
}

template <typename T>
T smaller(T x, T y) {
  return x != x || x < y ? x : y;
}

} // namespace zmlx::lang::scalar
