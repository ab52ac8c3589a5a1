#include "zmlx/lab/bench_case.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "zmlx/base/errors.h"
#include "zmlx/lang/space.h"

namespace zmlx::lab {

namespace {

using Shapes = std::vector<lang::Shape>;

constexpr int64_t kRow = 4096;

int64_t elements_of(const Shapes& shapes) {
  int64_t n = 0;
  for (const auto& shape : shapes) {
    n += lang::count(shape);
  }
  return n;
}

// Of inputs and outputs; nothing where the kernel does not take the inputs.
std::optional<int64_t> total(const lang::Body& body, const Shapes& inputs) {
  try {
    return elements_of(inputs) + elements_of(lang::infer_shapes(body, inputs));
  } catch (const UserError&) {
    return {};
  }
}

lang::Case base_case(const lang::Kernel& kernel) {
  const auto defined = kernel.define();
  const auto& listed = defined.listed_cases();
  if (listed.empty()) {
    throw user_error("{}: it lists no case to time it on", kernel.name());
  }
  const auto marked = std::find_if(
      listed.begin(), listed.end(), [](const auto& c) { return c.bench; });
  if (marked != listed.end()) {
    return *marked;
  }
  return *std::max_element(
      listed.begin(), listed.end(), [](const auto& a, const auto& b) {
        return elements_of(a.shapes) < elements_of(b.shapes);
      });
}

// Rows as long as real ones, where no input has a last axis of its own.
void widen(const lang::Body& body, Shapes& shapes) {
  int64_t width = 0;
  size_t rank = 0;
  for (size_t i = 0; i < shapes.size(); ++i) {
    const auto role = body.inputs[i].role;
    if (!body.space.empty() || role == lang::Role::Row ||
        role == lang::Role::Table || role == lang::Role::Whole) {
      return;
    }
    if (role == lang::Role::Element && shapes[i].size() > rank) {
      rank = shapes[i].size();
      width = shapes[i].back();
    }
  }
  if (rank < 2 || width < 2) {
    return;
  }
  for (size_t i = 0; i < shapes.size(); ++i) {
    if (body.inputs[i].role == lang::Role::Element && !shapes[i].empty() &&
        shapes[i].back() == width) {
      shapes[i].back() = kRow;
    }
  }
}

// The leading axes of inputs that meet as the largest does ...
Shapes with_leading_axes(
    const lang::Body& body,
    Shapes shapes,
    const lang::Shape& largest,
    int64_t factor) {
  for (size_t i = 0; i < shapes.size(); ++i) {
    const bool each_row = body.inputs[i].role == lang::Role::EachRow;
    if (!shapes[i].empty() &&
        shapes[i].size() + (each_row ? 1 : 0) == largest.size() &&
        shapes[i].front() == largest.front()) {
      shapes[i].front() *= factor;
    }
  }
  return shapes;
}

// ... and, where that does not fit, every axis of that length.
Shapes
with_all_axes(Shapes shapes, const lang::Shape& largest, int64_t factor) {
  const int64_t length = largest.front();
  for (auto& shape : shapes) {
    for (auto& axis : shape) {
      axis *= axis == length ? factor : 1;
    }
  }
  return shapes;
}

// The largest input; of the weights and caches, where there are some.
lang::Shape largest_of(const lang::Body& body, const Shapes& shapes) {
  lang::Shape largest;
  for (bool whole : {true, false}) {
    for (size_t i = 0; i < shapes.size(); ++i) {
      if ((body.inputs[i].role == lang::Role::Whole) == whole &&
          !shapes[i].empty() &&
          (largest.empty() || lang::count(shapes[i]) > lang::count(largest))) {
        largest = shapes[i];
      }
    }
    if (!largest.empty()) {
      break;
    }
  }
  return largest;
}

void lengthen(const lang::Body& body, Shapes& shapes, int64_t elements) {
  const auto now = total(body, shapes);
  const auto largest = largest_of(body, shapes);
  if (!now || largest.empty()) {
    return;
  }
  const int64_t factor = elements / std::max<int64_t>(*now, 1);
  if (factor < 2) {
    return;
  }
  for (const auto& longer :
       {with_leading_axes(body, shapes, largest, factor),
        with_all_axes(shapes, largest, factor)}) {
    if (const auto n = total(body, longer); n && *n <= 2 * elements) {
      shapes = longer;
      return;
    }
  }
}

} // namespace

lang::Case bench_case(const lang::Kernel& kernel, int64_t elements) {
  auto c = base_case(kernel);
  const auto body = kernel.body(c.attributes);
  if (!c.bench) {
    widen(body, c.shapes);
  }
  lengthen(body, c.shapes, elements);
  std::vector<std::string> shapes;
  for (const auto& shape : c.shapes) {
    if (!shape.empty()) {
      shapes.push_back(fmt::format("({})", fmt::join(shape, ", ")));
    }
  }
  c.name = fmt::format("{}", fmt::join(shapes, ", "));
  return c;
}

} // namespace zmlx::lab
