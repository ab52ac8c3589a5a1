// Every kernel of the catalogue, on every peer, in every type, case and layout,
// against the reference in float64. Names no kernel: a new one is covered as
// soon as it registers.

#include <gtest/gtest.h>

#include <cstdio>

#include "tests/conformance/inputs.h"
#include "zmlx/measure/tolerance.h"
#include "zmlx/op/convert.h"
#include "zmlx/op/op.h"
#include "zmlx/op/reference.h"

namespace zmlx::conformance {

namespace {

struct Counts {
  int kernels = 0;
  int cases = 0;
  int comparisons = 0;
  int64_t values = 0;
};

Counts& counts() {
  static Counts instance;
  return instance;
}

class PrintCounts : public testing::Environment {
 public:
  void TearDown() override {
    const auto& c = counts();
    std::printf(
        "conformance: cpu: %d kernels, %d cases, %d comparisons, %lld values\n",
        c.kernels,
        c.cases,
        c.comparisons,
        static_cast<long long>(c.values));
  }
};
const auto* const kPrintCounts =
    testing::AddGlobalTestEnvironment(new PrintCounts);

measure::OpClass class_of(const lang::Body& body) {
  auto kind = measure::OpClass::map;
  std::vector<lang::Expr> roots;
  for (const auto& output : body.outputs) {
    roots.push_back(output.value);
  }
  lang::for_each_node(roots, [&](const lang::Node& node) {
    if (node.op == lang::Op::Product || node.op == lang::Op::Attention) {
      kind = measure::OpClass::product;
    } else if (
        lang::is_reduction(node.op) && kind != measure::OpClass::product) {
      kind = measure::OpClass::row;
    }
  });
  return kind;
}

class Conformance : public testing::TestWithParam<const op::Op*> {};

TEST_P(Conformance, EqualsTheReference) {
  const op::Op& kernel = *GetParam();
  const auto listed = kernel.define().listed_cases();
  ASSERT_FALSE(listed.empty()) << "a kernel without cases is not tested";
  counts().kernels++;
  for (const auto& c : listed) {
    counts().cases++;
    const auto defined = kernel.define(c.attributes);
    const auto& body = defined.body();
    for (auto type : {mx::float32, mx::float16, mx::bfloat16}) {
      for (auto layout : kLayouts) {
        SCOPED_TRACE(
            c.name + ", " + std::string(lang::name_of(op::to_lang(type))) +
            ", " + name_of(layout));
        const auto inputs = inputs_of(defined, c, type, layout);
        auto got =
            kernel.with(c.attributes).all({inputs.begin(), inputs.end()});
        mx::eval(got);
        auto want = op::reference(body, inputs, op::Precision::Double);
        ASSERT_EQ(got.size(), want.size());
        for (size_t i = 0; i < got.size(); ++i) {
          counts().comparisons++;
          counts().values += static_cast<int64_t>(got[i].size());
          const auto result = measure::compare(got[i], want[i], class_of(body));
          ASSERT_TRUE(result.ok()) << "output " << body.outputs[i].name << ": "
                                   << result.to_string();
        }
      }
    }
  }
  for (const auto& fallback : op::fallbacks()) {
    EXPECT_NE(fallback.kernel, kernel.name())
        << "ran as MLX operations: " << fallback.reason;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Catalogue,
    Conformance,
    testing::ValuesIn(op::catalogue()),
    [](const auto& info) { return info.param->name(); });

} // namespace

} // namespace zmlx::conformance
