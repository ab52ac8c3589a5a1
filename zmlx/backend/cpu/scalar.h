#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "zmlx/backend/cpu/half.h"
#include "zmlx/lang/program.h"

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

/// Stored types that are no numbers of C++.
struct Float16 {
  uint16_t bits;
};
struct Bfloat16 {
  uint16_t bits;
};
struct Boolean {
  uint8_t byte;
};

/// Calls f(T()) with the type of a stored element.
template <typename F>
auto with_stored_type(lang::Type type, F f) {
  using lang::Type;
  // clang-format off
  switch (type) {
    case Type::Bool: return f(Boolean());
    case Type::U8: return f(uint8_t());
    case Type::I8: return f(int8_t());
    case Type::U16: return f(uint16_t());
    case Type::I16: return f(int16_t());
    case Type::F16: return f(Float16());
    case Type::BF16: return f(Bfloat16());
    default: return with_register_type(type, f);
  }
  // clang-format on
}

/// Calls f(stride, mask): constants where every element is read and what is
/// stored is adjacent, for then compilers make vectors of it.
template <typename F>
void with_layout(int64_t stride, size_t mask, F f) {
  if (stride == 1 && mask != 0) {
    f(std::integral_constant<int64_t, 1>(),
      std::integral_constant<size_t, ~size_t{0}>());
  } else {
    f(stride, mask);
  }
}

/// A stored element as a register has it.
template <typename Out, typename T>
Out read(T x) {
  if constexpr (std::is_same_v<T, Float16>) {
    return static_cast<Out>(from_float16(x.bits));
  } else if constexpr (std::is_same_v<T, Bfloat16>) {
    return static_cast<Out>(from_bfloat16(x.bits));
  } else if constexpr (std::is_same_v<T, Boolean>) {
    return static_cast<Out>(x.byte != 0);
  } else {
    return static_cast<Out>(x);
  }
}

/// The element that is stored for a value.
template <typename T, typename From>
T written(From x) {
  if constexpr (std::is_same_v<T, Float16>) {
    return {to_float16(static_cast<float>(x))};
  } else if constexpr (std::is_same_v<T, Bfloat16>) {
    return {to_bfloat16(static_cast<float>(x))};
  } else if constexpr (std::is_same_v<T, Boolean>) {
    return {static_cast<uint8_t>(x != 0)};
  } else {
    return convert<T>(x);
  }
}

/// Whether x replaces the best value of a reduction so far. NaN wins MaxOf and
/// MinOf, and is above all numbers for ArgMax and ArgMin.
template <lang::Op kOp, typename T>
bool is_better(T x, T best) {
  switch (kOp) {
    case lang::Op::MaxOf:
    case lang::Op::ArgMax:
      return best == best && !(x <= best);
    case lang::Op::MinOf:
      return best == best && !(x >= best);
    default:
      return x < best || (best != best && x == x);
  }
}

/// The same where the places count, in whatever order they come: of equal
/// values ArgMax and ArgMin give the first. A place below 0 is none.
template <lang::Op kOp, typename T>
bool improves(T x, int64_t at, T best, int64_t best_at) {
  constexpr bool kArg = kOp == lang::Op::ArgMax || kOp == lang::Op::ArgMin;
  return is_better<kOp>(x, best) ||
      (kArg && (best_at < 0 || (at < best_at && !is_better<kOp>(best, x))));
}

} // namespace zmlx::backend::cpu
