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

} // namespace zmlx::kernels
