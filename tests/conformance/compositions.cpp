// What someone would write in MLX's own operations gives what the kernel gives:
// benchmarks compare like with like.

#include <gtest/gtest.h>

#include <algorithm>

#include "zmlx/lab/case_inputs.h"
#include "zmlx/measure/tolerance.h"
#include "zmlx/op/op.h"

namespace zmlx::conformance {

namespace mx = mlx::core;

namespace {

class Composition : public testing::TestWithParam<const op::Op*> {};

TEST_P(Composition, GivesWhatTheKernelGives) {
  const op::Op& kernel = *GetParam();
  const auto listed = kernel.define().listed_cases();
  for (const auto& c : listed) {
    SCOPED_TRACE(c.name);
    const auto defined = kernel.define(c.attributes);
    const auto inputs =
        lab::inputs_of(defined, c, mx::float32, lab::Layout::dense);
    const auto empty = [](const mx::array& a) { return a.size() == 0; };
    if (std::any_of(inputs.begin(), inputs.end(), empty)) {
      continue; // MLX refuses some of these
    }
    const auto got = kernel.mlx()(inputs, defined.attributes());
    const auto want =
        kernel.with(c.attributes).all({inputs.begin(), inputs.end()});
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < got.size(); ++i) {
      // Terms are of the size of 1, also where they cancel to nothing.
      const auto largest =
          mx::max(mx::abs(mx::astype(want[i], mx::float32))).item<float>();
      const auto result = measure::compare(
          got[i],
          want[i],
          measure::OpClass::product,
          largest < 1 ? std::optional(1.0) : std::nullopt);
      EXPECT_TRUE(result.ok())
          << defined.body().outputs[i].name << ": " << result.to_string();
    }
  }
}

// MLX draws other random numbers than ours.
bool draws(const op::Op& kernel) {
  bool found = false;
  lang::for_each_node(lang::roots(kernel.body()), [&](const lang::Node& node) {
    found = found || node.op == lang::Op::Random;
  });
  return found;
}

std::vector<const op::Op*> with_composition() {
  std::vector<const op::Op*> found;
  for (const op::Op* kernel : op::catalogue()) {
    if (kernel->mlx() && !draws(*kernel)) {
      found.push_back(kernel);
    }
  }
  return found;
}

INSTANTIATE_TEST_SUITE_P(
    Catalogue,
    Composition,
    testing::ValuesIn(with_composition()),
    [](const auto& info) { return info.param->name(); });

} // namespace

} // namespace zmlx::conformance
