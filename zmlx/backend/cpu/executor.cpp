#include "zmlx/backend/cpu/executor.h"

#include <algorithm>

#include <fmt/format.h>

#include "zmlx/backend/cpu/passes.h"
#include "zmlx/base/errors.h"
#include "zmlx/lang/kernel.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Op;
using lang::Stage;

// Shares of a row begin at multiples of this many places: whole cache lines of
// every type.
constexpr int64_t kGrain = 64;

// Whether the places of a row may be run apart from each other.
bool divides(const lang::Program& program) {
  const auto& passes = program.row.passes;
  return passes.size() == 1 && passes[0].reductions.empty() &&
      std::none_of(
             passes[0].stores.begin(),
             passes[0].stores.end(),
             [](const lang::Store& s) { return s.one_a_row; });
}

// The space of places: what the inputs broadcast to, and the outputs that are
// as large.
lang::Shape find_space(
    const lang::Program& program,
    std::span<const View> inputs,
    std::span<const View> outputs) {
  lang::Shape space;
  for (const auto& pass : program.row.passes) {
    for (const auto& i : pass.code) {
      if (i.op == Op::Input) {
        space = lang::broadcast(space, inputs[i.number].shape);
      } else if (i.op == Op::Pick && !inputs[i.number].shape.empty()) {
        lang::Shape lead = inputs[i.number].shape;
        lead.back() = 1;
        space = lang::broadcast(space, lead);
      }
    }
    for (const auto& store : pass.stores) {
      if (!store.one_a_row) {
        space = lang::broadcast(space, outputs[store.output].shape);
      }
    }
  }
  return space;
}

class VectorLaunch : public Launch {
 public:
  VectorLaunch(BoundPasses passes, bool divides)
      : passes_(std::move(passes)), divides_(divides) {}

  void run(int part, int parts) const noexcept override {
    if (divides_) {
      run_places(part, parts);
      return;
    }
    const int64_t rows = passes_.rows();
    const int64_t end = rows * (part + 1) / parts;
    for (int64_t row = rows * part / parts; row < end; ++row) {
      passes_.run(row, 0, passes_.width());
    }
  }

 private:
  void run_places(int part, int parts) const noexcept {
    const int64_t width = passes_.width();
    const int64_t places = passes_.rows() * width;
    const int64_t grains = (places + kGrain - 1) / kGrain;
    int64_t at = grains * part / parts * kGrain;
    const int64_t end = std::min(places, grains * (part + 1) / parts * kGrain);
    while (at < end) {
      const int64_t row = at / width;
      const int64_t begin = at - row * width;
      const int64_t stop = std::min(width, begin + end - at);
      passes_.run(row, begin, stop);
      at += stop - begin;
    }
  }

  BoundPasses passes_;
  bool divides_;
};

class VectorExecutable : public Executable {
 public:
  explicit VectorExecutable(const lang::Program& program) : program_(program) {}

  std::unique_ptr<Launch> bind(
      std::span<const View> inputs,
      std::span<const View> outputs) const override {
    if (inputs.size() != program_.inputs.size() ||
        outputs.size() != program_.outputs.size()) {
      throw internal_error(
          "vector program: expected {} inputs and {} outputs, got {} and {}",
          program_.inputs.size(),
          program_.outputs.size(),
          inputs.size(),
          outputs.size());
    }
    return std::make_unique<VectorLaunch>(
        BoundPasses(
            program_.row.passes,
            program_.row.slots,
            inputs,
            outputs,
            find_space(program_, inputs, outputs),
            program_.stage == Stage::Map ? Walk::Flat : Walk::Rows),
        divides(program_));
  }

 private:
  lang::Program program_;
};

bool is_leaf(Op op) {
  return op == Op::Input || op == Op::Constant || op == Op::Index ||
      op == Op::Width || op == Op::Pick || op == lang::kSlot;
}

} // namespace

std::optional<std::string> vector_unsupported(const lang::Program& program) {
  if (program.row.slots > kMaxSlots) {
    return fmt::format("more than {} reductions", kMaxSlots);
  }
  for (const auto& pass : program.row.passes) {
    if (pass.code.size() > kMaxCode ||
        pass.reductions.size() > kMaxReductions) {
      return fmt::format("more than {} operations in a pass", kMaxCode);
    }
    for (const auto& store : pass.stores) {
      if (store.into != lang::Into::Place) {
        return "sums over rows";
      }
    }
    for (const auto& i : pass.code) {
      if (i.op == Op::Input && program.each_row[i.number]) {
        return "inputs with one element a row";
      }
      if (is_leaf(i.op)) {
        continue;
      }
      std::array<lang::Type, 3> types{};
      for (int k = 0; k < lang::arity(i.op); ++k) {
        types[k] = pass.code.at(i.in[k]).type;
      }
      if (!find_operation(i, types)) {
        return fmt::format(
            "no '{}' of {} on the CPU",
            lang::name_of(i.op),
            lang::name_of(types[0]));
      }
    }
  }
  return std::nullopt;
}

std::shared_ptr<const Executable> make_vector(const lang::Program& program) {
  return std::make_shared<VectorExecutable>(program);
}

} // namespace zmlx::backend::cpu
