#include "tests/conformance/inputs.h"

#include <cmath>
#include <random>

#include "zmlx/op/convert.h"

namespace zmlx::conformance {

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

// An array of `shape` in the layout, or a dense one where it has too few axes.
mx::array laid_out(
    const mx::Shape& shape,
    Layout layout,
    const lang::Fill& fill,
    mx::Dtype type,
    std::mt19937_64& random) {
  const int last = static_cast<int>(shape.size()) - 1;
  mx::Shape longer = shape;
  mx::Shape start(shape.size(), 0), stop = shape, step(shape.size(), 1);
  if (last < 0) {
    return dense(shape, fill, type, random);
  }
  switch (layout) {
    case Layout::dense:
      break;
    case Layout::strided:
      longer[last] = 2 * shape[last] + 1;
      start[last] = 1;
      stop[last] = longer[last];
      step[last] = 2;
      return mx::slice(dense(longer, fill, type, random), start, stop, step);
    case Layout::transposed:
      if (last == 0) {
        break;
      }
      std::swap(longer[last], longer[last - 1]);
      return mx::swapaxes(dense(longer, fill, type, random), -1, -2);
    case Layout::offset:
      longer[0] += 3;
      start[0] = 3;
      stop[0] += 3;
      return mx::slice(dense(longer, fill, type, random), start, stop, step);
    case Layout::reversed:
      if (shape[last] == 0) {
        break;
      }
      start[last] = shape[last] - 1;
      stop[last] = -shape[last] - 1;
      step[last] = -1;
      return mx::slice(dense(shape, fill, type, random), start, stop, step);
    case Layout::broadcast:
      if (shape[0] == 0) {
        break;
      }
      longer[0] = 1;
      return mx::broadcast_to(dense(longer, fill, type, random), shape);
  }
  return dense(shape, fill, type, random);
}

} // namespace

std::vector<mx::array> inputs_of(
    const lang::Define& kernel,
    const lang::Case& c,
    mx::Dtype type,
    Layout layout) {
  std::mt19937_64 random(20240229);
  std::vector<mx::array> inputs;
  for (size_t i = 0; i < c.shapes.size(); ++i) {
    const auto& name = kernel.body().inputs.at(i).name;
    lang::Fill fill;
    if (auto it = kernel.fills().find(name); it != kernel.fills().end()) {
      fill = it->second;
    }
    if (auto it = c.fills.find(name); it != c.fills.end()) {
      fill = it->second;
    }
    inputs.push_back(laid_out(
        op::to_mlx(c.shapes[i]),
        layout,
        fill,
        fill.type ? op::to_mlx(*fill.type) : type,
        random));
  }
  mx::eval(inputs);
  return inputs;
}

} // namespace zmlx::conformance
