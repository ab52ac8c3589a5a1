#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "zmlx/export.h"

namespace zmlx {

/// The candidate that `name` was most likely meant to be; nothing where none
/// is near (more than a third of the letters differ). Case is ignored.
ZMLX_API std::optional<std::string> nearest_name(
    std::string_view name,
    std::span<const std::string> candidates);

/// " Did you mean 'x'?" or "": to end the message of an unknown name with.
ZMLX_API std::string did_you_mean(
    std::string_view name,
    std::span<const std::string> candidates);

/// "98.3 MB", powers of 1000; "512 B".
ZMLX_API std::string format_bytes(double bytes);
/// "39.1 GB/s", powers of 1000.
ZMLX_API std::string format_rate(double bytes_per_second);
/// "1.23 s", "45.6 ms", "7.89 us", "12 ns".
ZMLX_API std::string format_seconds(double seconds);
/// Three significant digits without an exponent: "174", "5.72", "0.0912".
ZMLX_API std::string format_number(double value);
/// "1,234,567".
ZMLX_API std::string format_count(std::int64_t value);

/// Columns that a text takes in a terminal: its code points, which is right
/// for what we print; double-width scripts and combining marks are not counted
/// apart.
ZMLX_API std::size_t display_width(std::string_view text);

/// Breaks text at spaces into lines of at most `width` columns; a longer word
/// stays whole. Line breaks in the text are kept.
ZMLX_API std::vector<std::string> wrap_text(
    std::string_view text,
    std::size_t width);

/// A table for terminals: every table the program prints is one of these.
///
///   Table table({{"kernel"}, {"GB/s", Table::Align::right}});
///   table.add_row({"swiglu", "35.1"});
///   fmt::print("{}", table.to_string());
///
///   kernel  GB/s
///   ──────  ────
///   swiglu  35.1
class ZMLX_API Table {
 public:
  enum class Align { left, right };

  struct Column {
    std::string title;
    Align align = Align::left;
  };

  struct Layout {
    /// Columns of the terminal: the last column wraps to fit; 0 is no limit.
    int width = 0;
    /// Titles bold, rules dim.
    bool color = false;
    int indent = 0;
  };

  explicit Table(std::vector<Column> columns);

  /// One cell a column; InternalError on another number.
  void add_row(std::vector<std::string> cells);
  /// A rule between the rows before and after.
  void add_rule();

  bool empty() const {
    return rows_.empty();
  }
  /// Lines end in '\n'; no line ends in blanks. Without titles (all empty) the
  /// head is left out: a list of names and values.
  std::string to_string(const Layout& layout) const;
  std::string to_string() const {
    return to_string(Layout{});
  }

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_; // an empty row is a rule
};

} // namespace zmlx
