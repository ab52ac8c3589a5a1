#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "zmlx/base/statistics.h"
#include "zmlx/export.h"
#include "zmlx/measure/timer.h"
#include "zmlx/patch/patch.h"

/// The speed of a model, stock beside patched: prompts and decoding, at several
/// lengths of context, on a quiet machine and on a busy one.
namespace zmlx::lab {

struct ModelBenchOptions {
  // A prompt or a generation of 0 tokens is left out.
  std::vector<int> prompt = {512}; // tokens that are read at once: pp512
  std::vector<int> generate = {128}; // tokens one after the other: tg128
  std::vector<int> depth = {0}; // tokens that the context holds before: @ d512
  /// Programs that keep a core each busy meanwhile.
  std::vector<int> busy = {0};
  int repetitions = 5;
  bool stock = true; // whether the unpatched model is timed too
  bool patched = true;
  PatchOptions patch;
  /// Told before each measurement: what it is, how many are done, of how many.
  std::function<void(const std::string& item, int done, int total)> progress;
  /// Asked again and again; true ends the run with nn::Stopped.
  std::function<bool()> cancelled;
};

/// What is timed: either n_prompt or n_generate is 0.
struct ModelTest {
  int n_prompt = 0;
  int n_generate = 0;
  int n_depth = 0;
  int n_busy = 0;

  int tokens() const {
    return n_prompt + n_generate;
  }
  /// "pp512", "tg128 @ d512", "tg128, 2 busy".
  ZMLX_API std::string name() const;
};

/// One way to run it, in seconds, a value for each repetition.
struct ModelTiming {
  std::vector<double> seconds;

  /// Tokens per second.
  ZMLX_API Summary rate(const ModelTest& test) const;
};

struct ModelRow {
  ModelTest test;
  std::optional<ModelTiming> stock;
  std::optional<ModelTiming> patched;
  /// Where both were timed: the ratio of the medians of their rates.
  std::optional<measure::Speedup> speedup;
};

struct ModelBench {
  std::string model_type;
  size_t model_bytes = 0; // all weights
  double weight_bytes = 0; // that a patched step reads; 0: not patched
  std::string plan_reason; // why nothing was planned, if so
  std::vector<ModelRow> rows;
};

/// Times every test in turn in each repetition, stock and patched one after the
/// other, in an order that changes: what the machine does meanwhile falls on
/// all of them. Each test runs once before, untimed. Tokens are random but for
/// those that a model chooses.
/// UserError for a null pointer, no test, tests beyond the model's context, and
/// numbers out of range (at least 1 repetition, the others at least 0).
ZMLX_API ModelBench bench_model(
    const std::shared_ptr<const nn::Model>& model,
    const ModelBenchOptions& options);

} // namespace zmlx::lab
