#include "zmlx/lab/case_inputs.h"

#include <cmath>
#include <random>

#include "zmlx/op/convert.h"

namespace zmlx::lab {

std::string name_of(Layout layout) {
  switch (layout) {
    case Layout::dense:
      return "dense";
    case Layout::strided:
      return "strided";
    case Layout::transposed:
      return "transposed";
    case Layout::offset:
      return "offset";
    case Layout::reversed:
      return "reversed";
    case Layout::broadcast:
      return "broadcast";
  }
  return "";
}

namespace {

mx::array dense(
    const mx::Shape& shape,
    const lang::Fill& fill,
    mx::Dtype type,
    std::mt19937_64& random) {
  size_t size = 1;
  for (int n : shape) {
    size *= n;
  }
  std::uniform_real_distribution<double> draw(fill.low, fill.high);
  if (mx::issubdtype(type, mx::floating)) {
    std::vector<float> values(size);
    for (auto& v : values) {
      v = static_cast<float>(draw(random));
    }
    return mx::astype(mx::array(values.data(), shape), type);
  }
  std::vector<int64_t> values(size);
  for (auto& v : values) {
    v = std::llround(draw(random));
  }
  return mx::astype(mx::array(values.data(), shape), type);
}

} // namespace

mx::array
laid_out(const mx::Shape& shape, Layout layout, const MakeDense& dense) {
  const int last = static_cast<int>(shape.size()) - 1;
  mx::Shape longer = shape;
  mx::Shape start(shape.size(), 0), stop = shape, step(shape.size(), 1);
  if (last < 0) {
    return dense(shape);
  }
  switch (layout) {
    case Layout::dense:
      break;
    case Layout::strided:
      longer[last] = 2 * shape[last] + 1;
      start[last] = 1;
      stop[last] = longer[last];
      step[last] = 2;
      return mx::slice(dense(longer), start, stop, step);
    case Layout::transposed:
      if (last == 0) {
        break;
      }
      std::swap(longer[last], longer[last - 1]);
      return mx::swapaxes(dense(longer), -1, -2);
    case Layout::offset:
      longer[0] += 3;
      start[0] = 3;
      stop[0] += 3;
      return mx::slice(dense(longer), start, stop, step);
    case Layout::reversed:
      if (shape[last] == 0) {
        break;
      }
      start[last] = shape[last] - 1;
      stop[last] = -shape[last] - 1;
      step[last] = -1;
      return mx::slice(dense(shape), start, stop, step);
    case Layout::broadcast:
      if (shape[0] == 0) {
        break;
      }
      longer[0] = 1;
      return mx::broadcast_to(dense(longer), shape);
  }
  return dense(shape);
}

lang::Fill
fill_of(const lang::Define& kernel, const lang::Case& c, size_t input) {
  const auto& name = kernel.body().inputs.at(input).name;
  if (auto it = c.fills.find(name); it != c.fills.end()) {
    return it->second;
  }
  auto it = kernel.fills().find(name);
  return it != kernel.fills().end() ? it->second : lang::Fill{};
}

std::vector<mx::array> inputs_of(
    const lang::Define& kernel,
    const lang::Case& c,
    mx::Dtype type,
    Layout layout) {
  std::mt19937_64 random(20240229);
  std::vector<mx::array> inputs;
  for (size_t i = 0; i < c.shapes.size(); ++i) {
    const auto fill = fill_of(kernel, c, i);
    const auto stored = fill.type ? op::to_mlx(*fill.type) : type;
    inputs.push_back(
        laid_out(op::to_mlx(c.shapes[i]), layout, [&](const mx::Shape& shape) {
          return dense(shape, fill, stored, random);
        }));
  }
  mx::eval(inputs);
  return inputs;
}

std::vector<mx::array> random_arrays(
    const std::vector<mx::Shape>& shapes,
    const std::vector<mx::Dtype>& types,
    Layout layout,
    uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<mx::array> arrays;
  for (size_t i = 0; i < shapes.size(); ++i) {
    arrays.push_back(laid_out(shapes[i], layout, [&](const mx::Shape& shape) {
      return dense(shape, {{}, -1, 1}, types[i], random);
    }));
  }
  mx::eval(arrays);
  return arrays;
}

bool is_float_input(
    const lang::Define& kernel,
    const lang::Case& c,
    size_t input) {
  const auto type = fill_of(kernel, c, input).type;
  return !type || lang::is_float(*type);
}

std::vector<int> float_inputs(const lang::Define& kernel, const lang::Case& c) {
  std::vector<int> wanted;
  for (size_t i = 0; i < c.shapes.size(); ++i) {
    if (is_float_input(kernel, c, i)) {
      wanted.push_back(static_cast<int>(i));
    }
  }
  return wanted;
}

} // namespace zmlx::lab
