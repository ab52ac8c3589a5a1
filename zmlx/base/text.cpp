#include "zmlx/base/text.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

namespace zmlx {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  for (auto& c : result) {
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return result;
}

// Optimal string alignment: insertions, deletions, substitutions, and swaps of
// neighbours cost one each.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1),
      row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

// Digits after the point that leave three significant ones; what rounds up to
// the next power of ten has one fewer.
int decimals(double magnitude) {
  if (magnitude == 0) {
    return 0;
  }
  auto power = static_cast<int>(std::floor(std::log10(magnitude * 1.0005)));
  return std::clamp(2 - power, 0, 9);
}

std::string
scaled(double value, double step, std::span<const char* const> units) {
  std::size_t unit = 0;
  // 999.5 would print as 1000 of the smaller unit.
  while (std::abs(value) >= 0.9995 * step && unit + 1 < units.size()) {
    value /= step;
    ++unit;
  }
  return fmt::format(
      "{:.{}f} {}",
      value,
      unit == 0 ? 0 : decimals(std::abs(value)),
      units[unit]);
}

} // namespace

std::optional<std::string> nearest_name(
    std::string_view name,
    std::span<const std::string> candidates) {
  // Names are short; a long text is no misspelling, and its distance costs.
  if (name.empty() || name.size() > 200) {
    return std::nullopt;
  }
  auto wanted = lower(name);
  std::optional<std::string> best;
  std::size_t best_distance = 0;
  for (const auto& candidate : candidates) {
    auto distance = edit_distance(wanted, lower(candidate));
    auto limit =
        std::max<std::size_t>(1, std::max(name.size(), candidate.size()) / 3);
    if (distance <= limit && (!best || distance < best_distance)) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string did_you_mean(
    std::string_view name,
    std::span<const std::string> candidates) {
  auto nearest = nearest_name(name, candidates);
  return nearest ? fmt::format(" Did you mean '{}'?", *nearest) : "";
}

std::string format_number(double value) {
  if (!std::isfinite(value)) {
    return fmt::format("{}", value);
  }
  return fmt::format("{:.{}f}", value, decimals(std::abs(value)));
}

std::string format_bytes(double bytes) {
  constexpr const char* units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  return scaled(bytes, 1000, units);
}

std::string format_rate(double bytes_per_second) {
  return format_bytes(bytes_per_second) + "/s";
}

std::string format_seconds(double seconds) {
  constexpr const char* units[] = {"ns", "us", "ms", "s"};
  return scaled(seconds * 1e9, 1000, units);
}

std::string format_count(std::int64_t value) {
  auto text = fmt::format("{}", value);
  auto first = value < 0 ? 1 : 0;
  for (int at = static_cast<int>(text.size()) - 3; at > first; at -= 3) {
    text.insert(static_cast<std::size_t>(at), ",");
  }
  return text;
}

std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
      }));
}

std::vector<std::string> wrap_text(std::string_view text, std::size_t width) {
  std::vector<std::string> lines(1);
  std::size_t at = 0;
  while (at < text.size()) {
    if (text[at] == '\n') {
      lines.emplace_back();
      ++at;
      continue;
    }
    auto end = text.find_first_of(" \n", at);
    auto word = text.substr(at, end - at);
    auto& line = lines.back();
    if (!line.empty() &&
        display_width(line) + 1 + display_width(word) > width) {
      lines.emplace_back(word);
    } else {
      line += line.empty() ? "" : " ";
      line += word;
    }
    at += word.size();
    at += at < text.size() && text[at] == ' ' ? 1 : 0;
  }
  return lines;
}

} // namespace zmlx
