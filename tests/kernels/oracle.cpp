#include "tests/kernels/oracle.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tests/op/support.h"
#include "zmlx/op/convert.h"

namespace zmlx::kernels::test {

namespace {

using Function = std::function<Arrays(const Arrays&)>;

mx::array drawn(
    const mx::Shape& shape,
    const lang::Fill& fill,
    mx::Dtype type,
    std::mt19937_64& random) {
  size_t size = 1;
  for (int n : shape) {
    size *= n;
  }
  std::uniform_real_distribution<double> draw(fill.low, fill.high);
  std::vector<float> numbers(size);
  for (auto& n : numbers) {
    const double value = draw(random);
    n = static_cast<float>(
        mx::issubdtype(type, mx::floating) ? value : std::round(value));
  }
  return mx::astype(mx::array(numbers.data(), shape), type);
}

bool is_float(const mx::array& a) {
  return mx::issubdtype(a.dtype(), mx::floating);
}

// f of the float inputs alone.
Function of_floats(const Function& f, const Arrays& all) {
  return [f, all](const Arrays& floats) {
    auto inputs = all;
    size_t next = 0;
    for (auto& a : inputs) {
      if (is_float(a)) {
        a = floats[next++];
      }
    }
    return f(inputs);
  };
}

Arrays floats_of(const Arrays& all) {
  Arrays floats;
  for (const auto& a : all) {
    if (is_float(a)) {
      floats.push_back(a);
    }
  }
  return floats;
}

void expect_results(
    const Arrays& got,
    const Arrays& want,
    measure::OpClass kind) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    const auto result = measure::compare(got[i], want[i], kind);
    ASSERT_TRUE(result.ok()) << "result " << i << ": " << result.to_string();
  }
}

// A gradient is a sum of products whose terms, of the size of cotangents,
// cancel.
void expect_gradients(
    const Arrays& got,
    const Arrays& want,
    const Arrays& cotangents) {
  ASSERT_EQ(got.size(), want.size());
  double size = 0;
  for (const auto& c : cotangents) {
    size = std::max(size, largest(c));
  }
  for (size_t i = 0; i < got.size(); ++i) {
    const auto result = measure::compare(
        got[i],
        want[i],
        measure::OpClass::product,
        std::max(size, largest(want[i])));
    ASSERT_TRUE(result.ok())
        << "gradient of float input " << i << ": " << result.to_string();
  }
}

void expect_case(const Checked& checked, const lang::Case& c, mx::Dtype type) {
  const auto defined = checked.kernel->define(c.attributes);
  const auto ours = checked.kernel->with(c.attributes);
  const auto inputs = inputs_of(defined, c, type);
  const auto wide = in_float64(inputs);
  const Function f = [&](const Arrays& in) {
    return ours.all({in.begin(), in.end()});
  };
  const Function oracle = [&](const Arrays& in) {
    auto results = checked.oracle
        ? checked.oracle(in, defined.attributes(), type)
        : checked.kernel->mlx()(in, defined.attributes());
    for (auto& a : results) {
      a = mx::astype(a, mx::float64);
    }
    return results;
  };
  const auto values = f(inputs);
  expect_results(values, oracle(wide), checked.values);
  Arrays cotangents;
  std::mt19937_64 random(7);
  for (const auto& a : values) {
    cotangents.push_back(drawn(a.shape(), {}, a.dtype(), random));
  }
  const auto got =
      mx::vjp(of_floats(f, inputs), floats_of(inputs), cotangents).second;
  const auto want =
      mx::vjp(of_floats(oracle, wide), floats_of(wide), in_float64(cotangents))
          .second;
  expect_gradients(got, want, cotangents);
}

} // namespace

double largest(const mx::array& a) {
  return mx::max(mx::abs(mx::astype(a, mx::float32))).item<float>();
}

bool is_empty(const lang::Case& c) {
  return std::any_of(c.shapes.begin(), c.shapes.end(), [](const auto& shape) {
    return std::find(shape.begin(), shape.end(), 0) != shape.end();
  });
}

Arrays
inputs_of(const lang::Define& kernel, const lang::Case& c, mx::Dtype type) {
  std::mt19937_64 random(20240229);
  Arrays inputs;
  for (size_t i = 0; i < c.shapes.size(); ++i) {
    const auto& name = kernel.body().inputs.at(i).name;
    lang::Fill fill;
    if (auto it = kernel.fills().find(name); it != kernel.fills().end()) {
      fill = it->second;
    }
    if (auto it = c.fills.find(name); it != c.fills.end()) {
      fill = it->second;
    }
    inputs.push_back(drawn(
        op::to_mlx(c.shapes[i]),
        fill,
        fill.type ? op::to_mlx(*fill.type) : type,
        random));
  }
  return inputs;
}

Arrays in_float64(const Arrays& arrays) {
  Arrays wide;
  for (const auto& a : arrays) {
    wide.push_back(is_float(a) ? mx::astype(a, mx::float64) : a);
  }
  mx::eval(wide);
  return wide;
}

void expect_equals_oracle(const Checked& checked) {
  const auto defined = checked.kernel->define();
  for (const auto& c : defined.listed_cases()) {
    for (auto type : checked.types) {
      SCOPED_TRACE(
          checked.kernel->name() + ", " + c.name + ", " +
          std::string(lang::name_of(op::to_lang(type))));
      if (!is_empty(c)) {
        expect_case(checked, c, type);
      }
    }
  }
  for (const auto& fallback : op::fallbacks()) {
    EXPECT_FALSE(
        fallback.kernel == checked.kernel->name() &&
        fallback.reason.starts_with("its gradient"))
        << fallback.reason;
  }
}

} // namespace zmlx::kernels::test
