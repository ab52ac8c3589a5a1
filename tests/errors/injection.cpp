// Texts that try to be more than a formula: each is refused, by the place in
// it, and costs no memory.
#include <cstdio>
#include <regex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/errors/messages.h"
#include "zmlx/lang/parse.h"

namespace zmlx::lang {
namespace {

const std::vector<std::string> kPayloads = {
    "\"",
    "'a'",
    ";;",
    "; #include <unistd.h>",
    "#include \"/etc/passwd\"",
    "\n#define x 1\n",
    "asm(\"hlt\")",
    "__asm__ volatile(\"int3\")",
    "\\",
    "\\\n",
    std::string("\0", 1),
    std::string("1\0;", 3),
    "/* x */",
    "// x",
    "*/",
    "{ }",
    "({ x; })",
    "[0]",
    "x.y",
    "x->y",
    "*(int*)0 = 1",
    "& &x",
    "out[elem] = 0",
    "system(\"rm -rf /\")",
    "__builtin_trap()",
    "while (1) { }",
    "return 0",
    "goto x",
    "using namespace std;",
    "template <typename T>",
    "struct A { };",
    "device float* p = 0;",
    "threadgroup_barrier(mem_flags::mem_none)",
    "_Pragma(\"once\")",
    "R\"(x)\"",
    "?\?/",
    "$(id)",
    "`id`",
    "%s%n",
    "@x",
    "x++; x--",
    "x += 1",
    "\xff\xfe",
    "\xc0\xaf",
    "\u202ex",
    "\u0445", // Cyrillic ha looks like x
    "\u2212\u00d7\u2260",
    "\U0001F600",
    "\x1b[31m",
    "\x7f",
    "0x",
    "1e",
    "std::system(x)",
    "os::exit(0)",
    "as_type<int>(x)",
    "reinterpret_cast<float>(x)",
    "exp(x",
    "x)",
};

// The payload stands for '@'.
const std::vector<std::string> kHosts = {
    "@",
    "x + @",
    "@ + x",
    "x @ x",
    "silu(@)",
    "max(x, @)",
    "(@) * x",
    "x ? @ : x",
    "let a = @; a * x",
    "T a = x; a @",
    "y = @; z = x",
    "as(float16, @)",
    "x *\n @ * x",
};

std::vector<std::string> attempts() {
  std::vector<std::string> result;
  for (const auto& host : kHosts) {
    for (const auto& payload : kPayloads) {
      std::string text = host;
      text.replace(text.find('@'), 1, payload);
      result.push_back(std::move(text));
    }
  }
  return result;
}

std::string repeated(const std::string& text, size_t times) {
  std::string result;
  for (size_t i = 0; i < times; ++i) {
    result += text;
  }
  return result;
}

/// Too long, too deep, or one endless token.
std::vector<std::string> giants() {
  constexpr size_t kMegabyte = 1 << 20;
  return {
      repeated("x+", kMegabyte / 2),
      std::string(kMegabyte, 'x'),
      std::string(kMegabyte, '('),
      std::string(kMegabyte, '\n'),
      std::string(kMegabyte, '\0'),
      repeated("\u03b1", kMegabyte / 2),
      repeated("(", 10000) + "x" + repeated(")", 10000),
      repeated("exp(", 10000) + "x" + repeated(")", 10000),
      repeated("x ? ", 10000) + "x",
      std::string(200000, 'x'),
      std::string(200000, '9'),
      "0." + std::string(200000, '9') + "x",
      "1e" + std::string(200000, '9'),
      repeated("let a=x;", 30000),
      repeated("x,", 100000),
      "max(" + repeated("x,", 100000) + "x)",
      repeated("x=", 100000),
      repeated("a::", 50000),
      repeated("metal::", 30000),
  };
}

std::string message_of(const std::string& text) {
  return zmlx::message_of(
      [&] { parse(text, formula_inputs({"x"}), {.unused_allowed = true}); });
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines(1);
  for (char c : text) {
    if (c == '\n') {
      lines.emplace_back();
    } else {
      lines.back() += c;
    }
  }
  return lines;
}

/// Where, what; the line; the caret, which stands below the line or its end.
void expect_shape(const std::string& text) {
  const std::string message = message_of(text);
  const auto lines = lines_of(message);
  ASSERT_EQ(lines.size(), 3u) << message;
  EXPECT_LT(message.size(), 600u) << message;
  const std::regex head("formula, line [0-9]+, column [0-9]+: .+");
  EXPECT_TRUE(std::regex_match(lines[0], head)) << message;
  const size_t caret = lines[2].find('^');
  ASSERT_NE(caret, std::string::npos) << message;
  EXPECT_EQ(lines[2].find_first_not_of(' '), caret) << message;
  EXPECT_EQ(lines[2].find_first_not_of('^', caret), std::string::npos);
  EXPECT_LE(caret, lines[1].size()) << message;
  for (char c : lines[1] + lines[2]) {
    EXPECT_TRUE(c >= ' ' && c < 0x7f) << message;
  }
  for (unsigned char c : lines[0]) {
    EXPECT_TRUE(c >= ' ' && c != 0x7f) << message;
  }
}

TEST(Injection, EveryAttemptIsRefusedByItsPlace) {
  const auto all = attempts();
  EXPECT_GE(all.size(), 500u);
  for (const auto& text : all) {
    SCOPED_TRACE(text);
    expect_shape(text);
  }
}

TEST(Injection, GiantsAreRefusedByTheirPlace) {
  for (const auto& text : giants()) {
    SCOPED_TRACE(text.substr(0, 20));
    expect_shape(text);
  }
}

size_t resident_pages() {
  size_t size = 0;
  size_t resident = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file != nullptr) {
    EXPECT_EQ(std::fscanf(file, "%zu %zu", &size, &resident), 2);
    std::fclose(file);
  }
  return resident;
}

TEST(Injection, NothingIsKept) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers keep what is freed";
#endif
  auto texts = attempts();
  const auto large = giants();
  texts.insert(texts.end(), large.begin(), large.end());
  const auto refuse_all = [&] {
    for (const auto& text : texts) {
      EXPECT_NE(message_of(text), "no error");
    }
  };
  refuse_all(); // what the allocator holds on to, once
  const size_t before = resident_pages();
  for (int round = 0; round < 10; ++round) {
    refuse_all();
  }
  constexpr size_t kPages = 1024; // a hundredth of what ten rounds read
  EXPECT_LE(resident_pages(), before + kPages);
}

} // namespace
} // namespace zmlx::lang
