#pragma once

#include <functional>
#include <string>
#include <vector>

#include "zmlx/backend/backend.h"
#include "zmlx/lang/program.h"

/// Programs of the catalogue with arrays that have an address and no memory.
namespace zmlx::cuda_text {

struct Listed {
  std::string name; // "swiglu2, bfloat16, transposed"
  lang::Program program;
  std::vector<backend::View> inputs, outputs;
};

/// Calls visit for every kernel of the catalogue and its gradient, in float32,
/// float16 and bfloat16, in its largest case and these layouts: "dense",
/// "transposed", "offset" (no vectors), "broadcast".
void for_each_listed(
    const std::vector<std::string>& layouts,
    const std::function<void(const Listed&)>& visit);

} // namespace zmlx::cuda_text
