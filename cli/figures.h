#pragma once

#include <optional>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "zmlx/base/other_load.h"
#include "zmlx/base/settings.h"
#include "zmlx/base/text.h"

/// Figures that may not have been measured: such a one is never printed as a
/// number.
namespace zmlx::cli {

/// The figure as `format` writes it, else "not measured".
template <typename T, typename Format>
std::string figure_text(const std::optional<T>& figure, Format format) {
  return figure ? format(*figure) : "not measured";
}

/// The figure, else null.
template <typename T>
nlohmann::ordered_json figure_json(const std::optional<T>& figure) {
  return figure ? nlohmann::ordered_json(*figure) : nullptr;
}

/// A line that says that the machine was busy while speeds were measured; empty
/// where it was not, and where that is not known.
inline std::string busy_text(const std::optional<double>& other_cpus) {
  if (other_cpus.value_or(0) < worth_telling_cpus) {
    return "";
  }
  return fmt::format(
      "busy    {:.1f} of {} CPUs went to other programs meanwhile\n",
      *other_cpus,
      available_cpus());
}

} // namespace zmlx::cli
