#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/output.h"
#include "zmlx/base/settings.h"
#include "zmlx/base/text.h"
#include "zmlx/lab/catalogue_page.h"
#include "zmlx/lang/print.h"
#include "zmlx/op/op.h"

namespace zmlx::cli {

namespace {

std::vector<std::string> names_of(const std::vector<lang::Input>& inputs) {
  std::vector<std::string> names;
  for (const auto& input : inputs) {
    names.push_back(input.name);
  }
  return names;
}

nlohmann::ordered_json to_json(const op::Op& kernel) {
  const auto defined = kernel.define();
  std::vector<std::string> outputs;
  for (const auto& output : defined.body().outputs) {
    outputs.push_back(output.name);
  }
  return {
      {"name", kernel.name()},
      {"aliases", op::aliases_of(kernel)},
      {"family", kernel.family()},
      {"summary", kernel.summary()},
      {"inputs", names_of(defined.body().inputs)},
      {"outputs", outputs},
      {"attributes", defined.attributes()},
      {"formula", lang::print(defined.body())},
      {"cases", defined.listed_cases().size()}};
}

std::string meaning(const op::Op& kernel) {
  const auto others = op::aliases_of(kernel);
  return others.empty()
      ? kernel.summary()
      : fmt::format(
            "{}; also named {}", kernel.summary(), fmt::join(others, ", "));
}

int run_kernels(bool json, bool markdown) {
  if (markdown) {
    write(stdout, lab::catalogue_page());
    return exit_ok;
  }
  if (json) {
    auto list = nlohmann::ordered_json::array();
    for (const auto* kernel : op::catalogue()) {
      list.push_back(to_json(*kernel));
    }
    write(stdout, list.dump(2) + "\n");
    return exit_ok;
  }
  Table table({{"kernel"}, {"inputs"}, {"meaning"}});
  for (const auto* kernel : op::catalogue()) {
    table.add_row(
        {kernel->name(),
         fmt::format("{}", fmt::join(names_of(kernel->body().inputs), ", ")),
         meaning(*kernel)});
  }
  write(
      stdout,
      table.to_string(
          {.width = terminal_width(stdout).value_or(0),
           .color = use_color(stdout)}));
  return exit_ok;
}

const CommandRegistration command({
    "kernels",
    "List the kernels of the catalogue",
    [](CLI::App& app) -> std::function<int()> {
      auto json = std::make_shared<bool>(false);
      auto markdown = std::make_shared<bool>(false);
      auto* flag = app.add_flag("--json", *json, "Print one JSON document");
      app.add_flag(
             "--markdown", *markdown, "Print the page that is docs/kernels.md")
          ->excludes(flag);
      return [json, markdown] { return run_kernels(*json, *markdown); };
    },
});

} // namespace

} // namespace zmlx::cli
