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

  const PassPlan* placed; // whose registers `where` has, shared ones made

  int64_t at; // the block's first place in the row
  int64_t place; // and in the space
  size_t n;
};

inline void* BoundPasses::pointer_of(
    const Pointer& pointer,
    Partial* partials,
    Running& now) const noexcept {
  const int64_t at = now.at - now.begin;
  const auto number = static_cast<size_t>(pointer.number);
  const void* found = nullptr;
  switch (pointer.from) {
    case Pointer::From::Register:
      found = now.where[pointer.reg];
      break;
    case Pointer::From::Access:
      return accesses_[number].at(now.place) + pointer.bytes;
    case Pointer::From::Picked:
      return accesses_[number].at(now.row);
    case Pointer::From::Windows:
      found = windows_[number].windows.data() + now.at / PickWindow::kLanes;
      break;
    case Pointer::From::Fixed:
      found = fixed_[number].data() + now.at * pointer.bytes;
      break;
    case Pointer::From::Row:
      return now.values.out + at;
    case Pointer::From::Sum: {
      const bool floats = !floats_.empty() && floats_[number];
      return static_cast<std::byte*>(now.values.sums[number]) +
          at * static_cast<int64_t>(floats ? sizeof(float) : sizeof(double));
    }
    case Pointer::From::Partial:
      return partials + number;
    case Pointer::From::Places:
      fill_index(now.places, now.at, kUniformLanes);
      return now.places;
  }
  return const_cast<void*>(found); // what a loop writes is its own
}

} // namespace zmlx::backend::cpu
