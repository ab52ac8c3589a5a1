#include "zmlx/backend/space.h"

#include "zmlx/lang/space.h"

namespace zmlx::backend {

lang::Shape find_space(
    const lang::Program& program,
    std::span<const View> inputs,
    std::span<const View> outputs) {
  std::vector<lang::Shape> shapes;
  for (const View& input : inputs) {
    shapes.push_back(input.shape);
  }
  lang::Shape space = lang::meeting_space(program.space, program.roles, shapes);
  for (const auto& pass : program.row.passes) {
    for (const auto& store : pass.stores) {
      if (store.output >= 0 && !store.one_per_row &&
          store.into == lang::Into::Place) {
        space = lang::broadcast(space, outputs[store.output].shape);
      }
    }
  }
  return space;
}

std::vector<bool> find_sums(
    const lang::Program& program,
    std::span<const View> outputs,
    const lang::Shape& space) {
  std::vector<bool> sums(outputs.size());
  lang::Shape rows = space;
  if (!rows.empty()) {
    rows.pop_back();
  }
  for (const auto& pass : program.row.passes) {
    for (const auto& store : pass.stores) {
      sums[store.output] = store.into == lang::Into::Sum &&
          lang::count(outputs[store.output].shape) !=
              lang::count(store.one_per_row ? rows : space);
    }
  }
  return sums;
}

} // namespace zmlx::backend
