#include "zmlx/graph/fold.h"

#include <functional>
#include <new>

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "zmlx/base/errors.h"
#include "zmlx/graph/lift.h"
#include "zmlx/graph/presets.h"
#include "zmlx/kernels/norms.h"

namespace zmlx::graph {
namespace {

// What the fold below does when it runs; nothing but in its own test.
std::function<void()> trouble;

const AddFold kTroubled({
    .name = "troubled",
    .summary = "throws",
    .order = 1000,
    .run =
        [](Graph&) {
          if (trouble) {
            trouble();
          }
        },
});

mx::array random(mx::Shape shape, int seed) {
  return mx::random::normal(
      std::move(shape), mx::float32, 0, 1, mx::random::key(seed));
}

/// The step y(x), lifted; `weights` have names w0, w1 ...
Graph lifted(
    const std::function<std::vector<mx::array>(const mx::array&)>& step,
    const std::vector<mx::array>& weights = {}) {
  auto x = placeholder({1, 64}, mx::float32);
  std::vector<Named> outputs;
  for (auto& y : step(x)) {
    outputs.push_back({fmt::format("y{}", outputs.size()), y});
  }
  return lift({{"x", x}}, outputs, [&](const mx::array& a) -> std::string {
    for (size_t i = 0; i < weights.size(); i++) {
      if (weights[i].id() == a.id() ||
          (a.has_primitive() && a.inputs().size() == 1 &&
           a.inputs()[0].id() == weights[i].id())) {
        return fmt::format("layer{}.weight", i);
      }
    }
    return "";
  });
}

Graph silu() {
  return lifted(
      [](const mx::array& x) { return std::vector{x * mx::sigmoid(x)}; });
}

template <typename Error>
std::string message_of_troubled() {
  try {
    apply_folds(silu(), {"troubled"});
  } catch (const Error& error) {
    trouble = nullptr;
    return error.what();
  }
  trouble = nullptr;
  return "no error";
}

TEST(Fold, AnErrorNamesItsFoldAndKeepsItsKind) {
  trouble = [] { throw user_error("no such thing"); };
  EXPECT_EQ(message_of_troubled<UserError>(), "fold troubled: no such thing");
  trouble = [] { throw environment_error("no memory"); };
  EXPECT_EQ(
      message_of_troubled<EnvironmentError>(), "fold troubled: no memory");
  trouble = [] { throw internal_error("broken"); };
  EXPECT_EQ(message_of_troubled<InternalError>(), "fold troubled: broken");
  trouble = [] { throw std::runtime_error("of MLX"); };
  EXPECT_EQ(message_of_troubled<InternalError>(), "fold troubled: of MLX");
  trouble = [] { throw std::bad_alloc(); };
  EXPECT_THROW(apply_folds(silu(), {"troubled"}), std::bad_alloc);
  trouble = nullptr;
}

std::vector<std::string> notes_of(const Graph& graph) {
  std::vector<std::string> all;
  for (const auto& note : graph.notes) {
    all.push_back(fmt::format(
        "{} | {} | {} | {}",
        note.fold,
        note.kernel,
        fmt::join(note.sites, ", "),
        note.reason));
  }
  return all;
}

TEST(Fold, WhatFitsLeavesNoNote) {
  const auto folded = apply_folds(silu(), folds_of({}, {}));
  EXPECT_TRUE(notes_of(folded).empty()) << notes_of(folded)[0];
}

TEST(Fold, ANormThatIsReadTwiceLeavesANoteAtItsReader) {
  const auto w = random({32, 64}, 1);
  auto graph = lifted(
      [&](const mx::array& x) {
        auto norm = kernels::rms_norm_no_weight(x, 1e-5f);
        return std::vector{mx::matmul(norm, mx::transpose(w)), norm};
      },
      {w});
  const auto folded = apply_folds(graph, {"row_into_product"});
  EXPECT_EQ(
      notes_of(folded),
      (std::vector<std::string>{
          "row_into_product | product | layer0 | its result is read elsewhere "
          "too"}));
  EXPECT_TRUE(graph.notes.empty()); // the lifted graph stays as it is
}

TEST(Fold, ConstantsThatSixteenBitsDoNotHoldLeaveANote) {
  const auto exact =
      mx::astype(mx::astype(random({32, 64}, 2), mx::bfloat16), mx::float32);
  const auto wide = random({48, 64}, 3);
  const auto graph = lifted(
      [&](const mx::array& x) {
        return std::vector{
            mx::matmul(x, mx::transpose(exact)),
            mx::matmul(mx::tanh(x), mx::transpose(wide))};
      },
      {exact, wide});
  EXPECT_EQ(
      notes_of(apply_folds(graph, {"narrow_constants"})),
      (std::vector<std::string>{
          "narrow_constants | product | layer1 | neither float16 nor bfloat16 "
          "holds its float32 constants exactly"}));
}

TEST(Fold, ALikeliestTokenOfWhatNoProductMadeLeavesANote) {
  const auto graph = lifted([](const mx::array& x) {
    return std::vector{mx::argmax(mx::tanh(x), -1)};
  });
  EXPECT_EQ(
      notes_of(apply_folds(graph, {"lm_head"})),
      (std::vector<std::string>{
          "lm_head | argmax | argmax | what it reads is not made by a "
          "product"}));
}

} // namespace
} // namespace zmlx::graph
