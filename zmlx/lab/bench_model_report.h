#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "zmlx/export.h"
#include "zmlx/lab/bench_model.h"
#include "zmlx/measure/device.h"

/// The speed of a model, for people and programs.
namespace zmlx::lab {

struct ModelBenchRun {
  std::string model; // as it was asked for
  std::string date; // ISO 8601
  std::string command; // that repeats it
  measure::DeviceFacts device;
  int threads = 0; // of ours
  double read_bytes_s = 0; // what the memory gives
  ModelBench bench;
};

/// A row for each test; fits in 80 columns.
ZMLX_API std::string
model_bench_table(const ModelBenchRun& run, int width = 0, bool color = false);

/// The same rows as a table of Markdown.
ZMLX_API std::string model_bench_markdown(const ModelBenchRun& run);

/// An array with one object for each test and way to run ("backend": "mlx" or
/// "zmlx"), with the field names of llama-bench: model_filename, model_type,
/// model_size, n_threads, n_prompt, n_gen, n_depth, test_time, avg_ns,
/// stddev_ns, avg_ts, stddev_ts, samples_ns, samples_ts; beside them n_busy,
/// median_ts, cpu_info, mlx_version, read_bytes_per_second, and of patched ones
/// weight_bytes_per_token, speedup and speedup_interval where stock was timed.
ZMLX_API nlohmann::ordered_json model_bench_json(const ModelBenchRun& run);

/// The same objects as lines of CSV, without the samples, under their names.
ZMLX_API std::string model_bench_csv(const ModelBenchRun& run);

/// A page by itself: a chart of the rates, one of the speedups, and the table.
ZMLX_API std::string model_bench_html(const ModelBenchRun& run);

} // namespace zmlx::lab
