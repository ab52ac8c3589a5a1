#include "zmlx/lab/catalogue_page.h"

#include <map>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "zmlx/lang/derive.h"
#include "zmlx/op/op.h"

namespace zmlx::lab {

namespace {

// A cell ends at a bar.
std::string cell(const std::string& text) {
  std::string result;
  for (char c : text) {
    if (c == '|') {
      result.push_back('\\');
    }
    result.push_back(c);
  }
  return result;
}

// "rmsnorm(x, w, eps)", "geglu2(gate, up; exact = 0)",
// "add_rms_norm(x, residual, w, eps) -> normed, sum".
std::string call_of(const op::Op& kernel, const lang::Define& defined) {
  std::vector<std::string> inputs, attributes, outputs;
  for (const auto& input : defined.body().inputs) {
    inputs.push_back(input.name);
  }
  for (const auto& [name, value] : defined.attributes()) {
    attributes.push_back(fmt::format("{} = {:g}", name, value));
  }
  for (const auto& output : defined.body().outputs) {
    outputs.push_back(output.name);
  }
  return fmt::format(
      "{}({}{}{}){}",
      kernel.name(),
      fmt::join(inputs, ", "),
      attributes.empty() ? "" : "; ",
      fmt::join(attributes, ", "),
      outputs.size() == 1 ? ""
                          : fmt::format(" -> {}", fmt::join(outputs, ", ")));
}

std::string gradients_of(const lang::Define& defined) {
  std::vector<std::string> names;
  size_t floats = 0;
  for (size_t i = 0; i < defined.body().inputs.size(); ++i) {
    const auto& name = defined.body().inputs[i].name;
    const auto fill = defined.fills().find(name);
    if (fill != defined.fills().end() && fill->second.type &&
        !lang::is_float(*fill->second.type)) {
      continue;
    }
    ++floats;
    if (lang::derive(defined.body(), {static_cast<int>(i)}, nullptr)) {
      names.push_back(name);
    }
  }
  return names.empty()         ? "-"
      : names.size() == floats ? "all"
                               : fmt::format("{}", fmt::join(names, ", "));
}

} // namespace

std::string catalogue_page() {
  std::map<std::string, std::string> families;
  for (const auto* kernel : op::catalogue()) {
    const auto defined = kernel->define();
    families[kernel->family()] += fmt::format(
        "| `{}` | {} | {} |\n",
        cell(call_of(*kernel, defined)),
        cell(kernel->summary()),
        gradients_of(defined));
  }
  std::string page = fmt::format(
      "# Kernels\n\n"
      "<!-- Made by `zmlx kernels --markdown`; edit the kernels instead. -->\n\n"
      "The {} kernels of the catalogue, by family: the file of\n"
      "`zmlx/kernels/` that defines them, whose comments say more about shapes. "
      "After\nthe semicolon stand attributes, numbers that are chosen when a "
      "kernel is made,\nwith their defaults. *Gradients* are the float inputs "
      "whose gradient is a kernel;\nof the others it is MLX's autodiff of the "
      "formula.\n",
      op::catalogue().size());
  for (const auto& [family, rows] : families) {
    page += fmt::format(
        "\n## {}\n\n| call | meaning | gradients |\n|---|---|---|\n{}",
        family,
        rows);
  }
  return page;
}

} // namespace zmlx::lab
