#include "zmlx/base/settings.h"

#include <map>

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"

namespace zmlx {
namespace {

Settings read(std::map<std::string, std::string> variables) {
  return read_settings([&](const char* name) -> std::optional<std::string> {
    auto found = variables.find(name);
    return found == variables.end() ? std::nullopt
                                    : std::optional(found->second);
  });
}

std::string refusal(std::map<std::string, std::string> variables) {
  try {
    read(std::move(variables));
  } catch (const UserError& e) {
    return e.what();
  }
  return "";
}

TEST(Settings, CacheFollowsXdg) {
  EXPECT_EQ(
      read({{"XDG_CACHE_HOME", "/c"}, {"HOME", "/h"}}).cache_dir, "/c/zmlx");
  EXPECT_EQ(read({{"HOME", "/h"}}).cache_dir, "/h/.cache/zmlx");
  EXPECT_EQ(
      read({{"XDG_CACHE_HOME", ""}, {"HOME", "/h"}}).cache_dir,
      "/h/.cache/zmlx");
  EXPECT_EQ(
      read({{"XDG_CACHE_HOME", "rel"}, {"HOME", "/h"}}).cache_dir,
      "/h/.cache/zmlx");
  EXPECT_TRUE(read({}).cache_dir.is_absolute());
}

TEST(Settings, ThreadsAreAWholeNumber) {
  EXPECT_EQ(read({}).threads, available_cpus());
  EXPECT_EQ(read({{"ZMLX_THREADS", "7"}}).threads, 7);
  for (const char* bad :
       {"0", "-1", "1025", "two", "2x", "2.5", " 2", "99999999999999999999"}) {
    EXPECT_EQ(
        refusal({{"ZMLX_THREADS", bad}}),
        std::string("ZMLX_THREADS: expected a whole number from 1 to "
                    "1024, got '") +
            bad + "'");
  }
}

TEST(Settings, LogLevelIsAName) {
  EXPECT_EQ(read({}).log_level, LogLevel::warn);
  EXPECT_EQ(read({{"ZMLX_LOG", "debug"}}).log_level, LogLevel::debug);
  EXPECT_EQ(read({{"ZMLX_LOG", "off"}}).log_level, LogLevel::off);
  EXPECT_EQ(
      refusal({{"ZMLX_LOG", "loud"}}),
      "ZMLX_LOG: expected debug, info, warn, error or off, got 'loud'");
}

TEST(Settings, ColourConventions) {
  EXPECT_EQ(read({}).color, ColorMode::automatic);
  EXPECT_EQ(
      read({{"NO_COLOR", "1"}, {"CLICOLOR_FORCE", "1"}}).color,
      ColorMode::never);
  EXPECT_EQ(read({{"NO_COLOR", ""}}).color, ColorMode::automatic);
  EXPECT_EQ(read({{"CLICOLOR_FORCE", "1"}}).color, ColorMode::always);
  EXPECT_EQ(read({{"CLICOLOR_FORCE", "0"}}).color, ColorMode::automatic);
  EXPECT_EQ(read({{"TERM", "dumb"}}).color, ColorMode::never);
}

TEST(Settings, AFileIsNoTerminal) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  EXPECT_FALSE(is_terminal(file));
  EXPECT_EQ(terminal_width(file), std::nullopt);
  std::fclose(file);
}

} // namespace
} // namespace zmlx
