// Each fold alone: it saves the launches that it says it saves, and what the
// graph computes stays the same.

#include <functional>
#include <set>

#include <gtest/gtest.h>

#include "zmlx/graph/fold.h"
#include "zmlx/graph/lift.h"
#include "zmlx/graph/presets.h"
#include "zmlx/graph/to_mlx.h"
#include "zmlx/kernels/norms.h"
#include "zmlx/measure/tolerance.h"

namespace zmlx::graph {
namespace {

mx::array random(mx::Shape shape, int seed) {
  return mx::random::normal(
      std::move(shape), mx::float32, 0, 1, mx::random::key(seed));
}

struct Packed {
  mx::array w, scales, biases;

  Packed(int rows, int columns, int seed)
      : Packed(mx::quantize(random({rows, columns}, seed), 32, 4)) {}
  explicit Packed(std::vector<mx::array> parts)
      : w(parts[0]), scales(parts[1]), biases(parts[2]) {}

  mx::array operator()(const mx::array& x) const {
    return mx::quantized_matmul(x, w, scales, biases, true, 32, 4);
  }
};

Graph lift_step(const std::function<mx::array(const mx::array&)>& f) {
  auto x = placeholder({1, 64}, mx::float32);
  return lift({{"x", x}}, {{"y", f(x)}}, [](const mx::array&) { return ""; });
}

int launches(const Graph& graph) {
  int n = 0;
  for (const auto& node : graph.nodes) {
    n += node.kind == Kind::Kernel && node.tail_of < 0;
  }
  return n;
}

void expect_near(const mx::array& got, const mx::array& want) {
  const auto found = measure::compare(got, want, measure::OpClass::product);
  EXPECT_TRUE(found.ok()) << found.to_string();
}

/// How many launches the fold saves in the step of `f`. Fails where the folded
/// step computes something else.
int saved(
    const std::string& fold,
    const std::function<mx::array(const mx::array&)>& f) {
  const auto lifted = lift_step(f);
  const auto folded = apply_folds(lifted, {fold});
  const auto x = random({1, 64}, 99);
  const auto a = to_mlx(folded, {x})[0], b = f(x);
  EXPECT_EQ(a.dtype(), b.dtype());
  expect_near(a, b);
  expect_near(to_mlx(lifted, {x})[0], b);
  return launches(lifted) - launches(folded);
}

TEST(EachFold, MergeMaps) {
  const auto chain = [](const mx::array& x) {
    return mx::tanh(x * 2.f) + mx::exp(mx::negative(x));
  };
  // Multiply, tanh, negative, exp and add become one.
  EXPECT_EQ(saved("merge_maps", chain), 4);
  const auto read_twice = [](const mx::array& x) {
    auto e = mx::exp(x);
    return mx::softmax(e, -1) + mx::softmax(e * 2.f, -1);
  };
  // e has two readers and stays; the product by 2 goes into its softmax.
  EXPECT_EQ(saved("merge_maps", read_twice), 1);
}

TEST(EachFold, MergeProducts) {
  const Packed a(96, 64, 1), b(96, 64, 2), c(32, 64, 3);
  EXPECT_EQ(
      saved(
          "merge_products",
          [&](const mx::array& x) {
            return mx::sum(a(x) * b(x), -1, true) + c(x);
          }),
      2);
  // Products of different rows stay apart.
  EXPECT_EQ(
      saved(
          "merge_products",
          [&](const mx::array& x) { return a(x) + b(mx::exp(x)); }),
      0);
}

TEST(EachFold, MapIntoProduct) {
  const Packed w(64, 64, 4);
  EXPECT_EQ(
      saved("map_into_product", [&](const mx::array& x) { return x + w(x); }),
      1);
  EXPECT_EQ(
      saved(
          "map_into_product",
          [&](const mx::array& x) { return mx::softmax(w(x), -1); }),
      0);
}

TEST(EachFold, RowIntoProduct) {
  const Packed w(32, 64, 5);
  const auto norm = random({64}, 6);
  EXPECT_EQ(
      saved(
          "row_into_product",
          [&](const mx::array& x) {
            return w(kernels::rmsnorm(x, norm, 1e-5f));
          }),
      1);
  // A norm that something else reads too is computed once.
  EXPECT_EQ(
      saved(
          "row_into_product",
          [&](const mx::array& x) {
            auto n = kernels::rmsnorm(x, norm, 1e-5f);
            return w(n) + mx::sum(n, -1, true);
          }),
      0);
}

TEST(EachFold, LmHead) {
  const Packed w(32, 64, 7);
  EXPECT_EQ(
      saved(
          "lm_head",
          [&](const mx::array& x) {
            return mx::astype(mx::argmax(w(x), -1), mx::float32);
          }),
      1);
}

TEST(EachFold, NarrowConstants) {
  const auto exact =
      mx::astype(mx::astype(random({32, 64}, 8), mx::float16), mx::float32);
  const auto wide = random({32, 64}, 9);
  for (const auto& [w, type] :
       {std::pair{exact, lang::Type::F16}, {wide, lang::Type::F32}}) {
    const auto product = [&w = w](const mx::array& x) {
      return mx::matmul(x, mx::transpose(w));
    };
    EXPECT_EQ(saved("narrow_constants", product), 0);
    const auto folded = apply_folds(lift_step(product), {"narrow_constants"});
    for (const auto& node : folded.nodes) {
      if (node.kind == Kind::Constant) {
        EXPECT_EQ(node.results[0].type, type);
      }
    }
  }
}

TEST(EachFold, RopeCache) {
  auto x = placeholder({1, 64}, mx::float32);
  auto cache = placeholder({8, 64}, mx::float32);
  auto position = placeholder({1}, mx::int32);
  const Packed w(64, 64, 10);
  const auto make = [&](const mx::array& x,
                        const mx::array& cache,
                        const mx::array& position) {
    auto keys = mx::sin(w(x));
    return mx::slice_update(cache, keys, position, {0});
  };
  const auto lifted = lift(
      {{"x", x}, {"cache", cache}, {"position", position}},
      {{"cache", make(x, cache, position)}},
      [](const mx::array&) { return ""; });
  const auto folded = apply_folds(lifted, {"rope_cache"});
  // The keys are computed where the cache keeps them, not copied there.
  EXPECT_EQ(launches(lifted) - launches(folded), 1);
  const std::vector<mx::array> given{
      random({1, 64}, 11), random({8, 64}, 12), mx::array({5})};
  const auto want = make(given[0], given[1], given[2]);
  const auto got = to_mlx(folded, given)[0];
  expect_near(got, want);
}

TEST(EachFold, NoneIsWithoutATest) {
  const std::set<std::string> tested{
      "merge_maps",
      "merge_products",
      "map_into_product",
      "row_into_product",
      "rope_cache",
      "narrow_constants",
      "lm_head"};
  for (const auto& name : folds_of({}, {})) {
    const bool of_a_test = name == "troubled"; // fold_test.cpp registers it
    EXPECT_TRUE(of_a_test || tested.contains(name)) << name;
  }
}

} // namespace
} // namespace zmlx::graph
