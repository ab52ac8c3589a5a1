#include "zmlx/graph/view.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "zmlx/base/errors.h"

namespace zmlx::graph {

lang::Strides contiguous_strides(const lang::Shape& shape) {
  lang::Strides strides(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= shape[i];
  }
  return strides;
}

int64_t element_count(const lang::Shape& shape) {
  int64_t count = 1;
  for (auto d : shape) {
    count *= d;
  }
  return count;
}

View whole(const lang::Shape& shape) {
  return View{.shape = shape, .strides = contiguous_strides(shape)};
}

bool is_whole(const View& view, int64_t count) {
  if (view.offset != 0 || view.at.node >= 0 ||
      element_count(view.shape) != count) {
    return false;
  }
  auto expected = contiguous_strides(view.shape);
  for (size_t i = 0; i < view.shape.size(); i++) {
    if (view.shape[i] != 1 && view.strides[i] != expected[i]) {
      return false;
    }
  }
  return true;
}

std::vector<int> memory_order(const View& view) {
  std::vector<int> axes(view.shape.size());
  std::iota(axes.begin(), axes.end(), 0);
  const auto rank = [&](int axis) {
    return view.shape[axis] == 1 ? std::numeric_limits<int64_t>::max()
                                 : view.strides[axis];
  };
  std::stable_sort(axes.begin(), axes.end(), [&](int a, int b) {
    return rank(a) > rank(b);
  });
  return axes;
}

bool is_permuted_whole(const View& view, int64_t count) {
  return is_whole(transpose(view, memory_order(view)), count);
}

namespace {

struct Axis {
  int64_t size;
  int64_t stride;
};

// Axes of size 1 say nothing, and neighbours that step as one are one.
std::vector<Axis> collapsed(const View& view) {
  std::vector<Axis> axes;
  for (size_t i = 0; i < view.shape.size(); i++) {
    if (view.shape[i] == 1) {
      continue;
    }
    if (!axes.empty() &&
        axes.back().stride == view.strides[i] * view.shape[i]) {
      axes.back() = {axes.back().size * view.shape[i], view.strides[i]};
    } else {
      axes.push_back({view.shape[i], view.strides[i]});
    }
  }
  return axes;
}

} // namespace

std::optional<View> reshape(const View& view, const lang::Shape& shape) {
  if (element_count(view.shape) != element_count(shape)) {
    throw internal_error("reshape of a view changes its number of elements");
  }
  View result = view;
  result.shape = shape;
  if (element_count(shape) == 0) {
    result.strides = contiguous_strides(shape);
    return result;
  }
  result.strides.assign(shape.size(), 1);
  auto axes = collapsed(view);
  // Split the collapsed axes from the last: each new axis takes its part of
  // the innermost one that is not used up.
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 1) {
      continue;
    }
    if (axes.empty() || axes.back().size % shape[i] != 0) {
      return std::nullopt;
    }
    auto& axis = axes.back();
    result.strides[i] = axis.stride;
    axis.size /= shape[i];
    axis.stride *= shape[i];
    if (axis.size == 1) {
      axes.pop_back();
    }
  }
  return result;
}

View transpose(const View& view, const std::vector<int>& axes) {
  View result = view;
  for (size_t i = 0; i < axes.size(); i++) {
    result.shape[i] = view.shape[axes[i]];
    result.strides[i] = view.strides[axes[i]];
  }
  return result;
}

View broadcast_to(const View& view, const lang::Shape& shape) {
  if (view.shape.size() > shape.size()) {
    throw internal_error(
        "a view of {} axes does not broadcast to {}",
        view.shape.size(),
        shape.size());
  }
  View result = view;
  result.shape = shape;
  result.strides.assign(shape.size(), 0);
  size_t lead = shape.size() - view.shape.size();
  for (size_t i = 0; i < view.shape.size(); i++) {
    if (view.shape[i] == shape[lead + i]) {
      result.strides[lead + i] = view.strides[i];
    } else if (view.shape[i] != 1) {
      throw internal_error("a view of {} elements does not broadcast", i);
    }
  }
  return result;
}

View slice(
    const View& view,
    const lang::Shape& start,
    const lang::Shape& step,
    const lang::Shape& shape) {
  View result = view;
  for (size_t i = 0; i < shape.size(); i++) {
    result.offset += start[i] * view.strides[i];
    result.strides[i] = step[i] * view.strides[i];
    result.shape[i] = shape[i];
  }
  return result;
}

} // namespace zmlx::graph
