// Every kernel of the catalogue in every type, case and layout against the
// reference in float64, and its gradients (zmlx/lab/check.h), on the CPU or on
// the test peer. Names no kernel: a new one is covered as soon as it registers.

#include <gtest/gtest.h>

#include <cstdio>

#include "tests/peer/chosen.h"
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
        "conformance: %s: %d kernels, %d cases, %lld comparisons, %lld "
        "values\n",
        test_peer::on_test_peer() ? "test peer" : "cpu",
        c.kernels,
        c.cases,
        static_cast<long long>(c.comparisons),
        static_cast<long long>(c.values));
  }
};
const auto* const kPrintCounts =
    testing::AddGlobalTestEnvironment(new PrintCounts);

// The test peer refuses some programs, which then run as MLX operations: that
// is right, and what they compute is checked all the same.
bool is_refusal(const CheckFailure& failure) {
  return test_peer::on_test_peer() && failure.check == Check::fallback &&
      failure.what.find("the test peer takes no") != std::string::npos;
}

class Conformance : public testing::TestWithParam<const op::Op*> {};

TEST_P(Conformance, EqualsTheReference) {
  const auto found = check_kernel(*GetParam(), {}, test_peer::chosen_stream());
  int64_t refused = 0;
  for (const auto& failure : found.failures) {
    if (is_refusal(failure)) {
      ++refused;
      continue;
    }
    ADD_FAILURE() << name_of(failure.check) << ": " << failure.where << ": "
                  << failure.what;
  }
  EXPECT_EQ(found.failed, refused);
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
