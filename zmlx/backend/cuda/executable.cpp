#include "zmlx/backend/cuda/executable.h"

#include "zmlx/backend/cuda/dialect.h"
#include "zmlx/backend/cuda/parts.h"
#include "zmlx/backend/cuda/source.h"
#include "zmlx/backend/faults.h"
#include "zmlx/backend/order.h"
#include "zmlx/base/errors.h"
#include "zmlx/lang/space.h"

namespace zmlx::backend::cuda {

Executable::Executable(lang::Program program)
    : program_(std::move(program)),
      effects_(effects_of(program_)),
      can_fault_(backend::can_fault(program_)) {}

namespace {

void check_row_major(const View& view) {
  int64_t step = 1;
  for (size_t axis = view.shape.size(); axis-- > 0;) {
    if (view.shape[axis] != 1 && view.strides[axis] != step) {
      throw internal_error("CUDA: an output that is a sum is not row-major");
    }
    step *= view.shape[axis];
  }
}

std::vector<int> sums_of(const cfamily::Bound& bound) {
  std::vector<int> sums;
  for (size_t i = 0; i < bound.layout.outputs.size(); ++i) {
    if (bound.layout.outputs[i].summed) {
      sums.push_back(static_cast<int>(i));
    }
  }
  return sums;
}

} // namespace

/// One part and, where it has sums, what makes them of their parts.
class Executable::Binding {
 public:
  Binding(
      const Executable& executable,
      std::span<const View> inputs,
      std::span<const View> outputs,
      Address fault,
      const Scratch& scratch)
      : executable_(executable),
        inputs_(inputs),
        outputs_(outputs),
        fault_(fault),
        scratch_(scratch) {}

  void add(const Part& part, int number) {
    auto bound = cfamily::bind(
        part.program, inputs_, outputs_, most_places(part.program), part.sums);
    if (part.named >= 0) {
      const auto& shape = outputs_[part.named].shape;
      bound.groups = lang::count({shape.data(), shape.size() - 1});
    }
    if (part.sums == cfamily::Sums::Names) {
      names_ = scratch_(static_cast<size_t>(bound.rows) * sizeof(int64_t));
    }
    bound.names = names_;
    const auto threads = choose_threads(part.program, bound, device());
    bound.stripes = choose_stripes(bound, threads, device());
    place_parts(part.program, bound);
    if (bound.work() > 0) {
      launches.emplace_back(
          executable_.kernel(
              number,
              bound.layout,
              threads,
              [&] { return source(part.program, bound.layout, threads); }),
          bound,
          fault_);
    }
    finish_sums(part.program, bound, number);
  }

  std::vector<Launch> launches;

 private:
  void place_parts(const lang::Program& program, cfamily::Bound& bound) {
    bound.parts.resize(outputs_.size());
    for (int output : sums_of(bound)) {
      bound.outputs[output].data = outputs_[output].data;
      bound.parts[output] = scratch_(
          static_cast<size_t>(
              bound.stripes * bound.groups * bound.places_of_sum(output)) *
          lang::size_of(cfamily::sum_type(program, output)));
    }
  }

  void finish_sums(
      const lang::Program& program,
      const cfamily::Bound& bound,
      int number) {
    const cfamily::Threads threads{.block = 256};
    for (int output : sums_of(bound)) {
      check_row_major(outputs_[output]);
      cfamily::Bound all = bound;
      all.layout = {};
      all.layout.outputs.resize(outputs_.size());
      all.layout.outputs[output].step = bound.layout.outputs[output].step;
      all.layout.wide = bound.layout.wide;
      all.flat = true;
      all.rows = bound.groups;
      all.width = bound.places_of_sum(output);
      if (bound.work() == 0) {
        all.stripes = 0; // sums of nothing
      }
      if (all.work() > 0) {
        launches.emplace_back(
            executable_.kernel(
                -1 - number,
                all.layout,
                {.block = threads.block, .steps = output},
                [&] {
                  return cfamily::finish_text(
                      program, output, all.layout.wide, threads, dialect());
                }),
            all,
            fault_);
      }
    }
  }

  const Executable& executable_;
  std::span<const View> inputs_, outputs_;
  Address fault_;
  const Scratch& scratch_;
  Address names_;
};

std::vector<Launch> Executable::bind(
    std::span<const View> inputs,
    std::span<const View> outputs,
    Address fault,
    const Scratch& scratch) const {
  if (inputs.size() != program_.inputs.size() ||
      outputs.size() != program_.outputs.size()) {
    throw internal_error(
        "CUDA: expected {} inputs and {} outputs, got {} and {}",
        program_.inputs.size(),
        program_.outputs.size(),
        inputs.size(),
        outputs.size());
  }
  Binding binding(*this, inputs, outputs, fault, scratch);
  const auto parts = parts_of(program_, inputs, outputs);
  for (size_t i = 0; i < parts.size(); ++i) {
    binding.add(parts[i], static_cast<int>(i));
  }
  return std::move(binding.launches);
}

std::shared_ptr<const Kernel> Executable::kernel(
    int part,
    const cfamily::Layout& layout,
    const cfamily::Threads& threads,
    const std::function<cfamily::KernelText()>& text) const {
  std::lock_guard lock(mutex_);
  auto& known = kernels_[{part, layout, threads}];
  if (!known) {
    known = load_kernel(text(), static_cast<unsigned>(threads.block));
  }
  return known;
}

} // namespace zmlx::backend::cuda
