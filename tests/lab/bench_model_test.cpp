#include "zmlx/lab/bench_model.h"

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"
#include "zmlx/models/random.h"
#include "zmlx/models/registry.h"

namespace zmlx::lab {
namespace {

std::shared_ptr<const nn::Model> tiny() {
  return models::make_model(models::random_llama({.layers = 1}));
}

std::string message_of(const ModelBenchOptions& options) {
  try {
    bench_model(tiny(), options);
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

TEST(BenchModel, TimesEachTestOnBothSides) {
  std::vector<std::string> told;
  int last_done = 0, last_total = 0;
  const auto result = bench_model(
      tiny(),
      {.prompt = {3, 0},
       .generate = {2},
       .depth = {0, 4},
       .busy = {0, 1},
       .repetitions = 3,
       .progress = [&](const std::string& item, int done, int total) {
         told.push_back(item);
         EXPECT_GE(done, last_done);
         last_done = done;
         last_total = total;
       }});
  std::vector<std::string> names;
  for (const auto& row : result.rows) {
    names.push_back(row.test.name());
    for (const auto& timing : {row.stock, row.patched}) {
      ASSERT_TRUE(timing);
      EXPECT_EQ(timing->seconds.size(), 3u);
      EXPECT_GT(timing->rate(row.test).min, 0);
    }
    ASSERT_TRUE(row.speedup);
    EXPECT_GT(row.speedup->ratio, 0);
    EXPECT_LE(row.speedup->interval.lower, row.speedup->interval.upper);
  }
  EXPECT_EQ(
      names,
      (std::vector<std::string>{
          "pp3",
          "pp3, 1 busy",
          "tg2",
          "tg2, 1 busy",
          "pp3 @ d4",
          "pp3 @ d4, 1 busy",
          "tg2 @ d4",
          "tg2 @ d4, 1 busy"}));
  EXPECT_EQ(told.front(), "pp3, context, stock");
  EXPECT_EQ(last_total, 8 * 2 * (3 + 1));
  EXPECT_EQ(last_done, last_total - 1);
  EXPECT_GT(result.model_bytes, 0u);
  EXPECT_GT(result.weight_bytes, 0);
}

TEST(BenchModel, RatesAreTokensPerSecond) {
  const ModelTiming timing{{2, 4, 8}};
  EXPECT_DOUBLE_EQ(timing.rate({.n_prompt = 16}).median, 4);
  EXPECT_DOUBLE_EQ(timing.rate({.n_generate = 8, .n_depth = 100}).max, 4);
}

TEST(BenchModel, LeavesASideOut) {
  const auto result = bench_model(
      tiny(),
      {.prompt = {}, .generate = {2}, .repetitions = 1, .stock = false});
  ASSERT_EQ(result.rows.size(), 1u);
  EXPECT_FALSE(result.rows[0].stock);
  EXPECT_TRUE(result.rows[0].patched);
  EXPECT_FALSE(result.rows[0].speedup);
}

TEST(BenchModel, RefusesWhatCannotBeMeasured) {
  EXPECT_EQ(
      message_of({.prompt = {0}, .generate = {}}),
      "bench model: expected something to measure");
  EXPECT_EQ(
      message_of({.stock = false, .patched = false}),
      "bench model: expected something to measure");
  EXPECT_EQ(
      message_of({.repetitions = 0}),
      "bench model: repetitions must be at least 1, got 0");
  EXPECT_EQ(
      message_of({.depth = {-1}}),
      "bench model: depth must be at least 0, got -1");
  EXPECT_THROW(bench_model(nullptr, {}), UserError);
  const auto beyond = message_of({.prompt = {1 << 30}});
  EXPECT_TRUE(beyond.starts_with(
      "bench model: pp1073741824 takes 1073741824 tokens, beyond the model's "
      "context of "))
      << beyond;
}

TEST(BenchModel, StopsWhereItIsTold) {
  EXPECT_THROW(
      bench_model(tiny(), {.cancelled = [] { return true; }}), nn::Stopped);
}

} // namespace
} // namespace zmlx::lab
