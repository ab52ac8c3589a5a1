// The machine code of a program, for people to read.
#include <fmt/format.h>

#include "zmlx/backend/cpu/executor.h"
#include "zmlx/backend/cpu/passes.h"
#include "zmlx/backend/space.h"
#include "zmlx/backend/store_groups.h"
#include "zmlx/lang/space.h"

namespace zmlx::backend::cpu {
namespace {

View adjacent_view(
    lang::Type type,
    const lang::Shape& shape,
    std::vector<std::vector<std::byte>>& memory) {
  const auto bytes = static_cast<size_t>(lang::count(shape));
  memory.emplace_back(bytes * lang::size_of(type) + 64);
  lang::Strides strides(shape.size(), 1);
  for (size_t axis = shape.size(); axis-- > 1;) {
    strides[axis - 1] = strides[axis] * shape[axis];
  }
  return {memory.back().data(), type, shape, strides};
}

std::string vector_listing(
    const lang::Program& whole,
    std::span<const lang::Shape> inputs,
    std::span<const lang::Shape> outputs) {
  const lang::Program program = without_row_sums(whole);
  if (program.row.passes.empty()) {
    return {};
  }
  std::vector<std::vector<std::byte>> memory;
  std::vector<View> in, out;
  for (size_t i = 0; i < inputs.size(); ++i) {
    in.push_back(adjacent_view(program.inputs[i], inputs[i], memory));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    out.push_back(adjacent_view(program.outputs[i], outputs[i], memory));
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
