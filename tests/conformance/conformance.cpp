// Every kernel of the catalogue in every type, case and layout against the
// reference in float64, and its gradients (zmlx/lab/check.h), on the CPU, on
// the test peer, or on a GPU (--on-gpu). Names no kernel: a new one is covered
// as soon as it registers.

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
        test_peer::chosen_name(),
        c.kernels,
        c.cases,
        static_cast<long long>(c.comparisons),
        static_cast<long long>(c.values));
  }
};
const auto* const kPrintCounts =
    testing::AddGlobalTestEnvironment(new PrintCounts);

// Peers other than the CPU's refuse some programs, which then run as MLX
// operations: that is right, and what they compute is checked all the same.
bool is_refusal(const CheckFailure& failure) {
  const auto says = [&](const char* words) {
    return failure.what.find(words) != std::string::npos;
  };
  return failure.check == Check::fallback &&
      ((test_peer::on_test_peer() && says("the test peer takes no")) ||
       says("on CUDA"));
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
