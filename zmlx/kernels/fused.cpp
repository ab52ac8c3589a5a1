#include "zmlx/kernels/fused.h"

#include <fmt/format.h>

namespace zmlx::kernels {

std::vector<lang::Case> linear_cases(int scalars) {
  struct Size {
    lang::Shape x;
    int64_t m;
  };
  std::vector<lang::Case> cases;
  for (const auto& [x, m] : std::vector<Size>{
           {{1, 1}, 1},
           {{1, 576}, 96},
           {{2, 3, 37}, 41},
           {{0, 8}, 4},
           {{17, 130}, 67}}) {
    lang::Case c;
    c.name = fmt::format("rows of {} -> {}", x.back(), m);
    c.shapes = {x, {m, x.back()}, {m}};
    c.shapes.insert(c.shapes.end(), scalars, lang::Shape{});
    c.fills["w"] = {{}, -0.2, 0.2};
    cases.push_back(std::move(c));
  }
  return cases;
}

std::vector<lang::Case> gather_cases() {
  std::vector<lang::Case> cases;
  for (const lang::Shape& shape : std::vector<lang::Shape>{
           {0, 5}, {3, 0}, {1, 1}, {19, 31}, {2, 3, 64}, {5, 1031}}) {
    lang::Case c;
    constexpr int kRows = 11;
    c.name = fmt::format("{} rows of {}", kRows, shape.back());
    c.shapes = {{kRows, shape.back()}, {shape.begin(), shape.end() - 1}, shape};
    c.fills["indices"] = {lang::Type::I32, 0, kRows - 1};
    cases.push_back(std::move(c));
  }
  return cases;
}

std::vector<lang::Case> scatter_cases() {
  auto cases = gather_cases();
  for (auto& c : cases) {
    c.attributes = {{"rows", static_cast<double>(c.shapes[0][0])}};
    c.shapes.erase(c.shapes.begin());
  }
  return cases;
}

} // namespace zmlx::kernels
