#include "zmlx/backend/cuda/parts.h"

#include <algorithm>

#include "zmlx/backend/space.h"
#include "zmlx/backend/store_groups.h"

namespace zmlx::backend::cuda {
namespace {

using lang::Into;

/// Stores into outputs that have an element for each place are no sums.
void mark_places(lang::Program& program, const std::vector<bool>& sums) {
  for (auto& pass : program.row.passes) {
    for (auto& store : pass.stores) {
      if (store.into == Into::Sum && !sums[store.output]) {
        store.into = Into::Place;
      }
    }
  }
}

/// For each output that is a sum along the axes of the first one left, true;
/// those are then left no longer.
std::vector<bool> take_pattern(
    const lang::Program& program,
    std::span<const View> outputs,
    const lang::Shape& space,
    std::vector<bool>& left) {
  std::vector<bool> taken(outputs.size());
  std::vector<bool> pattern;
  bool found = false;
  for (const auto& pass : program.row.passes) {
    for (const auto& store : pass.stores) {
      if (!left[store.output]) {
        continue;
      }
      const auto axes =
          cfamily::summed_axes(outputs[store.output], store.one_per_row, space);
      if (!found || axes == pattern) {
        pattern = axes;
        found = true;
        taken[store.output] = true;
      }
    }
  }
  for (size_t i = 0; i < taken.size(); ++i) {
    left[i] = left[i] && !taken[i];
  }
  return taken;
}

void add_named(std::vector<Part>& parts, const lang::Program& program) {
  for (auto& group : row_sum_groups(program)) {
    int output = -1;
    for (const auto& pass : group.sums.row.passes) {
      for (const auto& store : pass.stores) {
        output = store.output;
      }
    }
    for (auto& pass : group.names.row.passes) {
      for (auto& store : pass.stores) {
        store.row = static_cast<uint16_t>(output); // for the fault
      }
    }
    group.names.stage = lang::Stage::Row;
    group.sums.stage = lang::Stage::Row;
    parts.push_back({std::move(group.names), cfamily::Sums::Names, output});
    parts.push_back({std::move(group.sums), cfamily::Sums::Named, output});
  }
}

} // namespace

bool has_sums(const lang::Program& program) {
  return std::ranges::any_of(program.row.passes, [](const lang::Pass& pass) {
    return std::ranges::any_of(pass.stores, [](const lang::Store& store) {
      return store.into != Into::Place;
    });
  });
}

std::vector<Part> parts_of(
    const lang::Program& program,
    std::span<const View> inputs,
    std::span<const View> outputs) {
  if (!has_sums(program)) {
    return {{program}};
  }
  auto space = find_space(program, inputs, outputs);
  if (space.empty()) {
    space = {1};
  }
  std::vector<Part> parts;
  lang::Program base = without_row_sums(program);
  if (!base.row.passes.empty()) {
    auto sums = find_sums(base, outputs, space);
    mark_places(base, sums);
    auto left = sums;
    bool first = true;
    while (first || std::ranges::count(left, true) > 0) {
      const auto taken = take_pattern(base, outputs, space, left);
      parts.push_back({with_stores(base, [&](const lang::Store& store) {
        return sums[store.output] ? taken[store.output] : first;
      })});
      first = false;
    }
  }
  add_named(parts, program);
  return parts;
}

} // namespace zmlx::backend::cuda
