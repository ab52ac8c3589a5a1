#include <algorithm>

#include <fmt/format.h>

#include "zmlx/base/errors.h"
#include "zmlx/base/text.h"

namespace zmlx {
namespace {

constexpr std::size_t gap = 2; // blanks between columns
constexpr std::size_t narrowest = 20; // the last column wraps no narrower

using Widths = std::vector<std::size_t>;

std::string pad(std::string_view text, std::size_t width, Table::Align align) {
  std::string blanks(width - std::min(width, display_width(text)), ' ');
  return align == Table::Align::left ? std::string(text) + blanks
                                     : blanks + std::string(text);
}

void append_line(
    std::string& out,
    std::string line,
    const char* color = nullptr) {
  line.erase(line.find_last_not_of(' ') + 1);
  out += color ? color + line + "\033[0m\n" : line + "\n";
}

std::string repeat(std::string_view text, std::size_t times) {
  std::string result;
  for (std::size_t i = 0; i < times; ++i) {
    result += text;
  }
  return result;
}

// The line that holds one cell of every column.
std::string join_cells(
    const std::vector<std::string>& cells,
    const std::vector<Table::Column>& columns,
    const Widths& widths,
    int indent) {
  std::string line(static_cast<std::size_t>(indent), ' ');
  for (std::size_t i = 0; i < cells.size(); ++i) {
    line += (i ? std::string(gap, ' ') : "") +
        pad(cells[i], widths[i], columns[i].align);
  }
  return line;
}

void append_rule(std::string& out, const Widths& widths, Table::Layout layout) {
  std::string line(static_cast<std::size_t>(layout.indent), ' ');
  for (std::size_t i = 0; i < widths.size(); ++i) {
    line += (i ? std::string(gap, ' ') : "") + repeat("─", widths[i]);
  }
  append_line(out, std::move(line), layout.color ? "\033[2m" : nullptr);
}

} // namespace

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {
  if (columns_.empty()) {
    throw internal_error("table: expected at least one column, got none");
  }
}

void Table::add_row(std::vector<std::string> cells) {
  if (cells.size() != columns_.size()) {
    throw internal_error(
        "table: expected {} cells in a row, got {}",
        columns_.size(),
        cells.size());
  }
  rows_.push_back(std::move(cells));
}

void Table::add_rule() {
  rows_.emplace_back();
}

std::string Table::to_string(const Layout& layout) const {
  Widths widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    auto width = display_width(columns_[i].title);
    for (const auto& row : rows_) {
      width = std::max(width, row.empty() ? 0 : display_width(row[i]));
    }
    widths.push_back(width);
  }
  auto& last = widths.back();
  if (layout.width > 0) {
    auto used = static_cast<std::size_t>(layout.indent);
    for (std::size_t i = 0; i + 1 < widths.size(); ++i) {
      used += widths[i] + gap;
    }
    auto limit = static_cast<std::size_t>(layout.width);
    auto room = limit > used ? limit - used : 0;
    last = std::min(last, std::max(narrowest, room));
  }

  std::string out;
  std::vector<std::string> titles;
  bool any_title = false;
  for (const auto& column : columns_) {
    titles.push_back(column.title);
    any_title |= !column.title.empty();
  }
  if (any_title) {
    auto head = join_cells(titles, columns_, widths, layout.indent);
    append_line(out, std::move(head), layout.color ? "\033[1m" : nullptr);
    append_rule(out, widths, layout);
  }
  for (const auto& row : rows_) {
    if (row.empty()) {
      append_rule(out, widths, layout);
      continue;
    }
    auto cells = row;
    for (const auto& line : wrap_text(row.back(), last)) {
      cells.back() = line;
      append_line(out, join_cells(cells, columns_, widths, layout.indent));
      std::fill(cells.begin(), cells.end(), "");
    }
  }
  return out;
}

} // namespace zmlx
