#include "cli/catalogue.h"

#include <algorithm>

namespace zmlx::cli {

void add_kernel_names(CLI::App& app, std::vector<std::string>& names) {
  app.add_option(
      "kernels", names, "Kernels of the catalogue; all when left out");
}

std::vector<const op::Op*> kernels_named(
    const std::vector<std::string>& names) {
  std::vector<const op::Op*> chosen;
  for (const auto& name : names) {
    chosen.push_back(&op::find_op(name));
  }
  std::vector<const op::Op*> list;
  for (const auto* kernel : op::catalogue()) {
    if (names.empty() ||
        std::find(chosen.begin(), chosen.end(), kernel) != chosen.end()) {
      list.push_back(kernel);
    }
  }
  return list;
}

} // namespace zmlx::cli
