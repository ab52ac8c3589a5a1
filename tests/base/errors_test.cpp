#include "zmlx/base/errors.h"

#include <gtest/gtest.h>

namespace zmlx {
namespace {

TEST(Errors, AreMadeInOneLineAndToldApart) {
  try {
    throw user_error("{}: expected {} dims, got {}", "w", 2, 3);
  } catch (const UserError& e) {
    EXPECT_STREQ(e.what(), "w: expected 2 dims, got 3");
  }
  EXPECT_THROW(throw environment_error("no {}", "space"), EnvironmentError);
  EXPECT_THROW(throw internal_error("bug"), InternalError);
}

TEST(Errors, OursAreNoUserErrors) {
  EXPECT_FALSE((std::is_base_of_v<UserError, EnvironmentError>));
  EXPECT_FALSE((std::is_base_of_v<std::runtime_error, InternalError>));
}

} // namespace
} // namespace zmlx
