#pragma once

#include <string>
#include <vector>

#include <mlx/mlx.h>

#include "zmlx/lang/kernel.h"

namespace zmlx::fuzz {

namespace mx = mlx::core;

/// A typed random program on arrays of its own.
struct Program {
  lang::Body body;
  std::vector<mx::array> inputs; // evaluated

  /// Its text, and an input a line.
  std::string to_string() const;
};

/// Program `number` of this seed, the same on every machine: element-wise
/// formulas over 1 to 4 inputs of mixed types and shapes that broadcast, row
/// programs, and programs of integers and bits.
Program draw(uint64_t seed, int number);

} // namespace zmlx::fuzz
