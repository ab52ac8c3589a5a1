// Every kernel of the catalogue in every type, case and layout against the
// reference in float64, and its gradients (zmlx/lab/check.h). Names no kernel:
// a new one is covered as soon as it registers.

#include <gtest/gtest.h>

#include <cstdio>

#include "zmlx/lab/check.h"

namespace zmlx::lab {

namespace {

struct Counts {
  int kernels = 0;
  int cases = 0;
  int64_t comparisons = 0;
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
        "conformance: cpu: %d kernels, %d cases, %lld comparisons, %lld "
        "values\n",
        c.kernels,
        c.cases,
        static_cast<long long>(c.comparisons),
        static_cast<long long>(c.values));
  }
};
const auto* const kPrintCounts =
    testing::AddGlobalTestEnvironment(new PrintCounts);

class Conformance : public testing::TestWithParam<const op::Op*> {};

TEST_P(Conformance, EqualsTheReference) {
  const auto found = check_kernel(*GetParam());
  for (const auto& failure : found.failures) {
    ADD_FAILURE() << name_of(failure.check) << ": " << failure.where << ": "
                  << failure.what;
  }
  EXPECT_EQ(found.failed, 0);
  counts().kernels++;
  counts().cases += found.cases;
  counts().comparisons += found.all_comparisons();
  counts().values += found.values;
}

INSTANTIATE_TEST_SUITE_P(
    Catalogue,
    Conformance,
    testing::ValuesIn(op::catalogue()),
    [](const auto& info) { return info.param->name(); });

} // namespace

} // namespace zmlx::lab
