#include <nlohmann/json.hpp>

#include "cli/catalogue.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "zmlx/base/atomic_file.h"
#include "zmlx/base/errors.h"
#include "zmlx/base/settings.h"
#include "zmlx/lab/check_report.h"

namespace zmlx::cli {

namespace {

namespace mx = mlx::core;

struct CheckCommand {
  std::vector<std::string> kernels;
  bool json = false;
  std::string csv; // a file
  std::string device = "cpu";
};

/// What kernels are held against is computed on the CPU, whatever MLX's default
/// device is.
mx::StreamOrDevice stream_of(const CheckCommand& c) {
  mx::set_default_device(mx::Device::cpu);
  if (c.device == "cpu") {
    return {};
  }
  if (!mx::is_available(mx::Device::gpu)) {
    throw environment_error(
        "check --device gpu: MLX has no GPU here; expected its CUDA wheel and a "
        "driver");
  }
  return mx::default_stream(mx::Device::gpu);
}

std::vector<lab::KernelCheck> check_with_progress(const CheckCommand& c) {
  const auto kernels = kernels_named(c.kernels);
  const auto stream = stream_of(c);
  catch_interrupts();
  Progress progress(stderr, "cases");
  return lab::check_kernels(
      kernels,
      [&](const std::string& kernel, int done, int total) {
        check_interrupted();
        progress.update(kernel, done, total);
      },
      stream);
}

int run_check(const CheckCommand& c) {
  const auto results = check_with_progress(c);
  if (!c.csv.empty()) {
    write_file_atomically(c.csv, lab::check_csv(results));
  }
  const auto document = lab::check_json(results);
  write(
      stdout,
      c.json ? document.dump(2) + "\n"
             : lab::check_table(
                   results,
                   terminal_width(stdout).value_or(0),
                   use_color(stdout)));
  return document["passed"].get<bool>() ? exit_ok : exit_failed;
}

const CommandRegistration command({
    "check",
    "Hold kernels and their gradients against the reference, in every case",
    [](CLI::App& app) -> std::function<int()> {
      auto c = std::make_shared<CheckCommand>();
      add_kernel_names(app, c->kernels);
      app.add_option(
          "--csv", c->csv, "Write the table of what is supported to this file");
      app.add_option("--device", c->device, "Where the kernels run")
          ->check(CLI::IsMember({"cpu", "gpu"}))
          ->capture_default_str();
      app.add_flag("--json", c->json, "Print one JSON document");
      return [c] { return run_check(*c); };
    },
});

} // namespace

} // namespace zmlx::cli
