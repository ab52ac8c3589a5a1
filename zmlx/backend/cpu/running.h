#pragma once

#include <numeric>

#include "zmlx/backend/cpu/pass_builder.h"

namespace zmlx::backend::cpu {

/// What suffices for a row of every program within the limits.
struct alignas(64) BoundPasses::RowMemory {
  Uniform slots[kMaxSlots];
  Accumulator partial[kMaxReductions];
  const void* where[kMaxCode]; // by register
  uint64_t carries[kMaxCode];
  Uniform uniform[kMaxCode];
  alignas(64) std::byte vectors[kMaxCode * 8 * kMinBlock + kVectorBytes];
  alignas(64) std::byte kept[kKeptBytes];
};

/// A row that runs: its memory, and where in it the block is.
struct BoundPasses::Running {
  int64_t row;
  int64_t begin; // of the run
  int64_t end;
  RowValues values;

  int32_t places[kUniformLanes]; // of the row, from `at` on, where asked for
  RowMemory* memory;
  const void** where; // of that memory
  const PassPlan* placed =
      nullptr; // whose registers `where` has, shared ones made

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
      std::iota(now.places, std::end(now.places), static_cast<int32_t>(now.at));
      return now.places;
  }
  return const_cast<void*>(found); // what a loop writes is its own
}

} // namespace zmlx::backend::cpu
