#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "zmlx/export.h"
#include "zmlx/lab/bench_kernels.h"

/// Measured kernels, for people and programs.
namespace zmlx::lab {

struct BenchRun {
  measure::DeviceFacts device;
  std::string simd; // what kernels use
  Roofs roofs;
  std::string date; // ISO 8601
  std::string command; // that repeats it
  std::vector<KernelBench> kernels;
};

/// A row per kernel; what was left out and why below it.
ZMLX_API std::string
bench_table(const BenchRun& run, int width = 0, bool color = false);

/// Google Benchmark's shape: "context", and "benchmarks" of which each has
/// name ("silu/float32"), real_time (the median), time_unit, repetitions and
/// bytes_per_second; beside them family, shapes, spread, share_of_triad,
/// share_of_read, mlx_real_time, mlx_spread, compared_with, speedup and
/// speedup_interval. Kernels that were left out have error_occurred and
/// error_message.
ZMLX_API nlohmann::ordered_json bench_json(const BenchRun& run);

/// A page by itself: a chart of the share of triad, one of the speedup, and the
/// figures. No network; light or dark as the reader likes it.
ZMLX_API std::string bench_html(const BenchRun& run);

} // namespace zmlx::lab
