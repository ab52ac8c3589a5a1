#include <gtest/gtest.h>
#include <mlx/mlx.h>

// Every test of this folder states one fact about MLX that the code relies on,
// so that an upgrade of MLX says what changed. This one says that it is due.
TEST(MlxFacts, ThisIsTheVersionTheFactsAreOf) {
  EXPECT_STREQ(mlx::core::version(), "0.32.4");
}
