#include <gtest/gtest.h>

#include "tests/io/temp_folder.h"
#include "zmlx/io/config.h"

namespace zmlx::io::testing {
namespace {

using nlohmann::json;

Config config(const char* text) {
  return Config(parse_json(text, "c.json"), "c.json");
}

TEST(Config, Integers) {
  auto c = config(R"({"a": 7, "b": 7.0, "n": null})");
  EXPECT_EQ(c.require_int("a", 0, 7), 7);
  EXPECT_EQ(c.require_int("b", 7, 9), 7);
  EXPECT_EQ(c.optional_int("n", 3, 0, 9), 3);
  EXPECT_EQ(c.optional_int("missing", -1, 0, 9), -1);
  expect_user_error(
      [&] { c.require_int("a", 8, 9); },
      "c.json: 'a' is 7, expected an integer in [8, 9]");
  expect_user_error(
      [&] { c.require_int("n", 0, 9); },
      "c.json: 'n' is missing, expected an integer");
}

TEST(Config, WhatIsNoInteger) {
  for (const char* value :
       {"7.5",
        "\"7\"",
        "true",
        "[7]",
        "{}",
        "1e300",
        "9223372036854775808",
        "18446744073709551615",
        "-9223372036854775808"}) {
    auto c = config((std::string("{\"a\": ") + value + "}").c_str());
    expect_user_error(
        [&] { c.require_int("a", INT32_MIN, INT32_MAX); },
        "expected an integer in [-2147483648, 2147483647]");
  }
}

TEST(Config, Numbers) {
  auto c = config(R"({"a": 1e-5, "b": 2, "c": "1", "n": null})");
  EXPECT_EQ(c.require_float("a", 0, 1), 1e-5);
  EXPECT_EQ(c.require_float("b", 0, 2), 2.0);
  EXPECT_EQ(c.optional_float("n", 0.5, 0, 1), 0.5);
  expect_user_error(
      [&] { c.require_float("b", 0, 1); },
      "c.json: 'b' is 2, expected a number in [0, 1]");
  expect_user_error([&] { c.require_float("c", 0, 1); }, "'c' is \"1\"");
  Config nan({{"a", std::numeric_limits<double>::quiet_NaN()}}, "nan");
  expect_user_error([&] { nan.require_float("a", -1e300, 1e300); }, "'a' is");
}

TEST(Config, StringsBoolsAndObjects) {
  auto c = config(R"({"s": "x", "b": true, "o": {"k": 1}, "i": [1, 2]})");
  EXPECT_EQ(c.require_string("s"), "x");
  EXPECT_EQ(c.optional_string("missing", "y"), "y");
  EXPECT_TRUE(c.optional_bool("b", false));
  EXPECT_EQ(c.int_or_ints("i", 0, 9), (std::vector<int>{1, 2}));
  EXPECT_FALSE(c.object("missing"));
  expect_user_error(
      [&] { c.object("o")->require_int("k", 2, 3); },
      "c.json: 'o': 'k' is 1, expected an integer in [2, 3]");
  expect_user_error(
      [&] { c.optional_bool("s", true); },
      "'s' is \"x\", expected true or false");
  expect_user_error(
      [&] { c.require_string("b"); }, "'b' is true, expected a string");
  expect_user_error(
      [&] { c.int_or_ints("i", 0, 1); },
      "'i' is 2, expected an integer in [0, 1]");
}

TEST(Config, MessagesStayShortAndPrintable) {
  std::string long_text(5000, 'x');
  Config c({{"a", long_text}, {"b", "\xff\x01\n"}}, "c.json");
  try {
    c.require_int("a", 0, 1);
    FAIL();
  } catch (const UserError& error) {
    EXPECT_LT(std::string(error.what()).size(), 200u);
  }
  expect_user_error([&] { c.require_int("b", 0, 1); }, "\\u0001\\n");
}

TEST(ParseJson, IsStrict) {
  EXPECT_EQ(parse_json(R"({"a": {"k": 1}, "b": {"k": 2}})", "x").size(), 2u);
  EXPECT_TRUE(parse_json("[]", "x").is_array());
  for (const char* text :
       {"",
        " ",
        "{",
        "{\"a\":}",
        "{\"a\":1,}",
        "[1,2",
        "nul",
        "{} {}",
        "NaN",
        "\"\xc3\"",
        "\"\\ud800\"",
        "01",
        "'a'",
        "// x\n{}"}) {
    expect_user_error([&] { parse_json(text, "x.json"); }, "x.json: not valid");
  }
  expect_user_error(
      [] { parse_json(R"([{"a": 1, "b": {}, "a": 2}])", "x"); },
      "x: duplicate JSON key 'a'");
  expect_user_error(
      [] { parse_json(std::string(1 << 20, '['), "x"); }, "nested deeper");
}

} // namespace
} // namespace zmlx::io::testing
