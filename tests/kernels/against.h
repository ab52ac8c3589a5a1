#pragma once

#include <functional>
#include <vector>

#include "tests/op/support.h"
#include "zmlx/measure/tolerance.h"
#include "zmlx/op/primitive.h"

/// Kernels and their gradients against other ways to compute them.
namespace zmlx::kernels::test {

using namespace op::test;
using Arrays = std::vector<mx::array>;
using Function = std::function<Arrays(const Arrays&)>;

inline mx::array normal(const mx::Shape& shape, uint64_t seed) {
  return mx::random::normal(shape, mx::float32, mx::random::key(seed));
}

/// Different numbers in a mixed order, all of which every float type holds
/// where there are at most 256: no two are equal in any row.
inline mx::array distinct(const mx::Shape& shape, uint64_t seed) {
  int size = 1;
  for (int length : shape) {
    size *= length;
  }
  const auto order = mx::random::permutation(size, mx::random::key(seed));
  const auto centred =
      mx::subtract(mx::astype(order, mx::float32), mx::array(size / 2.f));
  return mx::reshape(mx::divide(centred, mx::array(16.f)), shape);
}

inline bool is_float(const mx::array& a) {
  return mx::issubdtype(a.dtype(), mx::floating);
}

inline Arrays in_type(Arrays arrays, mx::Dtype type) {
  for (auto& a : arrays) {
    a = is_float(a) ? mx::astype(a, type, mx::Device::cpu) : a;
  }
  return arrays;
}

inline void expect_within(
    const mx::array& got,
    const mx::array& want,
    measure::OpClass kind,
    const std::string& what) {
  ASSERT_EQ(got.shape(), want.shape()) << what;
  const auto result = measure::compare(got, want, kind);
  EXPECT_TRUE(result.ok()) << what << ": " << result.to_string();
}

/// The function's gradients by every float input, for one cotangent an output.
inline Arrays
gradients(const Function& f, const Arrays& inputs, const Arrays& cotangents) {
  std::vector<size_t> wanted;
  Arrays chosen;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (is_float(inputs[i])) {
      wanted.push_back(i);
      chosen.push_back(inputs[i]);
    }
  }
  const Function restricted = [&](const Arrays& given) {
    auto all = inputs;
    for (size_t i = 0; i < wanted.size(); ++i) {
      all[wanted[i]] = given[i];
    }
    return f(all);
  };
  return mx::vjp(restricted, chosen, cotangents).second;
}

/// Values and the gradients of every float input of `ours` in each float type
/// against those of `native`, a function of MLX operations, in float64 of the
/// same inputs. All outputs are floats.
inline void expect_values_and_gradients(
    const Function& ours,
    const Function& native,
    const Arrays& inputs,
    measure::OpClass kind = measure::OpClass::row,
    const std::vector<mx::Dtype>& types =
        {mx::float32, mx::float16, mx::bfloat16, mx::float64}) {
  for (auto type : types) {
    const auto given = in_type(inputs, type);
    const auto wide = in_type(given, mx::float64);
    const auto got = ours(given), want = native(wide);
    ASSERT_EQ(got.size(), want.size());
    Arrays cotangents;
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(got[i].dtype(), type);
      expect_within(got[i], want[i], kind, "output");
      cotangents.push_back(mx::astype(normal(got[i].shape(), 99 + i), type));
    }
    const auto our_gradients = gradients(ours, given, cotangents);
    const auto their_gradients =
        gradients(native, wide, in_type(cotangents, mx::float64));
    for (size_t i = 0; i < our_gradients.size(); ++i) {
      ASSERT_EQ(our_gradients[i].dtype(), type);
      expect_within(
          our_gradients[i],
          their_gradients[i],
          measure::OpClass::row,
          "gradient " + std::to_string(i));
    }
  }
}

/// How often the kernel's gradient went through the reference.
inline int64_t gradient_fallbacks(const std::string& kernel) {
  int64_t count = 0;
  for (const auto& fallback : op::fallbacks()) {
    if (fallback.kernel == kernel &&
        fallback.reason.starts_with("its gradient")) {
      count += fallback.count;
    }
  }
  return count;
}

} // namespace zmlx::kernels::test
