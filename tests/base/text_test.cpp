#include "zmlx/base/text.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"

namespace zmlx {
namespace {

TEST(Text, NearestNameIsWhatWasMeant) {
  std::vector<std::string> names{"silu", "sigmoid", "swiglu", "rms_norm"};
  EXPECT_EQ(nearest_name("sillu", names), "silu");
  EXPECT_EQ(nearest_name("SILU", names), "silu");
  EXPECT_EQ(nearest_name("slgmoid", names), "sigmoid");
  EXPECT_EQ(nearest_name("rmsnorm", names), "rms_norm");
  EXPECT_EQ(nearest_name("siwglu", names), "swiglu"); // a swap is one slip
  EXPECT_EQ(nearest_name("attention", names), std::nullopt);
  EXPECT_EQ(nearest_name("", names), std::nullopt);
  EXPECT_EQ(nearest_name("silu", {}), std::nullopt);
  EXPECT_EQ(nearest_name(std::string(1 << 20, 'x'), names), std::nullopt);
  EXPECT_EQ(did_you_mean("sillu", names), " Did you mean 'silu'?");
  EXPECT_EQ(did_you_mean("attention", names), "");
}

TEST(Text, Units) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(512), "512 B");
  EXPECT_EQ(format_bytes(98.3e6), "98.3 MB");
  EXPECT_EQ(format_bytes(999999), "1.00 MB");
  EXPECT_EQ(format_bytes(1e18), "1000 PB");
  EXPECT_EQ(format_rate(39.12e9), "39.1 GB/s");
  EXPECT_EQ(format_seconds(12e-9), "12 ns");
  EXPECT_EQ(format_seconds(0.0456), "45.6 ms");
  EXPECT_EQ(format_seconds(75), "75.0 s");
  EXPECT_EQ(format_number(174.2), "174");
  EXPECT_EQ(format_number(5.719), "5.72");
  EXPECT_EQ(format_number(-0.09123), "-0.0912");
  EXPECT_EQ(format_number(0), "0");
  EXPECT_EQ(format_number(std::nan("")), "nan");
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1234567), "1,234,567");
  EXPECT_EQ(format_count(-123456), "-123,456");
}

TEST(Text, WidthCountsCodePoints) {
  EXPECT_EQ(display_width("abc"), 3u);
  EXPECT_EQ(display_width("é→─"), 3u);
}

TEST(Text, WrapKeepsWordsAndBreaks) {
  using Lines = std::vector<std::string>;
  EXPECT_EQ(wrap_text("one two three", 8), (Lines{"one two", "three"}));
  EXPECT_EQ(wrap_text("toolongword ab", 4), (Lines{"toolongword", "ab"}));
  EXPECT_EQ(wrap_text("a\n\nb", 8), (Lines{"a", "", "b"}));
  EXPECT_EQ(wrap_text("", 8), (Lines{""}));
}

TEST(Table, AlignsColumnsAndTrimsLines) {
  Table table({{"kernel"}, {"GB/s", Table::Align::right}, {"note"}});
  table.add_row({"swiglu", "35.1", ""});
  table.add_row({"rms_norm→", "7", "a b"});
  EXPECT_EQ(
      table.to_string(),
      "kernel     GB/s  note\n"
      "─────────  ────  ────\n"
      "swiglu     35.1\n"
      "rms_norm→     7  a b\n");
}

TEST(Table, LastColumnWrapsToTheTerminal) {
  Table table({{"site"}, {"reason"}});
  table.add_row({"a", "no kernel for this operation yet"});
  EXPECT_EQ(
      table.to_string({.width = 28}),
      "site  reason\n"
      "────  ──────────────────────\n"
      "a     no kernel for this\n"
      "      operation yet\n");
}

TEST(Table, WithoutTitlesThereIsNoHead) {
  Table table({{""}, {""}});
  table.add_row({"model", "x"});
  table.add_rule();
  table.add_row({"device", "y"});
  EXPECT_EQ(
      table.to_string({.indent = 2}),
      "  model   x\n  ──────  ─\n  device  y\n");
}

TEST(Table, ColourMarksTheHead) {
  Table table({{"a"}, {"b"}});
  table.add_row({"1", "2"});
  EXPECT_EQ(
      table.to_string({.color = true}),
      "\033[1ma  b\033[0m\n\033[2m─  ─\033[0m\n1  2\n");
}

TEST(Table, RowsHaveOneCellAColumn) {
  Table table({{"a"}, {"b"}});
  EXPECT_THROW(table.add_row({"1"}), InternalError);
  EXPECT_THROW(Table({}), InternalError);
}

} // namespace
} // namespace zmlx
