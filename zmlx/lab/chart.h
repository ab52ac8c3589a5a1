#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "zmlx/export.h"

/// Bars as inline SVG. Colours are CSS variables of the page, so
/// that one picture serves light and dark.
namespace zmlx::lab {

struct Bar {
  std::string group; // a heading where it differs from the bar before
  std::string label;
  double value = 0;
  /// An interval around the value, drawn as a line.
  std::optional<std::pair<double, double>> interval = {};
  std::string text; // at the bar's end
  std::string more; // what a pointer on it shows
};

struct Scale {
  /// Bars start at 1 and go to the left below it; else they start at 0.
  bool logarithmic = false;
  double low = 0; // of a logarithmic scale
  double high = 1;
  std::vector<double> ticks;
  std::string unit; // after the numbers of ticks: " %", "x"
  /// Values drawn as a line across all bars.
  std::optional<double> mark = {};
};

/// A scale for these values: `least_high` is reached at least.
ZMLX_API Scale linear_scale(const std::vector<Bar>& bars, double least_high);
/// From 1/2 or the least value to 2 or the largest, in steps of 2.
ZMLX_API Scale ratio_scale(const std::vector<Bar>& bars);

/// One <svg>, `title` for readers that do not see it. Each bar is one
/// <g class="bar">.
ZMLX_API std::string bar_chart(
    const std::string& title,
    const std::vector<Bar>& bars,
    const Scale& scale);

/// The text with the five characters of XML that mean something replaced.
ZMLX_API std::string xml_escaped(std::string_view text);

} // namespace zmlx::lab
