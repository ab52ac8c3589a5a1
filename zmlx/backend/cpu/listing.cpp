// The machine code of a program, for people to read.
#include <fmt/format.h>

#include "zmlx/backend/cpu/executor.h"
#include "zmlx/backend/cpu/passes.h"
#include "zmlx/backend/space.h"
#include "zmlx/backend/store_groups.h"
#include "zmlx/lang/space.h"

namespace zmlx::backend::cpu {
namespace {

std::string vector_listing(
    const lang::Program& whole,
    std::span<const lang::Shape> inputs,
    std::span<const lang::Shape> outputs) {
  const lang::Program program = without_row_sums(whole);
  if (program.row.passes.empty()) {
    return {};
  }
  Address free(uintptr_t{1} << 20); // nothing is read or written
  const auto view_of = [&](lang::Type type, const lang::Shape& shape) {
    const View view = adjacent_view(free, type, shape);
    free = Address((extent_of(view).end.value() / 64 + 2) * 64);
    return view;
  };
  std::vector<View> in, out;
  for (size_t i = 0; i < inputs.size(); ++i) {
    in.push_back(view_of(program.inputs[i], inputs[i]));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    out.push_back(view_of(program.outputs[i], outputs[i]));
  }
  Binding binding{in, out, program.roles, find_space(program, in, out)};
  binding.walk = walk_of(whole);
  binding.sums = find_sums(program, out, binding.space);
  return BoundPasses(program.row.passes, program.row.slots, binding).listing();
}

} // namespace

std::string BoundPasses::listing() const {
  std::string text;
  for (size_t p = 0; p < passes_.size(); ++p) {
    for (const Step& step : passes_[p].block) {
      if (step.act == Act::Loop) {
        text += fmt::format("loop of pass {}\n", p);
        text += cpu::listing(loops_[step.access].loop);
      }
    }
  }
  if (overlap_.code) {
    text += fmt::format(
        "loop of the last {} passes, each of another row\n",
        overlap_.stages.size());
    text += cpu::listing(overlap_.loop);
  }
  return text;
}

std::string listing(
    const lang::Program& program,
    std::span<const lang::Shape> inputs,
    std::span<const lang::Shape> outputs) {
  if (const auto why = why_not_assembled()) {
    return fmt::format("Nothing is assembled: {}\n", *why);
  }
  if (program.stage != lang::Stage::Map && program.stage != lang::Stage::Row) {
    return "Nothing is listed: products, attention and top-k are compiled "
           "beforehand.\n";
  }
  const auto text = vector_listing(program, inputs, outputs);
  return text.empty() ? "Nothing is assembled: no loop can do what the kernel "
                        "does.\n"
                      : text;
}

} // namespace zmlx::backend::cpu
