// zmlx bench model: the speed of a model, stock beside patched.

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "cli/arguments.h"
#include "cli/bench.h"
#include "cli/command.h"
#include "cli/decoder.h"
#include "cli/interrupt.h"
#include "cli/model.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "zmlx/backend/backend.h"
#include "zmlx/base/atomic_file.h"
#include "zmlx/base/errors.h"
#include "zmlx/base/settings.h"
#include "zmlx/base/text.h"
#include "zmlx/lab/bench_model_report.h"

namespace zmlx::cli {

namespace {

struct BenchModelCommand {
  std::vector<std::string> models;
  lab::ModelBenchOptions options;
  std::string sides = "both";
  std::string format = "table";
  std::string html; // a file
};

std::string command_line(const BenchModelCommand& c) {
  return fmt::format(
      "zmlx bench model {} --prompt {} --generate {} --depth {} --busy {} "
      "--repetitions {} --sides {}",
      fmt::join(c.models, " "),
      fmt::join(c.options.prompt, ","),
      fmt::join(c.options.generate, ","),
      fmt::join(c.options.depth, ","),
      fmt::join(c.options.busy, ","),
      c.options.repetitions,
      c.sides);
}

lab::ModelBenchRun measure_model(
    const std::string& path,
    const BenchModelCommand& c) {
  lab::ModelBenchRun run;
  run.model = path;
  run.date = date_now();
  run.command = command_line(c);
  run.device = measure::device_facts();
  run.threads = backend::peer_facts().threads;
  const auto model = load_weights(path);
  Progress progress(stderr, "runs");
  auto options = c.options;
  options.stock = c.sides != "patched";
  options.patched = c.sides != "stock";
  options.cancelled = [] { return interrupted().load(); };
  options.progress = [&](const std::string& item, int done, int total) {
    check_interrupted();
    progress.update(item, done, total);
  };
  try {
    run.bench = lab::bench_model(model, options);
  } catch (const nn::Stopped&) {
    throw Interrupted{};
  }
  run.read_bytes_s =
      measure::read_bandwidth({.threads = run.threads}).bytes_per_second.median;
  return run;
}

std::string to_text(const lab::ModelBenchRun& run, const std::string& format) {
  if (format == "markdown") {
    return lab::model_bench_markdown(run);
  }
  if (format == "csv") {
    return lab::model_bench_csv(run);
  }
  return lab::model_bench_table(
      run, terminal_width(stdout).value_or(0), use_color(stdout));
}

int run_models(const BenchModelCommand& c) {
  catch_interrupts();
  if (!c.html.empty() && c.models.size() > 1) {
    throw user_error(
        "bench model: --html takes one model, got {}", c.models.size());
  }
  auto documents = nlohmann::ordered_json::array();
  for (size_t i = 0; i < c.models.size(); ++i) {
    const auto run = measure_model(c.models[i], c);
    if (!c.html.empty()) {
      write_file_atomically(c.html, lab::model_bench_html(run));
    }
    if (c.format == "json") {
      for (const auto& entry : lab::model_bench_json(run)) {
        documents.push_back(entry);
      }
      continue;
    }
    // Each table as soon as it is there.
    write(stdout, (i > 0 ? "\n" : "") + to_text(run, c.format));
  }
  if (c.format == "json") {
    // A path may hold bytes that are not UTF-8.
    const auto replace = nlohmann::ordered_json::error_handler_t::replace;
    write(stdout, documents.dump(2, ' ', false, replace) + "\n");
  }
  return exit_ok;
}

} // namespace

void add_bench_model(CLI::App& bench, const Chosen& chosen) {
  auto c = std::make_shared<BenchModelCommand>();
  auto* sub = bench.add_subcommand(
      "model",
      "Prompts and decoding of a model, unpatched (stock MLX) beside patched");
  sub->add_option("models", c->models, "Model folders or .gguf files")
      ->required();
  const auto add_list =
      [&](const char* name, std::vector<int>& values, const char* help) {
        sub->add_option(name, values, help)
            ->delimiter(',')
            ->transform(whole_number(0, 10'000'000))
            ->capture_default_str();
      };
  auto& o = c->options;
  add_list(
      "-p,--prompt",
      o.prompt,
      "Tokens that are read at once, with commas; 0: none");
  add_list("-n,--generate", o.generate, "Tokens one after the other; 0: none");
  add_list("-d,--depth", o.depth, "Tokens that the context holds before");
  add_list(
      "--busy",
      o.busy,
      "Programs beside it that keep a core each busy; 0,1,2 compares");
  sub->add_option(
         "-r,--repetitions", o.repetitions, "How often each test is measured")
      ->transform(whole_number(1, 10'000))
      ->capture_default_str();
  sub->add_option("--sides", c->sides, "What is timed: stock, patched or both")
      ->check(one_of({"both", "stock", "patched"}))
      ->capture_default_str();
  sub->add_option("-o,--output", c->format, "table, markdown, csv or json")
      ->check(one_of({"table", "markdown", "csv", "json"}))
      ->capture_default_str();
  sub->add_flag_callback(
      "--json", [c] { c->format = "json"; }, "Print one JSON document");
  sub->add_option("--html", c->html, "Write a page with charts to this file");
  sub->callback([c, chosen] { *chosen = [c] { return run_models(*c); }; });
}

} // namespace zmlx::cli
