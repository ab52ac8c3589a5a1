#include "zmlx/kernels/softmax.h"

namespace zmlx::kernels {

std::vector<lang::Case> masked_cases(int scalars) {
  auto cases = row_cases(2);
  for (const lang::Shape& mask : std::vector<lang::Shape>{
           {4, 33}, {2, 1, 4, 33}, {3, 1, 33}, {2, 3, 4, 1}}) {
    lang::Case c;
    c.name = "mask of " + std::to_string(mask.size()) + " axes";
    c.shapes = {{2, 3, 4, 33}, mask};
    cases.push_back(std::move(c));
  }
  for (auto& c : cases) {
    c.shapes.insert(c.shapes.end(), scalars, lang::Shape{});
  }
  return cases;
}

} // namespace zmlx::kernels
