// Rows that are one loop and nothing else: machine code goes from row to row
// itself, as far as all memories go on by equal distances.
#include <algorithm>
#include <limits>

#include "zmlx/backend/cpu/running.h"

namespace zmlx::backend::cpu {

void BoundPasses::choose_row_loop() {
  if (passes_.size() != 1 || rows_ < 2 || width_ < 1) {
    return;
  }
  const PassPlan& pass = passes_[0];
  const LoopPlan* loop = only_loop(pass);
  const auto stays = [](const Pointer& pointer) {
    return pointer.from != Pointer::From::Row &&
        pointer.from != Pointer::From::Sum &&
        pointer.from != Pointer::From::Partial;
  };
  const auto each_row = [](const StorePlan& store) { return store.each_row; };
  const bool all = loop && pass.block.size() == 1 && pass.reductions.empty() &&
      pass.adds.empty() && pass.once.size() == pass.shared &&
      pass.block_length >= width_ && !pass.backwards &&
      std::ranges::none_of(pass.stores, each_row) &&
      std::ranges::all_of(loop->pointers, stays);
  if (all) {
    row_loop_ = static_cast<int>(loop - loops_.data());
  }
}

// For how many rows the memory goes on by equal distances, and that distance in
// bytes.
MergedAxes::Stretch BoundPasses::stretch_of(
    const Pointer& pointer,
    const Running& now) const noexcept {
  const bool picked = pointer.from == Pointer::From::Picked;
  if (!picked && pointer.from != Pointer::From::Access) {
    return {std::numeric_limits<int64_t>::max(), 0}; // the same for all rows
  }
  const Access& access = accesses_[static_cast<size_t>(pointer.number)];
  auto stretch =
      picked ? access.stretch(now.row, 1) : access.stretch(now.place, width_);
  stretch.stride *= access.size();
  return stretch;
}

void BoundPasses::run_row_loop(int64_t first, int64_t end, Running& now)
    const noexcept {
  const LoopPlan& loop = loops_[static_cast<size_t>(row_loop_)];
  void* memories[kMaxPointers];
  int64_t strides[kMaxPointers];
  for (int64_t row = first; row < end;) {
    now.row = row;
    begin_pass(passes_[0], now);
    int64_t rows = end - row;
    for (size_t k = 0; k < loop.pointers.size(); ++k) {
      memories[k] = pointer_of(loop.pointers[k], nullptr, now);
      const auto stretch = stretch_of(loop.pointers[k], now);
      strides[k] = stretch.stride;
      rows = std::min(rows, stretch.count);
    }
    loop.code->run_rows(memories, width_, rows, strides);
    row += rows;
  }
}

} // namespace zmlx::backend::cpu
