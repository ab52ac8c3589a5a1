#pragma once

#include "zmlx/backend/cpu/passes.h"

namespace zmlx::backend::cpu {

/// A row that runs: its memory, and where in it the block is.
struct BoundPasses::Running {
  int64_t row;
  int64_t begin; // of the run
  int64_t end;
  RowValues values;

  std::byte* slots;
  Accumulator* partial;
  uint64_t* carries;
  std::byte* uniform;
  const void** where;
  std::byte* vectors;
  std::byte* kept;

  int64_t at; // the block's first place in the row
  int64_t place; // and in the space
  size_t n;
};

} // namespace zmlx::backend::cpu
