#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/model.h"
#include "cli/output.h"
#include "zmlx/base/atomic_file.h"
#include "zmlx/base/errors.h"
#include "zmlx/base/settings.h"
#include "zmlx/base/text.h"
#include "zmlx/graph/dump.h"
#include "zmlx/graph/fold.h"
#include "zmlx/patch/patch.h"

namespace zmlx::cli {

namespace {

using Json = nlohmann::ordered_json;

struct PatchCommand {
  std::string model;
  PatchOptions options;
  bool list = false;
  bool plan = false;
  std::string dot;
  bool json = false;
};

std::string list_text() {
  Table table({{"pattern"}, {"what it does"}, {"folds"}});
  for (const auto& pattern : list_patterns()) {
    table.add_row(
        {pattern.name,
         pattern.summary,
         fmt::format("{}", fmt::join(pattern.folds, ", "))});
  }
  Table folds({{"fold"}, {"what it does"}});
  for (const auto& fold : graph::all_folds()) {
    folds.add_row({fold.name, fold.summary});
  }
  return table.to_string() + "\n" + folds.to_string();
}

/// One line per kernel, a number for each launch: kernels that share a number
/// run at the same time.
std::string plan_text(const Report& report) {
  Table table(
      {{"launch", Table::Align::right},
       {"kernel"},
       {"reads", Table::Align::right},
       {"places"}});
  for (const auto& launch : report.launches) {
    table.add_row(
        {launch.round < 0 ? "MLX" : std::to_string(launch.round),
         launch.label,
         launch.weight_bytes > 0 ? format_bytes(launch.weight_bytes) : "",
         fmt::format("{}", fmt::join(launch.sites, ", "))});
  }
  return table.to_string();
}

Json to_json(const PatchCommand& command, const Report& report) {
  auto sites = Json::array();
  for (const auto& launch : report.launches) {
    sites.push_back(
        {{"launch", launch.round},
         {"kernel", launch.label},
         {"places", launch.sites},
         {"folds", launch.folds},
         {"weight_bytes", launch.weight_bytes},
         {"reason", launch.reason}});
  }
  auto notes = Json::array();
  for (const auto& note : report.notes) {
    notes.push_back(
        {{"fold", note.fold},
         {"kernel", note.kernel},
         {"places", note.sites},
         {"reason", note.reason}});
  }
  return {
      {"model", command.model},
      {"model_type", report.model_type},
      {"layers", report.layers},
      {"captured", report.captured},
      {"patched_count", report.patched_count()},
      {"launches", report.rounds},
      {"launches_per_layer", report.rounds_per_layer()},
      {"weight_bytes_per_token", report.weight_bytes},
      {"pattern_counts", report.pattern_counts},
      {"folds", report.folds},
      {"notes", notes},
      {"skipped", report.plan_reason},
      {"capture_seconds", report.capture_seconds},
      {"sites", sites}};
}

int run_patch(const PatchCommand& command) {
  if (command.list) {
    write(stdout, list_text());
    return exit_ok;
  }
  if (command.model.empty()) {
    throw user_error("patch: expected a model, or --list");
  }
  graph::folds_of(command.options.patterns, command.options.exclude);
  catch_interrupts();
  auto [model, tokenizer] = load_model(command.model);
  auto patched = patch(model, command.options);
  check_interrupted();
  const auto& report = patched->report();
  if (!command.dot.empty()) {
    if (!patched->graph()) {
      throw user_error("patch: no graph to draw: {}", report.plan_reason);
    }
    const auto dot = graph::to_dot(*patched->graph());
    if (command.dot == "-") {
      write(stdout, dot);
      return exit_ok;
    }
    write_file_atomically(command.dot, dot);
  }
  if (command.json) {
    write(stdout, to_json(command, report).dump(2) + "\n");
    return exit_ok;
  }
  write(
      stdout,
      command.plan ? plan_text(report)
                   : report.summary(terminal_width(stdout).value_or(0)));
  return exit_ok;
}

const CommandRegistration command({
    "patch",
    "Report what patching makes of a model's decode step",
    [](CLI::App& app) -> std::function<int()> {
      auto c = std::make_shared<PatchCommand>();
      app.add_option("model", c->model, "A model folder or a .gguf file");
      app.add_option(
             "--patterns",
             c->options.patterns,
             "Patterns, presets or folds to apply, with commas; all when left "
             "out")
          ->delimiter(',');
      app.add_option("--exclude", c->options.exclude, "Those to leave out")
          ->delimiter(',');
      app.add_flag("--list", c->list, "List patterns and folds");
      app.add_flag("--plan", c->plan, "Print the launches one by one");
      app.add_option(
          "--dot", c->dot, "Write the graph for Graphviz to FILE, or - ");
      app.add_flag("--json", c->json, "Print one JSON document");
      return [c] { return run_patch(*c); };
    },
});

} // namespace

} // namespace zmlx::cli
