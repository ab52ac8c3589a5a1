#include "tests/op/finite_differences.h"

#include <cmath>

#include "tests/op/support.h"
#include "zmlx/lang/derive.h"
#include "zmlx/op/reference.h"

namespace zmlx::op::test {

namespace {

using Arrays = std::vector<mx::array>;

mx::array doubles(const std::vector<double>& v, const mx::Shape& shape) {
  return mx::array(v.data(), shape, mx::float64);
}

struct Inner {
  double sum = 0; // of cotangent times output
  double size = 0; // of the terms
};

Inner inner(
    const lang::Body& body,
    const Arrays& inputs,
    const std::vector<std::vector<double>>& cotangents) {
  Inner result;
  const auto outputs = reference(body, inputs, Precision::Double);
  for (size_t i = 0; i < outputs.size(); ++i) {
    const auto y = values(outputs[i]);
    for (size_t k = 0; k < y.size(); ++k) {
      result.sum += cotangents[i][k] * y[k];
      result.size += std::abs(cotangents[i][k] * y[k]);
    }
  }
  return result;
}

std::vector<int> floats_of(const Arrays& inputs) {
  std::vector<int> result;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].dtype() == mx::float64) {
      result.push_back(static_cast<int>(i));
    }
  }
  return result;
}

Arrays cotangents_of(const lang::Body& body, const Arrays& inputs) {
  Arrays result;
  for (const auto& output : reference(body, inputs, Precision::Double)) {
    result.push_back(
        spread(output.shape(), -1, 1, static_cast<int>(7 + result.size())));
  }
  return result;
}

Arrays joined(Arrays a, const Arrays& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

} // namespace

mx::array spread(const mx::Shape& shape, double low, double high, int number) {
  size_t size = 1;
  for (int length : shape) {
    size *= static_cast<size_t>(length);
  }
  std::vector<double> v(size);
  for (size_t i = 0; i < size; ++i) {
    const double at = 0.6180339887 * static_cast<double>(i + 1) + 0.37 * number;
    v[i] = low + (high - low) * (at - std::floor(at));
  }
  return doubles(v, shape);
}

Differences differences(
    const lang::Body& body,
    const Arrays& inputs,
    const Arrays& cotangents,
    int input) {
  constexpr double kStep = 0x1p-13;
  std::vector<std::vector<double>> c;
  for (const auto& cotangent : cotangents) {
    c.push_back(values(cotangent));
  }
  const auto x = values(inputs[input]);
  Differences result;
  for (size_t i = 0; i < x.size(); ++i) {
    double size = 0;
    const auto slope = [&](double step) {
      double ends[2];
      for (int side : {0, 1}) {
        auto moved = x;
        moved[i] += side == 0 ? -step : step;
        auto all = inputs;
        all[input] = doubles(moved, inputs[input].shape());
        const Inner at = inner(body, all, c);
        ends[side] = at.sum;
        size = std::max(size, at.size);
      }
      return (ends[1] - ends[0]) / (2 * step);
    };
    const double wide = slope(kStep), narrow = slope(kStep / 2);
    result.values.push_back(narrow + (narrow - wide) / 3);
    result.errors.push_back(
        std::abs(narrow - wide) + 0x1p-44 * (size + 1) / kStep);
  }
  return result;
}

void expect_gradients(const lang::Body& body, const Arrays& inputs) {
  std::string why;
  const auto wanted = floats_of(inputs);
  const auto gradient = lang::derive(body, wanted, &why);
  ASSERT_TRUE(gradient.has_value()) << why;
  const auto cotangents = cotangents_of(body, inputs);
  const auto got =
      reference(*gradient, joined(inputs, cotangents), Precision::Double);
  for (size_t k = 0; k < wanted.size(); ++k) {
    SCOPED_TRACE(gradient->outputs[k].name);
    ASSERT_EQ(got[k].shape(), inputs[wanted[k]].shape());
    const auto want = differences(body, inputs, cotangents, wanted[k]);
    const auto g = values(got[k]);
    for (size_t i = 0; i < g.size(); ++i) {
      ASSERT_LE(std::abs(g[i] - want.values[i]), want.errors[i])
          << "at " << i << ": got " << g[i] << ", differences "
          << want.values[i];
      ASSERT_LE(want.errors[i], 1e-4 * (1 + std::abs(want.values[i])))
          << "the differences say too little";
    }
  }
}

void expect_second_gradients(const lang::Body& body, const Arrays& inputs) {
  std::string why;
  const auto gradient = lang::derive(body, floats_of(inputs), &why);
  ASSERT_TRUE(gradient.has_value()) << why;
  expect_gradients(*gradient, joined(inputs, cotangents_of(body, inputs)));
}

} // namespace zmlx::op::test
