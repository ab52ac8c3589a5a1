#include "zmlx/kernels/cases.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace zmlx::kernels {

namespace {

lang::Case same_shape(int inputs, const lang::Shape& shape) {
  return {
      fmt::format("({})", fmt::join(shape, ", ")),
      std::vector<lang::Shape>(inputs, shape)};
}

} // namespace

std::vector<lang::Case> map_cases(int inputs, int scalars) {
  std::vector<lang::Case> cases;
  for (const lang::Shape& shape : std::vector<lang::Shape>{
           {}, {0}, {3, 0}, {1}, {7}, {31, 37}, {2, 3, 5, 16}, {61, 1031}}) {
    cases.push_back(same_shape(inputs, shape));
  }
  if (inputs >= 2) {
    auto c = same_shape(inputs, {5, 1, 19});
    c.shapes[1] = {3, 1};
    c.name = "(5, 1, 19) with (3, 1)";
    cases.push_back(c);
    c = same_shape(inputs, {33, 64});
    c.shapes[1] = {64};
    c.name = "(33, 64) with (64)";
    cases.push_back(c);
    c.shapes[0] = {};
    c.name = "() with (64)";
    cases.push_back(c);
  }
  for (auto& c : cases) {
    c.shapes.insert(c.shapes.end(), scalars, lang::Shape{});
  }
  return cases;
}

std::vector<lang::Case> row_cases(int rows, int weights, int scalars) {
  std::vector<lang::Case> cases;
  for (const lang::Shape& shape : std::vector<lang::Shape>{
           {0, 5},
           {4, 0},
           {1, 1},
           {7},
           {3, 31},
           {2, 3, 64},
           {4, 1, 257},
           {5, 4099}}) {
    auto c = same_shape(rows, shape);
    c.shapes.insert(c.shapes.end(), weights, lang::Shape{shape.back()});
    c.shapes.insert(c.shapes.end(), scalars, lang::Shape{});
    cases.push_back(std::move(c));
  }
  return cases;
}

std::vector<lang::Case> scan_cases() {
  std::vector<lang::Case> cases;
  for (int reverse : {0, 1}) {
    for (int exclusive : {0, 1}) {
      for (lang::Case c : row_cases(1)) {
        c.attributes = {
            {"reverse", double(reverse)}, {"exclusive", double(exclusive)}};
        c.name += reverse != 0 ? ", reverse" : "";
        c.name += exclusive != 0 ? ", exclusive" : "";
        cases.push_back(std::move(c));
      }
    }
  }
  return cases;
}

std::vector<lang::Case> with_attributes(
    std::vector<lang::Case> cases,
    std::vector<lang::Case> more,
    const lang::Attributes& attributes) {
  for (auto& c : more) {
    for (const auto& [name, value] : attributes) {
      c.name += fmt::format(", {} {}", name, value);
    }
    c.attributes = attributes;
    cases.push_back(std::move(c));
  }
  return cases;
}

std::vector<lang::Case> halves_cases(int weights) {
  std::vector<lang::Case> cases;
  for (const lang::Shape& shape : std::vector<lang::Shape>{
           {0, 10}, {4, 0}, {1, 2}, {14}, {3, 62}, {2, 3, 128}, {5, 4098}}) {
    auto c = same_shape(1, shape);
    c.shapes.insert(c.shapes.end(), weights, lang::Shape{shape.back()});
    cases.push_back(std::move(c));
  }
  return cases;
}

lang::Fill packed_words() {
  return {lang::Type::U32, 0, 4294967295.0};
}

} // namespace zmlx::kernels
