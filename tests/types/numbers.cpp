#include "tests/types/numbers.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "zmlx/measure/tolerance.h"
#include "zmlx/op/convert.h"

namespace zmlx::types {

namespace {

/// Calls f with a value of the C++ type that MLX stores the type in; 16-bit
/// floats are read and written as float32.
template <typename F>
auto with_type(Type type, F f) {
  switch (type) {
    case Type::Bool:
      return f(bool());
    case Type::U8:
      return f(uint8_t());
    case Type::I8:
      return f(int8_t());
    case Type::U16:
      return f(uint16_t());
    case Type::I16:
      return f(int16_t());
    case Type::U32:
      return f(uint32_t());
    case Type::I32:
      return f(int32_t());
    case Type::U64:
      return f(uint64_t());
    case Type::I64:
      return f(int64_t());
    case Type::F64:
      return f(double());
    default:
      return f(float());
  }
}

mx::array typed(const mx::array& a, mx::Dtype type) {
  return mx::contiguous(
      mx::astype(a, type, mx::Device::cpu), false, mx::Device::cpu);
}

Real largest(Type type) {
  switch (type) {
    case Type::F16:
      return 65504;
    case Type::BF16:
      return 0x1.FEp127L;
    case Type::F32:
      return std::numeric_limits<float>::max();
    case Type::F64:
      return std::numeric_limits<double>::max();
    default:
      return with_type(type, [](auto t) -> Real {
        return std::numeric_limits<decltype(t)>::max();
      });
  }
}

} // namespace

const std::vector<Type>& all_types() {
  static const std::vector<Type> all = [] {
    std::vector<Type> types;
    for (int i = 0; i <= static_cast<int>(Type::F64); ++i) {
      types.push_back(static_cast<Type>(i));
    }
    return types;
  }();
  return all;
}

std::vector<Real> values_of(Type type) {
  if (type == Type::Bool) {
    return {0, 1};
  }
  const Real most = largest(type);
  if (lang::is_float(type)) {
    const Real inf = std::numeric_limits<Real>::infinity();
    const Real nan = std::numeric_limits<Real>::quiet_NaN();
    return {0,   -0.0L, 1,   -1,   0.5,   -0.5,    2.5,  -1.5,
            3,   7,     -7,  100,  -88,   89,      1e-3, 3000,
            inf, -inf,  nan, most, -most, 0x1p-14L};
  }
  std::vector<Real> values = {0, 1, 2, 3, 5, 7, 31, 33, 100, most - 1, most};
  if (lang::is_signed(type)) {
    for (Real x : {-1.0L, -2.0L, -3.0L, -7.0L, -100.0L, -most, -most - 1}) {
      values.push_back(x);
    }
  }
  if (lang::size_of(type) == 8) {
    values.insert(values.end(), {0x1p31L, 0x1p32L + 1, 0x1p53L + 1});
  }
  return values;
}

mx::array array_of(Type type, const std::vector<Real>& values) {
  const auto shape = mx::Shape{static_cast<int>(values.size())};
  return with_type(type, [&](auto t) {
    using T = decltype(t);
    const auto data = std::make_unique<T[]>(values.size() + 1);
    for (size_t i = 0; i < values.size(); ++i) {
      data[i] = static_cast<T>(values[i]);
    }
    return mx::array(data.get(), shape, op::to_mlx(type));
  });
}

std::vector<Real> values_in(const mx::array& a) {
  const Type type = op::to_lang(a.dtype());
  return with_type(type, [&](auto t) {
    using T = decltype(t);
    const bool half = type == Type::F16 || type == Type::BF16;
    auto dense = typed(a, half ? mx::float32 : a.dtype());
    dense.eval();
    return std::vector<Real>(dense.data<T>(), dense.data<T>() + dense.size());
  });
}

Real wrapped(Type type, Whole x) {
  if (type == Type::Bool) {
    return x != 0;
  }
  return with_type(type, [&](auto t) -> Real {
    using T = decltype(t);
    if constexpr (std::is_integral_v<T>) {
      return static_cast<T>(static_cast<uint64_t>(x));
    } else {
      return static_cast<Real>(x);
    }
  });
}

void Tally::count(bool right, const std::string& what) {
  constexpr long long kShown = 40;
  ++cases;
  wrong += !right;
  if (!right && wrong <= kShown) {
    ADD_FAILURE() << what;
  }
}

namespace {

bool is_within(
    mx::Dtype stored,
    Real got,
    Real want,
    measure::OpClass op,
    Real magnitude) {
  if (std::isnan(got) || std::isnan(want)) {
    return std::isnan(got) == std::isnan(want);
  }
  if (got == want) {
    return true;
  }
  const auto limits = measure::tolerance(stored, op);
  const Real top = largest(op::to_lang(stored));
  const Real beyond = top * (1 + static_cast<Real>(limits.relative) / 2);
  const Real a = std::clamp(got, -beyond, beyond);
  const Real b = std::clamp(want, -beyond, beyond);
  const Real step = stored == mx::float16 ? 0x1p-24L : 0x1p-133L;
  return std::abs(a - b) <= static_cast<Real>(limits.relative) * std::abs(b) +
      static_cast<Real>(limits.absolute) * magnitude + step;
}

} // namespace

bool is_near(mx::Dtype stored, Real got, Real want) {
  return is_within(stored, got, want, measure::OpClass::map, 1);
}

bool is_near_in_row(mx::Dtype stored, Real got, Real want, Real magnitude) {
  return is_within(stored, got, want, measure::OpClass::row, magnitude);
}

} // namespace zmlx::types
