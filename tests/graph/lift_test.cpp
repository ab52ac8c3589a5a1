#include "zmlx/graph/lift.h"

#include <functional>

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"
#include "zmlx/graph/fold.h"
#include "zmlx/graph/presets.h"
#include "zmlx/graph/to_mlx.h"
#include "zmlx/kernels/norms.h"

namespace zmlx::graph {
namespace {

using Function = std::function<mx::array(const std::vector<mx::array>&)>;

mx::array random(mx::Shape shape, int seed) {
  return mx::random::normal(
      std::move(shape), mx::float32, 0, 1, mx::random::key(seed));
}

Graph lift_function(const Function& f, const std::vector<mx::array>& inputs) {
  std::vector<Named> named;
  std::vector<mx::array> places;
  for (size_t i = 0; i < inputs.size(); i++) {
    places.push_back(placeholder(inputs[i].shape(), inputs[i].dtype()));
    named.push_back({"x" + std::to_string(i), places.back()});
  }
  return lift(named, {{"y", f(places)}}, [](const mx::array&) { return ""; });
}

int count(const Graph& graph, Kind kind) {
  int n = 0;
  for (const auto& node : graph.nodes) {
    n += node.kind == kind;
  }
  return n;
}

void expect_equal(const mx::array& a, const mx::array& b) {
  ASSERT_EQ(a.shape(), b.shape());
  ASSERT_EQ(a.dtype(), b.dtype());
  auto difference = mx::max(mx::abs(a - b)).item<float>();
  auto scale = mx::max(mx::abs(b)).item<float>();
  EXPECT_LE(difference, 2e-6f * scale + 1e-7f);
}

/// The lifted graph, and the folded one, compute what the function does.
/// Returns the folded graph.
Graph expect_same(
    const Function& f,
    const std::vector<mx::array>& inputs,
    int foreign = 0) {
  auto lifted = lift_function(f, inputs);
  EXPECT_EQ(count(lifted, Kind::Foreign), foreign);
  auto expected = f(inputs);
  expect_equal(to_mlx(lifted, inputs)[0], expected);
  auto folded = apply_folds(lifted, folds_of({}, {}));
  expect_equal(to_mlx(folded, inputs)[0], expected);
  return folded;
}

TEST(Lift, ElementwiseChainsBecomeOneKernel) {
  auto folded = expect_same(
      [](const auto& x) {
        auto gate = x[0] * mx::sigmoid(x[0]);
        return mx::tanh(gate * x[1] + 0.5f) - mx::square(x[1]);
      },
      {random({3, 40}, 1), random({3, 40}, 2)});
  EXPECT_EQ(count(folded, Kind::Kernel), 1);
}

TEST(Lift, ViewsMoveNothing) {
  auto folded = expect_same(
      [](const auto& x) {
        auto heads =
            mx::transpose(mx::reshape(x[0], {1, 1, 4, 16}), {0, 2, 1, 3});
        auto part = mx::slice(heads, {0, 1, 0, 2}, {1, 4, 1, 14}, {1, 2, 1, 3});
        return mx::reshape(part * 2.0f, {8});
      },
      {random({1, 1, 64}, 3)});
  EXPECT_EQ(count(folded, Kind::Kernel), 1);
}

TEST(Lift, ReshapeOfWhatStridesCannotSayIsACopy) {
  auto f = [](const auto& x) {
    return mx::reshape(mx::transpose(x[0]), {15}) * x[1];
  };
  auto lifted = lift_function(f, {random({3, 5}, 4), random({15}, 5)});
  EXPECT_EQ(count(lifted, Kind::Kernel), 2);
  expect_same(f, {random({3, 5}, 4), random({15}, 5)});
}

TEST(Lift, WhatDependsOnNoInputIsComputedOnce) {
  auto table = mx::exp(mx::arange(0.0, 8.0));
  auto folded = expect_same(
      [&](const auto& x) { return x[0] * mx::sqrt(table); },
      {random({2, 8}, 6)});
  EXPECT_EQ(count(folded, Kind::Constant), 1);
  EXPECT_EQ(count(folded, Kind::Kernel), 1);
}

TEST(Lift, AnUnknownPrimitiveStaysForeignWithItsReason) {
  Function f = [](const auto& x) { return mx::sort(x[0] * 2.0f, -1) + x[0]; };
  auto lifted = lift_function(f, {random({4, 9}, 7)});
  ASSERT_EQ(count(lifted, Kind::Foreign), 1);
  for (const auto& node : lifted.nodes) {
    if (node.kind == Kind::Foreign) {
      EXPECT_EQ(node.name, "Sort");
      EXPECT_NE(node.reason.find("no kernel"), std::string::npos);
    }
  }
  expect_same(f, {random({4, 9}, 7)}, 1);
}

TEST(Lift, QuantizedMlpFoldsIntoTwoLaunches) {
  auto quantized = [](int rows, int columns, int seed) {
    return mx::quantize(random({rows, columns}, seed), 32, 4);
  };
  auto gate = quantized(96, 64, 8), up = quantized(96, 64, 9),
       down = quantized(64, 96, 10);
  auto norm = random({64}, 11);
  auto multiply = [](const mx::array& x, const std::vector<mx::array>& w) {
    return mx::quantized_matmul(x, w[0], w[1], w[2], true, 32, 4);
  };
  auto folded = expect_same(
      [&](const auto& x) {
        auto n = kernels::rmsnorm(x[0], norm, 1e-5f);
        auto g = multiply(n, gate);
        auto h = g * mx::sigmoid(g) * multiply(n, up);
        return x[0] + multiply(h, down);
      },
      {random({1, 1, 64}, 12)});
  EXPECT_EQ(count(folded, Kind::Kernel), 2);
  std::vector<std::string> labels;
  for (const auto& node : folded.nodes) {
    if (node.kind == Kind::Kernel) {
      labels.push_back(label_of(node));
    }
  }
  EXPECT_EQ(
      labels, (std::vector<std::string>{"swiglu_mlp", "product + residual"}));
}

TEST(Lift, DenseProductsWithBias) {
  auto w = random({48, 32}, 13), b = random({48}, 14);
  auto folded = expect_same(
      [&](const auto& x) {
        return mx::addmm(b, x[0], mx::transpose(w)) +
            mx::matmul(x[0], mx::transpose(w * 0.5f));
      },
      {random({2, 32}, 15)});
  EXPECT_LE(count(folded, Kind::Kernel), 2);
}

TEST(Lift, AValueReadTwiceIsNotFoldedAway) {
  expect_same(
      [](const auto& x) {
        auto e = mx::exp(x[0]);
        return e / mx::sum(e, -1, true) + mx::softmax(x[0], -1);
      },
      {random({5, 17}, 16)});
}

TEST(Folds, UnknownNamesAreRefused) {
  EXPECT_THROW(folds_of({"swiglu_mpl"}, {}), UserError);
  try {
    folds_of({"swiglu_mpl"}, {});
  } catch (const UserError& e) {
    EXPECT_NE(std::string(e.what()).find("swiglu_mlp"), std::string::npos);
  }
}

TEST(Folds, PatternsAndPresetsNameFolds) {
  auto all = folds_of({}, {});
  EXPECT_EQ(all.size(), all_folds().size());
  auto mlp = folds_of({"swiglu_mlp"}, {});
  EXPECT_EQ(
      mlp,
      (std::vector<std::string>{
          "merge_maps", "merge_products", "map_into_product"}));
  auto less = folds_of({}, {"rope_cache"});
  EXPECT_EQ(less.size(), all.size() - 1);
}

} // namespace
} // namespace zmlx::graph
