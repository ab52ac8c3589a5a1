#pragma once

#include <functional>
#include <string>
#include <vector>

#include <mlx/mlx.h>

#include "zmlx/export.h"
#include "zmlx/measure/device.h"
#include "zmlx/measure/timer.h"
#include "zmlx/op/op.h"

/// Kernels against what stock MLX does for the same result, interleaved.
namespace zmlx::lab {

namespace mx = mlx::core;

/// What the memory gives, measured in the same run as the kernels.
struct Roofs {
  double triad = 0; // bytes per second
  double read = 0;
  int threads = 0;
};
ZMLX_API Roofs measure_roofs();

struct BenchOptions {
  mx::Dtype type = mx::float32;
  /// The gradients of all float inputs that are kernels, but for scalars,
  /// through mx::vjp on both sides.
  bool gradient = false;
  int64_t elements = 16 << 20; // of inputs and outputs; see bench_case.h
  int rounds = 15;
  /// Seconds for one kernel; fewer rounds, but 5 at least, where they would
  /// take longer.
  double budget = 4;
  /// Told before each kernel: its name, kernels done, of how many. What it
  /// throws ends the run.
  std::function<void(const std::string&, int done, int total)> progress;
};

struct KernelBench {
  std::string kernel;
  std::string family;
  std::string shapes; // "(4096, 4096), (4096)"
  std::string type;
  bool gradient = false;
  /// Why there are no times; "" where there are.
  std::string skipped;
  /// Read and written: each input and output once, of a table no more than the
  /// rows that are taken.
  double bytes = 0;
  measure::Timing ours;
  measure::Timing mlx;
  /// Against Op::mlx(), else against the formula as MLX operations.
  bool idiomatic = false;
  /// "", or why ours ran as MLX operations too.
  std::string fallback;
  measure::Speedup speedup{};

  double bytes_per_second() const {
    return bytes / ours.seconds.median;
  }
};

ZMLX_API KernelBench
bench_kernel(const op::Op& kernel, const BenchOptions& how);
ZMLX_API std::vector<KernelBench> bench_kernels(
    const std::vector<const op::Op*>& kernels,
    const BenchOptions& how);

/// What the host spends on a call: kernel `add` on 1,000 elements against
/// mx::add, in chains of 100 that are evaluated at their end. Seconds a call.
struct CallBench {
  measure::Timing ours;
  measure::Timing mlx;
  measure::Speedup speedup{};
};
ZMLX_API CallBench bench_call(int rounds);

} // namespace zmlx::lab
