#include "zmlx/kernels/recurrent.h"

namespace zmlx::kernels {

std::vector<lang::Case> recurrent_cases() {
  auto cases = row_cases(2, 1, 2);
  for (auto& c : cases) {
    std::swap(c.shapes[1], c.shapes[2]); // the weight comes second
  }
  return cases;
}

} // namespace zmlx::kernels
