#include "zmlx/backend/cuda/source.h"

#include "zmlx/backend/cuda/dialect.h"
#include "zmlx/backend/cuda/parts.h"

namespace zmlx::backend::cuda {

std::optional<std::string> without_text(const lang::Program& program) {
  switch (program.stage) {
    case lang::Stage::Product:
      return "no products on CUDA yet";
    case lang::Stage::Attention:
      return "no attention on CUDA yet";
    case lang::Stage::TopK:
      return "no top-k on CUDA yet";
    default:
      break;
  }
  if (const auto why = cfamily::unsupported(program)) {
    return "no " + *why + " on CUDA";
  }
  return std::nullopt;
}

std::optional<std::string> unsupported(const lang::Program& program) {
  if (auto why = without_text(program)) {
    return why;
  }
  for (const auto& pass : program.row.passes) {
    for (const auto& store : pass.stores) {
      if (store.into == lang::Into::Row) {
        return "no sums into named rows on CUDA yet";
      }
    }
  }
  return std::nullopt;
}

cfamily::KernelText source(
    const lang::Program& program,
    const cfamily::Layout& layout,
    const cfamily::Threads& threads) {
  return cfamily::is_flat(program)
      ? cfamily::map_text(program, layout, threads, dialect())
      : cfamily::row_text(program, layout, threads, dialect());
}

namespace {

/// Arrays at addresses that are aligned as new ones are.
std::vector<View> dense_views(
    std::span<const lang::Shape> shapes,
    const std::vector<lang::Type>& types) {
  std::vector<View> views;
  for (size_t i = 0; i < shapes.size(); ++i) {
    View view;
    view.data = Address(uintptr_t{1} << 40);
    view.type = types.at(i);
    view.shape = shapes[i];
    view.strides.resize(shapes[i].size());
    int64_t step = 1;
    for (size_t axis = shapes[i].size(); axis-- > 0;) {
      view.strides[axis] = step;
      step *= shapes[i][axis];
    }
    views.push_back(std::move(view));
  }
  return views;
}

} // namespace

std::string listing(
    const lang::Program& program,
    std::span<const lang::Shape> inputs,
    std::span<const lang::Shape> outputs,
    const Device& device) {
  if (const auto why = unsupported(program)) {
    return "There is no text for CUDA: " + *why + ".\n";
  }
  const auto in = dense_views(inputs, program.inputs);
  const auto out = dense_views(outputs, program.outputs);
  std::string text;
  for (const Part& part : parts_of(program, in, out)) {
    const auto bound = cfamily::bind(
        part.program, in, out, most_places(part.program), part.sums);
    const auto threads = choose_threads(part.program, bound, device);
    text += source(part.program, bound.layout, threads).source;
  }
  return text;
}

} // namespace zmlx::backend::cuda
