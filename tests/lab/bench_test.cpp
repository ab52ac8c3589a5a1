#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "zmlx/base/errors.h"
#include "zmlx/kernels/gather.h"
#include "zmlx/lab/bench_case.h"
#include "zmlx/lab/bench_report.h"
#include "zmlx/lab/catalogue_page.h"
#include "zmlx/lab/chart.h"

namespace zmlx::lab {
namespace {

using Shapes = std::vector<lang::Shape>;

const op::Op scaled{
    "test_scaled",
    "x w over rows | with a scale",
    [](lang::Define& k) {
      auto x = k.input("x"), w = k.input("w"), scale = k.scalar("scale");
      k.output(x * w * scale);
      k.cases({{"small", {{3}, {3}, {}}}, {"odd", {{5, 31}, {31}, {}}}});
    },
    [](const std::vector<mx::array>& in, const lang::Attributes&) {
      return std::vector<mx::array>{
          mx::multiply(mx::multiply(in[0], in[1]), in[2])};
    }};

const op::Op marked{"test_marked", "x", [](lang::Define& k) {
                      k.output(k.input("x"));
                      lang::Case c{"chosen", {{2, 100}}};
                      c.bench = true;
                      k.cases({{"large", {{64, 64}}}, c});
                    }};

const op::Op packed{"test_packed", "x W^T", [](lang::Define& k) {
                      auto x = k.input("x");
                      k.output(lang::product(x, k.weight("w", 4, 64)));
                      k.cases({{"8x64", {{1, 64}, {8, 8}, {8, 1}, {8, 1}}}});
                    }};

const op::Op indices{"test_indices", "i + 1", [](lang::Define& k) {
                       auto i = k.input("i");
                       k.output(i + 1);
                       k.fill(i, {lang::Type::I32, 0, 9});
                       k.cases({{"(4)", {{4}}}});
                     }};

TEST(BenchCase, RowsAreAsLongAsRealOnesAndTheLeadingAxisGrows) {
  const auto c = bench_case(scaled, 1 << 20);
  EXPECT_EQ(c.shapes[0][1], 4096);
  EXPECT_EQ(c.shapes[0][0] % 5, 0);
  EXPECT_GT(c.shapes[0][0], 50);
  EXPECT_EQ(c.shapes[1], (lang::Shape{4096}));
  EXPECT_EQ(c.shapes[2], lang::Shape{});
}

TEST(BenchCase, TheMarkedCaseIsTaken) {
  EXPECT_EQ(bench_case(marked, 4000).shapes, (Shapes{{20, 100}}));
  EXPECT_EQ(bench_case(marked, 100).shapes, (Shapes{{2, 100}}));
}

TEST(BenchCase, RowsOfAWeightGrowTogether) {
  const auto shapes = bench_case(packed, 10'000).shapes;
  EXPECT_EQ(shapes[0], (lang::Shape{1, 64}));
  EXPECT_GT(shapes[1][0], 100);
  EXPECT_EQ(shapes[2], (lang::Shape{shapes[1][0], 1}));
  EXPECT_EQ(shapes[3], shapes[2]);
}

TEST(BenchCase, GatheredRowsGrowAndTheTableStays) {
  const auto c = bench_case(kernels::gather_add, 1 << 20);
  EXPECT_EQ(c.shapes, (Shapes{{255, 256}, {5 * 256}, {5 * 256, 256}}));
  EXPECT_EQ(c.fills.at("indices").high, 254);
}

TEST(BenchKernel, ValuesAndGradientsAreTimedOnBothSides) {
  BenchOptions how{.elements = 1000, .rounds = 3};
  for (bool gradient : {false, true}) {
    how.gradient = gradient;
    const auto result = bench_kernel(scaled, how);
    EXPECT_EQ(result.skipped, "");
    EXPECT_TRUE(result.idiomatic);
    EXPECT_EQ(result.ours.samples.size(), 3u);
    EXPECT_EQ(result.mlx.samples.size(), 3u);
    // x and out, or x, its gradient and the cotangent; w and its gradient.
    const int64_t x = 5 * 4096, w = 4096;
    EXPECT_EQ(
        result.bytes, 4. * (gradient ? 3 * x + 2 * w + 1 : 2 * x + w + 1));
  }
}

TEST(BenchKernel, WithoutAGradientThereIsAReason) {
  const auto result =
      bench_kernel(indices, {.gradient = true, .elements = 10, .rounds = 1});
  EXPECT_EQ(result.skipped, "no input of a float type");
}

KernelBench measured(const std::string& name, double ours, double mlx) {
  KernelBench k;
  k.kernel = name;
  k.family = "family";
  k.shapes = "(4, 4)";
  k.type = "float32";
  k.bytes = 1e9;
  k.ours = {name, {ours, ours}, {ours, ours, ours, ours, ours}};
  k.mlx = {"mlx", {mlx, mlx}, {mlx, mlx, mlx, mlx, mlx}};
  k.speedup = {mlx / ours, {0.9 * mlx / ours, 1.1 * mlx / ours}};
  return k;
}

BenchRun a_run() {
  BenchRun run;
  run.roofs = {50e9, 40e9, 2};
  run.command = "zmlx bench kernels a<b";
  auto skipped = measured("not_timed", 1, 1);
  skipped.skipped = "no input of a float type";
  run.kernels = {
      measured("fast", 0.04, 0.4), measured("slow", 0.1, 0.05), skipped};
  return run;
}

size_t occurrences(const std::string& text, const std::string& what) {
  size_t n = 0;
  for (size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + 1)) {
    ++n;
  }
  return n;
}

TEST(BenchReport, JsonHasGoogleBenchmarksShape) {
  const auto json = nlohmann::json::parse(bench_json(a_run()).dump());
  EXPECT_EQ(json["context"]["triad_bytes_per_second"], 50e9);
  ASSERT_EQ(json["benchmarks"].size(), 3u);
  const auto& fast = json["benchmarks"][0];
  EXPECT_EQ(fast["name"], "fast/float32");
  EXPECT_EQ(fast["time_unit"], "ns");
  EXPECT_DOUBLE_EQ(fast["real_time"], 0.04e9);
  EXPECT_DOUBLE_EQ(fast["bytes_per_second"], 25e9);
  EXPECT_DOUBLE_EQ(fast["share_of_triad"], 0.5);
  EXPECT_DOUBLE_EQ(fast["speedup"], 10);
  EXPECT_EQ(json["benchmarks"][2]["error_occurred"], true);
}

TEST(BenchReport, ThePageHasABarAKernelInEachChartAndNeedsNoNetwork) {
  const auto page = bench_html(a_run());
  EXPECT_EQ(occurrences(page, "<svg "), 2u);
  EXPECT_EQ(occurrences(page, "<g class=\"bar\">"), 4u);
  EXPECT_EQ(occurrences(page, "class=\"below\""), 1u); // slow's speedup
  EXPECT_EQ(occurrences(page, "not_timed"), 1u); // among the notes
  EXPECT_NE(page.find("a&lt;b"), std::string::npos);
  EXPECT_EQ(page.find("http"), std::string::npos);
  EXPECT_EQ(page.find("src="), std::string::npos);
}

TEST(BenchReport, TheTableSaysWhatWasLeftOut) {
  const auto table = bench_table(a_run());
  EXPECT_NE(table.find("not timed: no input"), std::string::npos) << table;
  EXPECT_NE(table.find("10.0x"), std::string::npos) << table;
}

TEST(Chart, ScalesHoldEveryBarAndTheirBase) {
  std::vector<Bar> bars(2);
  bars[0].value = 0.03;
  bars[1].value = 70;
  const auto ratio = ratio_scale(bars);
  EXPECT_LE(ratio.low, 0.03);
  EXPECT_GE(ratio.high, 70);
  EXPECT_NE(
      std::find(ratio.ticks.begin(), ratio.ticks.end(), 1.0),
      ratio.ticks.end());
  EXPECT_EQ(
      linear_scale(bars, 100).ticks,
      (std::vector<double>{0, 20, 40, 60, 80, 100}));
}

TEST(CataloguePage, EachKernelIsARowOfItsFamily) {
  const auto page = catalogue_page();
  EXPECT_NE(page.find("\n## bench_test\n"), std::string::npos);
  EXPECT_NE(
      page.find(
          "| `test_scaled(x, w, scale)` | x w over rows \\| with a scale | "
          "all |\n"),
      std::string::npos)
      << page;
}

} // namespace
} // namespace zmlx::lab
