#include <ctime>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "cli/arguments.h"
#include "cli/bench.h"
#include "cli/catalogue.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "zmlx/backend/backend.h"
#include "zmlx/base/atomic_file.h"
#include "zmlx/base/errors.h"
#include "zmlx/base/settings.h"
#include "zmlx/base/text.h"
#include "zmlx/lab/bench_report.h"

namespace zmlx::cli {

namespace {

namespace mx = mlx::core;

struct BenchCommand {
  std::vector<std::string> kernels;
  std::string type = "float32";
  bool gradient = false;
  bool quick = false;
  bool json = false;
  std::string html; // a file
};

mx::Dtype dtype_named(const std::string& name) {
  return name == "float16" ? mx::float16
      : name == "bfloat16" ? mx::bfloat16
                           : mx::float32;
}

std::string command_line(const BenchCommand& c) {
  return fmt::format(
      "zmlx bench kernels --type {}{}{}{}",
      c.type,
      c.gradient ? " --gradient" : "",
      c.quick ? " --quick" : "",
      c.kernels.empty() ? "" : fmt::format(" {}", fmt::join(c.kernels, " ")));
}

lab::BenchOptions options_of(const BenchCommand& c) {
  lab::BenchOptions how;
  how.type = dtype_named(c.type);
  how.gradient = c.gradient;
  if (c.quick) {
    how.elements = 1 << 20;
    how.rounds = 5;
  }
  return how;
}

int run_kernels(const BenchCommand& c) {
  const auto kernels = kernels_named(c.kernels);
  catch_interrupts();
  lab::BenchRun run;
  run.device = measure::device_facts();
  run.simd = backend::peer_facts().instructions;
  run.roofs = lab::measure_roofs();
  run.date = date_now();
  run.command = command_line(c);
  auto how = options_of(c);
  {
    Progress progress(stderr, "kernels");
    how.progress = [&](const std::string& kernel, int done, int total) {
      check_interrupted();
      progress.update(kernel, done, total);
    };
    run.kernels = lab::bench_kernels(kernels, how);
  }
  if (!c.html.empty()) {
    write_file_atomically(c.html, lab::bench_html(run));
  }
  write(
      stdout,
      c.json ? lab::bench_json(run).dump(2) + "\n"
             : lab::bench_table(
                   run, terminal_width(stdout).value_or(0), use_color(stdout)));
  return exit_ok;
}

int run_op(bool json) {
  const auto result = lab::bench_call(31);
  const auto& interval = result.speedup.interval;
  if (json) {
    const nlohmann::ordered_json document{
        {"add_seconds", result.ours.seconds.median},
        {"add_spread", result.ours.seconds.spread()},
        {"mx_add_seconds", result.mlx.seconds.median},
        {"mx_add_spread", result.mlx.seconds.spread()},
        {"speedup", result.speedup.ratio},
        {"speedup_interval", {interval.lower, interval.upper}}};
    write(stdout, document.dump(2) + "\n");
    return exit_ok;
  }
  Table table(
      {{"a call, 1,000 elements"},
       {"time", Table::Align::right},
       {"spread", Table::Align::right}});
  for (const auto* side : {&result.ours, &result.mlx}) {
    table.add_row(
        {side->name,
         format_seconds(side->seconds.median),
         fmt::format("{:.0f} %", 100 * side->seconds.spread())});
  }
  write(
      stdout,
      fmt::format(
          "{}\nspeedup  {}x ({} .. {}), in chains of 100 calls\n",
          table.to_string(),
          format_number(result.speedup.ratio),
          format_number(interval.lower),
          format_number(interval.upper)));
  return exit_ok;
}

void add_kernels_command(CLI::App& app, const Chosen& chosen) {
  auto c = std::make_shared<BenchCommand>();
  auto* sub = app.add_subcommand(
      "kernels", "Kernels of the catalogue against MLX's own operations");
  add_kernel_names(*sub, c->kernels);
  sub->add_option("--type", c->type, "Type of the inputs")
      ->check(one_of({"float32", "bfloat16", "float16"}))
      ->capture_default_str();
  sub->add_flag("--gradient", c->gradient, "Time the gradients");
  sub->add_flag("--quick", c->quick, "Small arrays and few rounds");
  sub->add_flag("--json", c->json, "Print one JSON document");
  sub->add_option("--html", c->html, "Write a page with charts to this file");
  sub->callback([c, chosen] { *chosen = [c] { return run_kernels(*c); }; });
}

void add_op_command(CLI::App& app, const Chosen& chosen) {
  auto json = std::make_shared<bool>(false);
  auto* sub = app.add_subcommand(
      "op", "What the host spends on a call, against that of an MLX operation");
  sub->add_flag("--json", *json, "Print one JSON document");
  sub->callback([json, chosen] { *chosen = [json] { return run_op(*json); }; });
}

const CommandRegistration command({
    "bench",
    "Measure models, kernels, or the cost of a call, against stock MLX",
    [](CLI::App& app) -> std::function<int()> {
      auto chosen = std::make_shared<std::function<int()>>();
      add_kernels_command(app, chosen);
      add_op_command(app, chosen);
      add_bench_model(app, chosen);
      return [chosen] {
        if (!*chosen) {
          throw user_error(
              "bench: expected what to measure: kernels, op or model. `zmlx "
              "bench --help` says more.");
        }
        return (*chosen)();
      };
    },
});

} // namespace

std::string date_now() {
  return fmt::format("{:%FT%TZ}", fmt::gmtime(std::time(nullptr)));
}

} // namespace zmlx::cli
