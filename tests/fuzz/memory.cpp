#include "tests/fuzz/memory.h"

#include <algorithm>
#include <numeric>

namespace zmlx::fuzz {
namespace {

struct Axis {
  int length; // of the memory
  int start;
  int stop;
  int step;
};

Axis axis_of(Chance& chance, int length) {
  const int before = chance.below(3), behind = chance.below(3);
  switch (length == 0 ? 0 : chance.below(4)) {
    case 0:
      return {length + before + behind, before, before + length, 1};
    case 1: {
      const int end = before + 2 * length - 1;
      return {end + behind, before, end, 2};
    }
    case 2: {
      // From the last one down; a stop before the first is counted from the
      // end, as in Python.
      const int full = before + length + behind;
      return {full, before + length - 1, before - 1 - full, -1};
    }
    default:
      return {length, 0, length, 1};
  }
}

} // namespace

mx::array somewhere(
    Chance& chance,
    const mx::Shape& shape,
    const std::function<mx::array(const mx::Shape&)>& dense) {
  const auto axes = shape.size();
  std::vector<int> order(axes);
  std::iota(order.begin(), order.end(), 0);
  if (axes > 1 && chance.one_in(2)) {
    std::swap(order[axes - 1], order[chance.below(static_cast<int>(axes) - 1)]);
  }
  const bool repeated = axes > 0 && shape[0] > 0 && chance.one_in(4);
  mx::Shape memory(axes), start(axes), stop(axes), step(axes);
  for (size_t i = 0; i < axes; ++i) {
    const int length = repeated && order[i] == 0 ? 1 : shape[order[i]];
    const Axis axis = axis_of(chance, length);
    memory[i] = axis.length;
    start[i] = axis.start;
    stop[i] = axis.stop;
    step[i] = axis.step;
  }
  const auto view = mx::slice(dense(memory), start, stop, step);
  // The order is its own inverse: a swap.
  return mx::broadcast_to(mx::transpose(view, order), shape);
}

} // namespace zmlx::fuzz
