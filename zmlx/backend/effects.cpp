#include "zmlx/backend/effects.h"

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

} // namespace zmlx::backend
