#include "zmlx/backend/cpu/space.h"

#include "zmlx/lang/space.h"

namespace zmlx::backend::cpu {
namespace {

lang::Shape open_axes(
    const lang::Program& program,
    std::span<const View> inputs) {
  lang::Body body;
  body.inputs.resize(inputs.size());
  body.space = program.space;
  std::vector<lang::Shape> shapes;
  for (const View& input : inputs) {
    shapes.push_back(input.shape);
  }
  return lang::axes_of(body, shapes);
}

} // namespace

lang::Shape find_space(
    const lang::Program& program,
    std::span<const View> inputs,
    std::span<const View> outputs) {
  lang::Shape space;
  const auto meet = [&space](const lang::Shape& shape) {
    space = lang::broadcast(space, shape);
  };
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (lang::meets(program.roles[i])) {
      meet(lang::meeting_shape(program.roles[i], inputs[i].shape));
    }
  }
  if (!program.space.empty()) {
    meet(open_axes(program, inputs));
  }
  for (const auto& pass : program.row.passes) {
    for (const auto& store : pass.stores) {
      if (store.output >= 0 && !store.one_a_row &&
          store.into == lang::Into::Place) {
        meet(outputs[store.output].shape);
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
              lang::count(store.one_a_row ? rows : space);
    }
  }
  return sums;
}

} // namespace zmlx::backend::cpu
