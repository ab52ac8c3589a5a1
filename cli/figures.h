#pragma once

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

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

} // namespace zmlx::cli
