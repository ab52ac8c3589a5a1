#include "zmlx/lab/chart.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace zmlx::lab {

namespace {

// In units of the picture, which is as wide as the page gives it.
constexpr double kWidth = 900, kLeft = 210, kRight = 120;
constexpr double kRow = 18, kBar = 11, kHeading = 26, kAxis = 24;
constexpr double kRadius = 3; // of the end of a bar that shows the value

double place(const Scale& scale, double value) {
  double share = 0;
  if (scale.logarithmic) {
    const double v = std::clamp(value, scale.low, scale.high);
    share = std::log(v / scale.low) / std::log(scale.high / scale.low);
  } else {
    share = std::clamp(value / scale.high, 0.0, 1.0);
  }
  return kLeft + share * (kWidth - kLeft - kRight);
}

// A bar with its far end rounded.
std::string bar_path(double from, double to, double y) {
  const double r = std::min(kRadius, std::abs(to - from));
  const double s = to < from ? -r : r;
  return fmt::format(
      "M{0:.1f} {1:.1f}H{2:.1f}q{3:.1f} 0 {3:.1f} {4:.1f}v{5:.1f}q0 {4:.1f} "
      "{6:.1f} {4:.1f}H{0:.1f}z",
      from,
      y,
      to - s,
      s,
      r,
      kBar - 2 * r,
      -s);
}

std::string draw_bar(const Bar& bar, const Scale& scale, double y) {
  const double start = place(scale, scale.logarithmic ? 1 : 0);
  const double end = place(scale, bar.value);
  const double top = y + (kRow - kBar) / 2, middle = y + kRow / 2;
  std::string text = fmt::format(
      "<g class=\"bar\"><title>{}</title>"
      "<rect x=\"0\" y=\"{:.1f}\" width=\"{}\" height=\"{}\" class=\"hit\"/>"
      "<text x=\"{}\" y=\"{:.1f}\" class=\"label\">{}</text>"
      "<path d=\"{}\" class=\"{}\"/>",
      xml_escaped(
          bar.label + ": " + bar.text + (bar.more.empty() ? "" : "\n") +
          bar.more),
      y,
      kWidth,
      kRow,
      kLeft - 8,
      middle + 4,
      xml_escaped(bar.label),
      bar_path(start, end, top),
      scale.logarithmic && bar.value < 1 ? "below" : "above");
  double beyond = std::max(start, end);
  if (bar.interval) {
    const double low = place(scale, bar.interval->first);
    const double high = place(scale, bar.interval->second);
    beyond = std::max(beyond, high);
    text += fmt::format(
        "<path d=\"M{0:.1f} {2:.1f}H{1:.1f}\" class=\"interval\"/>",
        low,
        high,
        middle);
  }
  return text +
      fmt::format(
             "<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"value\">{}</text></g>\n",
             beyond + 6,
             middle + 4,
             xml_escaped(bar.text));
}

std::string draw_axis(const Scale& scale, double height) {
  std::string text;
  for (double tick : scale.ticks) {
    const double x = place(scale, tick);
    const bool base = scale.logarithmic && tick == 1;
    text += fmt::format(
        "<path d=\"M{0:.1f} {1}V{2:.1f}\" class=\"{3}\"/>"
        "<text x=\"{0:.1f}\" y=\"{4}\" class=\"tick\">{5:g}{6}</text>\n",
        x,
        kAxis,
        height,
        base ? "base" : "grid",
        kAxis - 8,
        tick,
        xml_escaped(scale.unit));
  }
  if (scale.mark) {
    text += fmt::format(
        "<path d=\"M{0:.1f} {1}V{2:.1f}\" class=\"mark\"/>\n",
        place(scale, *scale.mark),
        kAxis,
        height);
  }
  return text;
}

} // namespace

Scale linear_scale(const std::vector<Bar>& bars, double least_high) {
  double high = least_high;
  for (const auto& bar : bars) {
    high = std::max(high, bar.value);
  }
  Scale scale;
  const double rough = high / 5;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double part = rough / power;
  const double step = power *
      (part <= 1       ? 1
           : part <= 2 ? 2
           : part <= 5 ? 5
                       : 10);
  scale.high = step * std::ceil(high / step - 1e-9);
  for (int i = 0; i * step <= scale.high * (1 + 1e-9); ++i) {
    scale.ticks.push_back(i * step);
  }
  return scale;
}

Scale ratio_scale(const std::vector<Bar>& bars) {
  double low = 0.5, high = 2;
  for (const auto& bar : bars) {
    low = std::min(low, bar.value);
    high = std::max(high, bar.value);
  }
  const double first = std::floor(std::log2(low)),
               last = std::ceil(std::log2(high));
  const double step = std::max(1.0, std::ceil((last - first) / 10));
  Scale scale{
      .logarithmic = true,
      .low = std::exp2(first),
      .high = std::exp2(last),
      .unit = {'x'}};
  // From 1 to both sides, so that 1 is among them.
  for (double e = -step * std::floor(-first / step); e <= last; e += step) {
    scale.ticks.push_back(std::exp2(e));
  }
  return scale;
}

std::string bar_chart(
    const std::string& title,
    const std::vector<Bar>& bars,
    const Scale& scale) {
  std::string rows, group;
  double y = kAxis + 4;
  for (const auto& bar : bars) {
    if (bar.group != group) {
      group = bar.group;
      y += kHeading;
      rows += fmt::format(
          "<text x=\"{}\" y=\"{:.1f}\" class=\"group\">{}</text>\n",
          kLeft - 8,
          y - 8,
          xml_escaped(group));
    }
    rows += draw_bar(bar, scale, y);
    y += kRow;
  }
  return fmt::format(
      "<svg viewBox=\"0 0 {} {:.0f}\" role=\"img\" aria-label=\"{}\">\n{}{}"
      "</svg>\n",
      kWidth,
      y + 6,
      xml_escaped(title),
      draw_axis(scale, y),
      rows);
}

std::string xml_escaped(std::string_view text) {
  std::string result;
  for (char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&#39;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

} // namespace zmlx::lab
