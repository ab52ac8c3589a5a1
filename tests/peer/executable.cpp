#include "tests/peer/executable.h"

#include "tests/peer/interpret.h"
#include "zmlx/backend/faults.h"
#include "zmlx/backend/order.h"
#include "zmlx/base/errors.h"

namespace zmlx::test_peer {

Executable::Executable(lang::Program program)
    : Executable(program, backend::effects_of(program)) {}

Executable::Executable(lang::Program program, backend::Effects effects)
    : program_(std::move(program)),
      effects_(std::move(effects)),
      can_fault_(backend::can_fault(program_)) {}

std::optional<backend::Fault> Executable::run(
    std::vector<Array> inputs,
    std::vector<Array> outputs) const {
  return interpret(program_, std::move(inputs), std::move(outputs));
}

namespace {

void check_views(
    const char* what,
    const std::vector<lang::Type>& types,
    const std::vector<backend::View>& views) {
  if (views.size() != types.size()) {
    throw internal_error(
        "test peer: expected {} {}s, got {}", types.size(), what, views.size());
  }
  for (size_t i = 0; i < views.size(); ++i) {
    if (views[i].type != types[i] ||
        views[i].shape.size() != views[i].strides.size()) {
      throw internal_error(
          "test peer: {} {} is {} with {} axes and {} strides, expected {}",
          what,
          i,
          lang::name_of(views[i].type),
          views[i].shape.size(),
          views[i].strides.size(),
          lang::name_of(types[i]));
    }
  }
}

} // namespace

void Executable::check(
    const std::vector<backend::View>& inputs,
    const std::vector<backend::View>& outputs) const {
  check_views("input", program_.inputs, inputs);
  check_views("output", program_.outputs, outputs);
}

} // namespace zmlx::test_peer
