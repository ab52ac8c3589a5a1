// A real model on the test peer, through the same code as on the CPU.

#include <filesystem>

#include <gtest/gtest.h>

#include "tests/peer/peer.h"
#include "zmlx/io/tokenizer.h"
#include "zmlx/lab/validate.h"
#include "zmlx/models/load.h"

namespace zmlx::test_peer {
namespace {

TEST(SlowValidate, SmolLM2SaysTheSameOnTheTestPeer) {
  const auto file = std::filesystem::path(ZMLX_SOURCE_DIR) / "models" /
      "SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::filesystem::exists(file)) {
    GTEST_SKIP() << file << " is not there; ./demo.sh fetches it";
  }
  const auto prompt =
      io::Tokenizer::load(file).encode("The capital of France is", false);
  lab::ValidateOptions options{.max_tokens = 16, .runs = 1};
  options.patch.device = kDevice;
  const auto result = lab::validate(models::load(file), {prompt}, options);
  EXPECT_TRUE(result.report.plan_reason.empty()) << result.report.plan_reason;
  EXPECT_NE(result.judgement.verdict, measure::Verdict::failed)
      << result.judgement.reason;
  EXPECT_LT(result.judgement.distance->kl_patched, 1e-6);
  EXPECT_EQ(result.tokens_equal, result.tokens_total);
}

} // namespace
} // namespace zmlx::test_peer
