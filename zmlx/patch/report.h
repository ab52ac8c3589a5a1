#pragma once

#include <map>
#include <string>
#include <vector>

#include "zmlx/export.h"

namespace zmlx::graph {
struct Graph;
}
namespace zmlx::plan {
class Plan;
}

namespace zmlx {

/// One kernel of the patched step and what of the model it does.
struct LaunchReport {
  int round = 0; // kernels of one round run at the same time
  std::string label; // pattern: "swiglu_mlp", "attention"
  std::vector<std::string> sites; // the model's places that it took
  std::vector<std::string> folds; // which folds made it
  std::string reason; // why it was left to MLX, else empty
  double weight_bytes = 0; // constants read a step
};

/// A place where a fold might have fitted and did not.
struct FoldNote {
  std::string fold;
  std::string kernel; // label of the kernel that it would have changed
  std::vector<std::string> sites; // the model's places of that kernel
  std::string reason;
};

struct ZMLX_API Report {
  std::string model_type;
  int layers = 0;
  int captured = 0; // kernels and foreign nodes of the step as lifted
  int rounds = 0; // launches of the patched step
  std::vector<LaunchReport> launches;
  std::map<std::string, int> pattern_counts;
  std::vector<std::string> folds; // applied
  std::vector<FoldNote> notes;
  std::string plan_reason; // why there is no plan, else empty
  double capture_seconds = 0;
  double weight_bytes = 0; // read a step, all launches

  /// Places that a kernel of ours took.
  int patched_count() const;
  /// Rounds a layer: those of the whole step over the layers.
  double rounds_per_layer() const;
  /// One line that says how the model runs: "patched: 151 launches a token",
  /// or what it runs as instead and why.
  std::string outcome() const;
  /// Table for people: a line for each kind of launch, one for each kind of
  /// note, then totals; within `width` columns, 0 for as wide as it is.
  std::string summary(int width = 0) const;
};

/// The report of a folded graph; `plan` may be null.
ZMLX_API Report make_report(const graph::Graph& folded, const plan::Plan* plan);

} // namespace zmlx
