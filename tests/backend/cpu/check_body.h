#pragma once

#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/backend/cpu/oracle.h"
#include "zmlx/backend/cpu/cpu.h"
#include "zmlx/backend/cpu/pool.h"
#include "zmlx/lang/lower.h"

namespace zmlx::backend::cpu {

inline Expr in(int number) {
  return lang::input(number);
}

/// What each output of a body should hold, in float64.
class BodyOracle {
 public:
  BodyOracle(
      const lang::Body& body,
      const std::vector<Array>& inputs,
      Shape space,
      std::vector<Role> roles)
      : body_(body),
        inputs_(inputs),
        space_(space),
        oracle_(inputs, std::move(space), std::move(roles)) {}

  std::vector<double> output(size_t number, const Shape& shape) const {
    const lang::Output& output = body_.outputs[number];
    const int64_t width = space_.empty() ? 1 : space_.back();
    const bool short_one = lang::one_per_row(body_)[number];
    std::vector<double> result(static_cast<size_t>(count(shape)));
    for (int64_t place = 0; place < count(space_); ++place) {
      if (short_one && place % width != 0) {
        continue;
      }
      const double value = oracle_.at(output.value, place);
      if (output.into) {
        const auto row =
            static_cast<int64_t>(oracle_.at(output.into->row, place));
        const int64_t own = shape.back();
        if (row >= 0 && row < count(shape) / own) {
          result[row * own + (own == 1 ? 0 : place % width)] += value;
        }
      } else {
        result[element(output, shape, short_one, place)] += value;
      }
    }
    return result;
  }

 private:
  int64_t element(
      const lang::Output& output,
      Shape shape,
      bool short_one,
      int64_t place) const {
    const bool each_row = output.sum_like >= 0 &&
        body_.inputs[output.sum_like].role == Role::EachRow;
    if (each_row || (short_one && output.sum_like < 0)) {
      shape.push_back(1);
    }
    return element_at(shape, space_, place);
  }

  const lang::Body& body_;
  const std::vector<Array>& inputs_;
  Shape space_;
  Oracle oracle_;
};

/// Runs a body for 1, 2, 3 and 7 parts and on threads: the same bits each time,
/// and what the oracle says. `inputs` hold their values; `space` is that of the
/// places. `scale`: what sums of many terms are measured by.
inline void check_body(
    const lang::Body& body,
    const std::vector<Array>& inputs,
    const Shape& space,
    Layout layout = Layout::Plain,
    double scale = 1) {
  std::vector<Type> types;
  std::vector<Shape> shapes;
  std::vector<Role> roles;
  std::vector<View> views;
  for (size_t i = 0; i < inputs.size(); ++i) {
    types.push_back(inputs[i].type);
    shapes.push_back(inputs[i].shape);
    roles.push_back(body.inputs[i].role);
    views.push_back(inputs[i].view);
  }
  std::string why;
  const auto program = lang::lower(body, types, &why);
  ASSERT_TRUE(program) << why;
  ASSERT_EQ(instance().unsupported(*program), std::nullopt);
  const auto out_shapes = lang::infer_shapes(body, shapes);
  const auto out_types = lang::infer_types(body, types);
  const auto executable = compile(*program);
  std::vector<Array> outputs;
  for (size_t i = 0; i < out_shapes.size(); ++i) {
    outputs.emplace_back(out_types[i], out_shapes[i], layout);
  }
  std::vector<std::vector<unsigned char>> first(outputs.size());
  Pool pool(3);
  for (int parts : {1, 2, 3, 7, 0}) {
    std::vector<View> out_views;
    for (Array& out : outputs) {
      std::fill(out.memory.begin(), out.memory.end(), 0xEE);
      out_views.push_back(out.view);
    }
    const auto launch = executable->bind(views, out_views);
    for (int again = 0; again < 2; ++again) {
      if (parts == 0) {
        pool.run([&](int part, int all) { launch->run(part, all); });
      }
      for (int part = parts; part-- > 0;) {
        launch->run(part, parts);
      }
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (first[i].empty()) {
        first[i] = outputs[i].memory;
      }
      ASSERT_EQ(outputs[i].memory, first[i])
          << "output " << i << ", " << parts << " parts";
    }
  }
  const BodyOracle oracle(body, inputs, space, roles);
  for (size_t i = 0; i < outputs.size(); ++i) {
    const auto want = oracle.output(i, out_shapes[i]);
    for (size_t e = 0; e < want.size(); ++e) {
      const double got = outputs[i].read(static_cast<int64_t>(e));
      const double allowed =
          tolerance(out_types[i]) * (scale + std::abs(want[e]));
      ASSERT_NEAR(got, want[e], allowed) << "output " << i << " at " << e;
    }
  }
}

inline Array
filled(Type type, Shape shape, unsigned seed, Layout layout = Layout::Plain) {
  Array array(type, std::move(shape), layout);
  array.fill(seed);
  return array;
}

inline Array
with_values(Type type, Shape shape, const std::vector<double>& values) {
  Array array(type, std::move(shape), Layout::Plain);
  for (size_t i = 0; i < values.size(); ++i) {
    array.write(static_cast<int64_t>(i), values[i]);
  }
  return array;
}

} // namespace zmlx::backend::cpu
