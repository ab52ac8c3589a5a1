#include "zmlx/backend/order.h"

#include <algorithm>

namespace zmlx::backend {

Effects effects_of(const lang::Program& program) {
  Effects effects{std::vector<Reads>(program.inputs.size(), Reads::InOrder)};
  for (const lang::Weight& weight : program.weights) {
    for (int part : lang::parts_of(weight)) {
      effects.inputs[part] = Reads::Early;
    }
  }
  if (program.stage == lang::Stage::Attention) {
    effects.inputs[program.attention.k] = Reads::EarlyButLastRow;
    effects.inputs[program.attention.v] = Reads::EarlyButLastRow;
  }
  return effects;
}

Extent extent_of(const View& view) {
  int64_t low = 0;
  int64_t high = 1;
  const auto reach = [&](int64_t count, int64_t stride) {
    const int64_t last = (count - 1) * stride;
    (last < 0 ? low : high) += last;
  };
  for (size_t i = 0; i < view.shape.size(); ++i) {
    if (view.shape[i] == 0) {
      return {view.data, view.data};
    }
    reach(view.shape[i], view.strides[i]);
  }
  if (view.at) {
    reach(view.places, view.at_stride);
  }
  const auto size = static_cast<int64_t>(lang::size_of(view.type));
  return {view.data + low * size, view.data + high * size};
}

namespace {

/// What one item touches.
struct Touched {
  std::vector<Extent> read, written;
  std::vector<bool> one_row; // of what is written: a row that `at` names

  explicit Touched(const SequenceItem& item) {
    for (const View& view : item.inputs) {
      read.push_back(extent_of(view));
      if (view.at) {
        read.push_back({view.at, view.at + sizeof(int32_t)});
      }
    }
    for (const View& view : item.outputs) {
      written.push_back(extent_of(view));
      one_row.push_back(static_cast<bool>(view.at));
      if (view.at) {
        read.push_back({view.at, view.at + sizeof(int32_t)});
      }
    }
  }

  bool writes(const Extent& extent) const {
    return std::ranges::any_of(
        written, [&](const Extent& e) { return e.overlaps(extent); });
  }

  /// Other than the one row that a step appends.
  bool writes_older_rows(const Extent& extent) const {
    for (size_t i = 0; i < written.size(); ++i) {
      if (!one_row[i] && written[i].overlaps(extent)) {
        return true;
      }
    }
    return false;
  }

  bool must_follow(const Touched& earlier) const {
    const auto written_there = [&](const Extent& e) {
      return earlier.writes(e);
    };
    return std::ranges::any_of(read, written_there) ||
        std::ranges::any_of(written, written_there) ||
        std::ranges::any_of(
               earlier.read, [&](const Extent& e) { return writes(e); });
  }
};

} // namespace

std::vector<Waits> waits_of(const std::vector<SequenceItem>& items) {
  std::vector<Touched> touched(items.begin(), items.end());
  std::vector<Waits> all(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    Waits& waits = all[i];
    for (size_t j = 0; j < i; ++j) {
      if (touched[i].must_follow(touched[j])) {
        waits.items.push_back(static_cast<int>(j));
      }
    }
    const auto& reads = items[i].executable->effects().inputs;
    for (size_t k = 0; k < items[i].inputs.size(); ++k) {
      const Extent extent = extent_of(items[i].inputs[k]);
      int last = reads[k] == Reads::InOrder ? -2 : -1;
      for (size_t j = 0; j < i && last > -2; ++j) {
        const bool writes = reads[k] == Reads::Early
            ? touched[j].writes(extent)
            : touched[j].writes_older_rows(extent);
        last = writes ? static_cast<int>(j) : last;
      }
      waits.early.push_back(last);
    }
  }
  return all;
}

} // namespace zmlx::backend
