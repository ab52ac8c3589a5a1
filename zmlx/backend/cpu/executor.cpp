#include "zmlx/backend/cpu/executor.h"

#include <algorithm>

#include <fmt/format.h>

#include "zmlx/backend/cpu/passes.h"
#include "zmlx/backend/cpu/sums.h"
#include "zmlx/backend/faults.h"
#include "zmlx/backend/space.h"
#include "zmlx/backend/store_groups.h"
#include "zmlx/base/errors.h"
#include "zmlx/lang/kernel.h"
#include "zmlx/lang/operations.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Stage;

// Shares of a row begin at multiples of this many places: whole cache lines of
// every type.
constexpr int64_t kGrain = 64;

// Below this many operations on elements a second thread takes longer to wake
// than it saves.
constexpr int64_t kSmall = int64_t{1} << 17;

int64_t operations(const lang::Program& program) {
  int64_t n = 0;
  for (const auto& pass : program.row.passes) {
    n += static_cast<int64_t>(pass.code.size());
  }
  return n;
}

class VectorLaunch : public Launch {
 public:
  VectorLaunch(BoundPasses passes, bool divides, int64_t operations)
      : passes_(std::move(passes)),
        divides_(divides),
        small_(passes_.rows() * passes_.width() * operations < kSmall) {}

  bool rebind(std::span<void* const> inputs, std::span<void* const> outputs)
      override {
    return passes_.rebind(inputs, outputs);
  }

  bool is_small() const noexcept override {
    return small_;
  }

  void run(int part, int parts) const noexcept override {
    if (divides_) {
      run_places(part, parts);
      return passes_.finish();
    }
    const int64_t rows = passes_.rows();
    passes_.run_rows(rows * part / parts, rows * (part + 1) / parts);
    passes_.finish();
  }

  std::optional<Fault> fault() const override {
    return passes_.fault();
  }

 private:
  void run_places(int part, int parts) const noexcept {
    const int64_t width = passes_.width();
    const int64_t places = passes_.rows() * width;
    const int64_t grains = (places + kGrain - 1) / kGrain;
    // A cut within a row is at a multiple of kGrain of that row: windows of
    // picks begin there, and cache lines.
    const auto cut = [&](int64_t p) {
      const int64_t place = std::min(places, grains * p / parts * kGrain);
      return place - place % std::max<int64_t>(width, 1) % kGrain;
    };
    int64_t at = cut(part);
    const int64_t end = cut(part + 1);
    while (at < end) {
      const int64_t row = at / width;
      const int64_t begin = at - row * width;
      if (begin == 0 && end - at >= width) {
        const int64_t stop = end / width;
        passes_.run_rows(row, stop);
        at = stop * width;
        continue;
      }
      const int64_t stop = std::min(width, begin + end - at);
      passes_.run(row, begin, stop);
      at += stop - begin;
    }
  }

  BoundPasses passes_;
  bool divides_;
  bool small_;
};

/// Launches of one program that share no output.
class GroupLaunch : public Launch {
 public:
  explicit GroupLaunch(std::vector<std::unique_ptr<Launch>> launches)
      : launches_(std::move(launches)) {}

  void run(int part, int parts) const noexcept override {
    for (const auto& launch : launches_) {
      launch->run(part, parts);
    }
  }
  std::optional<Fault> fault() const override {
    std::optional<Fault> found;
    for (const auto& launch : launches_) {
      found = found ? found : launch->fault();
    }
    return found;
  }

 private:
  std::vector<std::unique_ptr<Launch>> launches_;
};

class VectorExecutable : public Executable {
 public:
  explicit VectorExecutable(const lang::Program& program)
      : Executable(program),
        base_(without_row_sums(program)),
        row_sums_(row_sum_groups(program)),
        walk_(walk_of(program)) {}

  std::unique_ptr<Launch> bind(
      std::span<const View> inputs,
      std::span<const View> outputs) const override {
    if (inputs.size() != program().inputs.size() ||
        outputs.size() != program().outputs.size()) {
      throw internal_error(
          "vector program: expected {} inputs and {} outputs, got {} and {}",
          program().inputs.size(),
          program().outputs.size(),
          inputs.size(),
          outputs.size());
    }
    const lang::Shape space = find_space(program(), inputs, outputs);
    std::vector<std::unique_ptr<Launch>> launches;
    if (!base_.row.passes.empty()) {
      launches.push_back(bind_base(inputs, outputs, space));
    }
    for (const RowSumGroup& group : row_sums_) {
      launches.push_back(make_row_sums(group, inputs, outputs, space));
    }
    if (launches.size() == 1) {
      return std::move(launches[0]);
    }
    check_apart(inputs, outputs);
    return std::make_unique<GroupLaunch>(std::move(launches));
  }

 private:
  std::unique_ptr<Launch> bind_base(
      std::span<const View> inputs,
      std::span<const View> outputs,
      const lang::Shape& space) const {
    const auto sums = find_sums(base_, outputs, space);
    if (std::find(sums.begin(), sums.end(), true) != sums.end()) {
      return make_place_sums(base_, inputs, outputs, space, sums);
    }
    return std::make_unique<VectorLaunch>(
        BoundPasses(
            base_.row.passes,
            base_.row.slots,
            {inputs, outputs, base_.roles, space, walk_}),
        places_apart(base_),
        operations(base_));
  }

  // What one launch of the program writes, the others must not read.
  static void check_apart(
      std::span<const View> inputs,
      std::span<const View> outputs) {
    for (const View& output : outputs) {
      const Access to(output, output.shape, "vector program: output");
      for (const View& input : inputs) {
        const Access from(input, input.shape, "vector program: input");
        if (to.overlaps(from) && !to.empty() && !from.empty()) {
          throw internal_error(
              "vector program: an output of a program with sums over named "
              "rows has an input's memory");
        }
      }
    }
  }

  lang::Program base_; // all but the sums over rows that are named
  std::vector<RowSumGroup> row_sums_;
  Walk walk_;
};

} // namespace

// Runs of places that cross rows cannot give one value per row.
Walk walk_of(const lang::Program& program) {
  const auto one_per_row = [](const lang::Store& s) { return s.one_per_row; };
  const bool by_row =
      std::ranges::count(program.roles, lang::Role::EachRow) > 0 ||
      std::ranges::any_of(program.row.passes[0].stores, one_per_row);
  return program.stage == Stage::Map && !by_row ? Walk::Flat : Walk::Rows;
}

std::optional<std::string> vector_unsupported(const lang::Program& program) {
  if (program.row.slots > kMaxSlots) {
    return fmt::format("more than {} reductions", kMaxSlots);
  }
  if (program.outputs.size() > kMaxOutputs) {
    return fmt::format("more than {} outputs", kMaxOutputs);
  }
  for (const auto& pass : program.row.passes) {
    if (pass.code.size() > kMaxCode ||
        pass.reductions.size() > kMaxReductions) {
      return fmt::format("more than {} operations in a pass", kMaxCode);
    }
    for (const auto& i : pass.code) {
      // The others are read, counted or drawn.
      const bool computes = lang::operation(i.op).kind == lang::OpKind::Map;
      if (computes && !find_operation(i)) {
        return fmt::format(
            "no '{}' of {} on the CPU",
            lang::name_of(i.op),
            lang::name_of(i.from));
      }
    }
  }
  return std::nullopt;
}

std::shared_ptr<const Executable> make_vector(const lang::Program& program) {
  return std::make_shared<VectorExecutable>(program);
}

} // namespace zmlx::backend::cpu
