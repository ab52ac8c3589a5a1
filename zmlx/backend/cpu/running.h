#pragma once

#include "zmlx/backend/cpu/passes.h"

namespace zmlx::backend::cpu {

/// kMaxStages times kRowMemory bytes, one of a thread, shared by all that it
/// runs, so that it stays in the caches.
std::byte* thread_memory();

/// A row that runs: its memory, and where in it the block is.
struct BoundPasses::Running {
  int64_t row;
  int64_t begin; // of the run
  int64_t end;
  RowValues values;

  int32_t places[kUniformLanes]; // of the row, from `at` on, where asked for
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
