#pragma once

#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"

namespace zmlx {

/// Wrong use, and the whole message that it gets.
struct Wrong {
  std::function<void()> use;
  std::string expected;
};

inline std::string message_of(const std::function<void()>& use) {
  try {
    use();
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

inline void expect_messages(const std::vector<Wrong>& list) {
  for (size_t i = 0; i < list.size(); ++i) {
    EXPECT_EQ(message_of(list[i].use), list[i].expected) << "case " << i;
  }
}

} // namespace zmlx
