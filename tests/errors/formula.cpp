// Wrong formulas and the messages they get.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/errors/messages.h"
#include "zmlx/lang/parse.h"

namespace zmlx::lang {
namespace {

struct Wrong {
  std::string text;
  std::string expected;
};

std::string message_of(
    const std::string& text,
    const std::vector<Input>& inputs) {
  return zmlx::message_of([&] { parse(text, inputs); });
}

const std::vector<Wrong> kWrong = {
    {"", R"(formula: the formula is empty; expected an expression)"},
    {"   ", R"(formula: the formula is empty; expected an expression)"},
    {";", R"(formula, line 1, column 1: expected a value, got ';'
  ;
  ^)"},
    {"x +",
     R"(formula, line 1, column 4: expected a value, got the end of the formula
  x +
     ^)"},
    {"x + * y", R"(formula, line 1, column 5: expected a value, got '*'
  x + * y
      ^)"},
    {"x y",
     R"(formula, line 1, column 3: expected an operator or ';', got 'y'; to multiply write '*'
  x y
    ^)"},
    {"2x",
     R"(formula, line 1, column 2: expected an operator after the number 2; to multiply write '*'
  2x
   ^)"},
    {"2 x",
     R"(formula, line 1, column 3: expected an operator or ';', got 'x'; to multiply write '*'
  2 x
    ^)"},
    {"x (y)",
     R"(formula, line 1, column 1: 'x' is no function; to multiply write x * (...)
  x (y)
  ^)"},
    {"(x + y",
     R"(formula, line 1, column 7: expected ')' for the '(' of line 1, column 1, got the end of the formula
  (x + y
        ^)"},
    {"silu(x",
     R"(formula, line 1, column 7: expected ')' for the '(' of line 1, column 5, got the end of the formula
  silu(x
        ^)"},
    {"silu(x,)", R"(formula, line 1, column 8: expected a value, got ')'
  silu(x,)
         ^)"},
    {"x + y)", R"(formula, line 1, column 6: this ')' closes nothing
  x + y)
       ^)"},
    {"silo(x) + y",
     R"(formula, line 1, column 1: unknown function 'silo'. Did you mean 'silu'?
  silo(x) + y
  ^^^^)"},
    {"x + z", R"(formula, line 1, column 5: unknown name 'z'; known are x, y.
  x + z
      ^)"},
    {"x + yy",
     R"(formula, line 1, column 5: unknown name 'yy'; known are x, y. Did you mean 'y'?
  x + yy
      ^^)"},
    {"silu + x",
     R"(formula, line 1, column 1: 'silu' is a function; write silu(...)
  silu + x
  ^^^^)"},
    {"float + x",
     R"(formula, line 1, column 1: 'float' is a type; to convert write (float)x
  float + x
  ^^^^^)"},
    {"silu(x, y)", R"(formula, line 1, column 1: silu takes 1 argument, got 2
  silu(x, y)
  ^^^^)"},
    {"max(x)",
     R"(formula, line 1, column 1: max takes 2 arguments, got 1; for the largest of a row write max_of(x)
  max(x)
  ^^^)"},
    {"x - min(y)",
     R"(formula, line 1, column 5: min takes 2 arguments, got 1; for the smallest of a row write min_of(x)
  x - min(y)
      ^^^)"},
    {"sum(x, -1) + y",
     R"(formula, line 1, column 1: sum takes 1 argument, got 2; rows are the last axis
  sum(x, -1) + y
  ^^^)"},
    {"softmax(x, axis=0) + y",
     R"(formula, line 1, column 12: no function has an argument 'axis'; rows are the last axis
  softmax(x, axis=0) + y
             ^^^^)"},
    {"y + mean(x, keepdims=1)",
     R"(formula, line 1, column 13: no function has an argument 'keepdims'; rows are the last axis
  y + mean(x, keepdims=1)
              ^^^^^^^^)"},
    {"clip(x, low=0, high=y)",
     R"(formula, line 1, column 9: arguments have no names; expected a value
  clip(x, low=0, high=y)
          ^^^)"},
    {"if (x > 0) y else 0",
     R"(formula, line 1, column 1: a formula has no 'if'; write condition ? a : b
  if (x > 0) y else 0
  ^^)"},
    {"if x > 0 : y",
     R"(formula, line 1, column 1: a formula has no 'if'; write condition ? a : b
  if x > 0 : y
  ^^)"},
    {"y if x > 0 else 0",
     R"(formula, line 1, column 3: expected an operator or ';', got 'if'; write condition ? a : b
  y if x > 0 else 0
    ^^)"},
    {"elu()", R"(formula, line 1, column 1: elu takes 1 or 2 arguments, got 0
  elu()
  ^^^)"},
    {"index(x)", R"(formula, line 1, column 1: index takes 0 arguments, got 1
  index(x)
  ^^^^^)"},
    {"x ** 2",
     R"(formula, line 1, column 4: expected a value, got '*'; for a power write pow(a, b)
  x ** 2
     ^)"},
    {"x // 2",
     R"(formula, line 1, column 3: '//' is no operator; for the quotient rounded down write floor(a / b)
  x // 2
    ^^)"},
    {"x + y # sum",
     R"(formula, line 1, column 7: the character '#' has no place in a formula
  x + y # sum
        ^)"},
    {"x /* and */ y", R"(formula, line 1, column 3: a formula holds no comments
  x /* and */ y
    ^^)"},
    {"x[0]",
     R"(formula, line 1, column 2: the character '[' has no place in a formula; for element i of a row write pick(x, i)
  x[0]
   ^)"},
    {"x.y",
     R"(formula, line 1, column 2: the character '.' has no place in a formula
  x.y
   ^)"},
    {"{x}",
     R"(formula, line 1, column 1: the character '{' has no place in a formula
  {x}
  ^)"},
    {"x = y + 1",
     R"(formula, line 1, column 1: 'x' is already an input; expected a new name
  x = y + 1
  ^)"},
    {"a = x; x + y",
     R"(formula, line 1, column 8: a formula with named outputs has no other value; expected 'name = value'
  a = x; x + y
         ^)"},
    {"x; y",
     R"(formula, line 1, column 4: nothing may follow the value of the formula
  x; y
     ^)"},
    {"a = x; a = y",
     R"(formula, line 1, column 8: 'a' is already defined; expected a new name
  a = x; a = y
         ^)"},
    {"let y = x; y",
     R"(formula, line 1, column 5: 'y' is already an input; expected a new name
  let y = x; y
      ^)"},
    {"let a = x; let a = y; a",
     R"(formula, line 1, column 16: 'a' is already defined; expected a new name
  let a = x; let a = y; a
                 ^)"},
    {"let = x; x",
     R"(formula, line 1, column 5: expected a name after 'let', got '='
  let = x; x
      ^)"},
    {"let a x; a",
     R"(formula, line 1, column 7: expected '=' after the name, got 'x'
  let a x; a
        ^)"},
    {"let a = x",
     R"(formula, line 1, column 10: expected ';' after the value, got the end of the formula
  let a = x
           ^)"},
    {"let a = x;",
     R"(formula, line 1, column 11: expected an expression after the last name
  let a = x;
            ^)"},
    {"let inf = x; y",
     R"(formula, line 1, column 5: 'inf' is a word of the language
  let inf = x; y
      ^^^)"},
    {"float 2 = x",
     R"(formula, line 1, column 1: 'float' is a type; to convert write (float)x
  float 2 = x
  ^^^^^)"},
    {"x", R"(formula: the input 'y' is never used)"},
    {"x < y < 1",
     R"(formula, line 1, column 7: comparisons do not chain; write a < b && b < c
  x < y < 1
        ^)"},
    {"x and y",
     R"(formula, line 1, column 3: expected an operator or ';', got 'and'; write '&&'
  x and y
    ^^^)"},
    {"x ? y",
     R"(formula, line 1, column 6: expected ':' of 'condition ? a : b', got the end of the formula
  x ? y
       ^)"},
    {"x ? y : ",
     R"(formula, line 1, column 9: expected a value, got the end of the formula
  x ? y : 
          ^)"},
    {"x == 1 = y",
     R"(formula, line 1, column 8: '=' gives a name to a value; to compare write '=='
  x == 1 = y
         ^)"},
    {"1e + x", R"(formula, line 1, column 1: expected digits in the exponent
  1e + x
  ^^)"},
    {"1.2.3 + x",
     R"(formula, line 1, column 4: expected an operator after the number 1.2
  1.2.3 + x
     ^)"},
    {"1e999 + x",
     R"(formula, line 1, column 1: the number is out of the range of a double
  1e999 + x
  ^^^^^)"},
    {"0xZ + x",
     R"(formula, line 1, column 1: expected hexadecimal digits, for at most 2^53
  0xZ + x
  ^^)"},
    {"99999999999999999999 + x",
     R"(formula, line 1, column 1: the integer is too large to be held exactly; with a point it is a float
  99999999999999999999 + x
  ^^^^^^^^^^^^^^^^^^^^)"},
    {"9007199254740993 + x",
     R"(formula, line 1, column 1: the integer is too large to be held exactly; with a point it is a float
  9007199254740993 + x
  ^^^^^^^^^^^^^^^^)"},
    {"x \u00d7 y", R"(formula, line 1, column 3: '×' is no operator; write '*'
  x ? y
    ^)"},
    {"x + \u03b1y",
     R"(formula, line 1, column 5: the character U+03B1 has no place in a formula
  x + ?y
      ^)"},
    {std::string("x + \0 y", 7),
     R"(formula, line 1, column 5: the character U+0000 has no place in a formula
  x + ? y
      ^)"},
    {"x + \"y\"",
     R"(formula, line 1, column 5: the character '"' has no place in a formula
  x + "y"
      ^)"},
    {"system('rm') + x",
     R"(formula, line 1, column 8: the character ''' has no place in a formula
  system('rm') + x
         ^)"},
    {"x; #include <y>",
     R"(formula, line 1, column 4: the character '#' has no place in a formula
  x; #include <y>
     ^)"},
    {"os::exp(x) + y",
     R"(formula, line 1, column 1: unknown name space 'os'; expected metal
  os::exp(x) + y
  ^^)"},
    {"metal::1",
     R"(formula, line 1, column 8: expected a function after '::', got '1'
  metal::1
         ^)"},
    {"as(z, y)",
     R"(formula, line 1, column 4: expected a type such as float16 in as(type, x), got 'z'
  as(z, y)
     ^)"},
    {"as(float16 x)",
     R"(formula, line 1, column 12: expected ',' after the type, got 'x'
  as(float16 x)
             ^)"},
    {"pick(x + 1, y)",
     R"(formula, line 1, column 1: pick reads an input, not a computed value
  pick(x + 1, y)
  ^^^^)"},
    {"product(x, y, x, x)",
     R"(formula, line 1, column 1: product takes (x, w) or (x, w, scales, biases, bits, group_size), got 4 arguments
  product(x, y, x, x)
  ^^^^^^^)"},
    {"product(affine, x, y, x)",
     R"(formula, line 1, column 1: product of affine weights takes 6 arguments and, where there are several matrices, which one; got 3
  product(affine, x, y, x)
  ^^^^^^^)"},
    {"product(x, y, x, x, 4.5, 64)",
     R"(formula, line 1, column 1: the number of bits must be an integer from 1 to 32, got 4.5
  product(x, y, x, x, 4.5, 64)
  ^^^^^^^)"},
    {"take(x + 1, y)",
     R"(formula, line 1, column 1: take reads an input, not a computed value
  take(x + 1, y)
  ^^^^)"},
    {"extent(y * x, 0)",
     R"(formula, line 1, column 1: extent reads an input, not a computed value
  extent(y * x, 0)
  ^^^^^^)"},
    {"extent(x, 0.5) + y",
     R"(formula, line 1, column 1: the axis must be an integer from -64 to 63, got 0.5
  extent(x, 0.5) + y
  ^^^^^^)"},
    {"extent(x, y)",
     R"(formula, line 1, column 1: the axis of extent must be a number
  extent(x, y)
  ^^^^^^)"},
    {"extent(x) + y",
     R"(formula, line 1, column 1: extent takes 2 arguments, got 1
  extent(x) + y
  ^^^^^^)"},
    {"cumsum(x, 1) + y",
     R"(formula, line 1, column 1: cumsum takes 1 or 3 arguments, got 2
  cumsum(x, 1) + y
  ^^^^^^)"},
    {"cumsum(x, 2, 0) + y",
     R"(formula, line 1, column 1: reverse must be an integer from 0 to 1, got 2
  cumsum(x, 2, 0) + y
  ^^^^^^)"},
    {"cumsum(x, y, 0)",
     R"(formula, line 1, column 1: reverse of cumsum must be a number
  cumsum(x, y, 0)
  ^^^^^^)"},
    {"cumsum() + x + y",
     R"(formula, line 1, column 1: cumsum takes 1 or 3 arguments, got 0
  cumsum() + x + y
  ^^^^^^)"},
    {"top_values(x, 0) + y",
     R"(formula, line 1, column 1: k must be an integer from 1 to 1073741824, got 0
  top_values(x, 0) + y
  ^^^^^^^^^^)"},
    {"top_places(x, y)",
     R"(formula, line 1, column 1: k of top_places must be a number
  top_places(x, y)
  ^^^^^^^^^^)"},
    {"top_value(x, 4) + y",
     R"(formula, line 1, column 1: unknown function 'top_value'. Did you mean 'top_values'?
  top_value(x, 4) + y
  ^^^^^^^^^)"},
    {"row_index(x) + y",
     R"(formula, line 1, column 1: row_index takes 0 arguments, got 1
  row_index(x) + y
  ^^^^^^^^^)"},
    {"random() + x + y",
     R"(formula, line 1, column 1: random takes 1 argument, got 0
  random() + x + y
  ^^^^^^)"},
    {"uniform + x + y",
     R"(formula, line 1, column 1: 'uniform' is a function; write uniform(...)
  uniform + x + y
  ^^^^^^^)"},
    {"take + x + y",
     R"(formula, line 1, column 1: 'take' is a function; write take(...)
  take + x + y
  ^^^^)"},
    {"as_type<float>(x) + y",
     R"(formula, line 1, column 1: as_type reads the bits of a number, which a formula cannot; to convert the number write (float)x
  as_type<float>(x) + y
  ^^^^^^^)"},
    {"static_cast<x>(y)",
     R"(formula, line 1, column 13: expected a type such as float in static_cast<float>(x), got 'x'
  static_cast<x>(y)
              ^)"},
    {"static_cast<float>x + y",
     R"(formula, line 1, column 19: expected '(' after static_cast<...>, got 'x'
  static_cast<float>x + y
                    ^)"},
    {"softmx(x) * y",
     R"(formula, line 1, column 1: unknown function 'softmx'. Did you mean 'softmax'?
  softmx(x) * y
  ^^^^^^)"},
    {"kk_sigmod(x) * y",
     R"(formula, line 1, column 1: unknown function 'kk_sigmod'. Did you mean 'sigmoid'?
  kk_sigmod(x) * y
  ^^^^^^^^^)"},
    {"metal::atan2(x, y)",
     R"(formula, line 1, column 8: unknown function 'atan2'.
  metal::atan2(x, y)
         ^^^^^)"},
    {"let " + std::string(65, 'a') + " = x; y",
     R"(formula, line 1, column 5: a name of 65 letters; at most 64 are read
  let aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...
      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^)"},
    {"attention(x, x, x, x, y)",
     R"(formula, line 1, column 1: the scale of attention must be a number
  attention(x, x, x, x, y)
  ^^^^^^^^^)"},
    {"x +\n  yy *\n  2",
     R"(formula, line 2, column 3: unknown name 'yy'; known are x, y. Did you mean 'y'?
    yy *
    ^^)"},
    {"x + (float)",
     R"(formula, line 1, column 12: expected a value, got the end of the formula
  x + (float)
             ^)"},
};

TEST(FormulaErrors, SayWhereAndWhat) {
  auto inputs = formula_inputs({"x", "y"});
  for (const Wrong& wrong : kWrong) {
    EXPECT_EQ(message_of(wrong.text, inputs), wrong.expected)
        << "for: " << wrong.text;
  }
}

TEST(FormulaErrors, Inputs) {
  EXPECT_EQ(
      message_of("x", formula_inputs({"x", "x"})),
      "formula: two inputs are called 'x'");
  for (auto name : {"", "2x", "a b", "T", "float", "inf", "let", "x;y"}) {
    EXPECT_EQ(
        message_of("x", formula_inputs({"x", name})),
        std::string("formula: an input cannot be called '") + name +
            "'; expected a word of letters, digits and _ that is no type or "
            "number");
  }
  EXPECT_EQ(
      message_of("x * eps", formula_inputs({"x"}, {"esp"})),
      R"(formula, line 1, column 5: unknown name 'eps'; known are esp, x. Did you mean 'esp'?
  x * eps
      ^^^)");
}

TEST(FormulaErrors, NameTheFormula) {
  try {
    parse("x +", formula_inputs({"x"}), {.name = "my_kernel"});
    FAIL() << "no error";
  } catch (const UserError& error) {
    EXPECT_EQ(
        std::string(error.what()).substr(0, 27), "my_kernel, line 1, column 4");
  }
}

std::string repeated(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) {
    result += text;
  }
  return result;
}

bool begins(const std::string& message, const std::string& start) {
  return message.compare(0, start.size(), start) == 0;
}

TEST(FormulaErrors, HugeTextsAreRefused) {
  auto x = formula_inputs({"x"});
  std::string deep =
      "formula, line 1, column 257: the formula is nested "
      "deeper than 256; name parts of it with 'let'\n";
  std::string nested = repeated("(", 10000) + "x" + repeated(")", 10000);
  EXPECT_TRUE(begins(message_of(nested, x), deep)) << message_of(nested, x);
  EXPECT_TRUE(begins(message_of(repeated("(", 100000), x), deep));
  for (auto opening : {"exp(", "x?", "-(", "x?x:", "max(x,"}) {
    std::string message = message_of(repeated(opening, 10000), x);
    EXPECT_NE(message.find("nested deeper"), std::string::npos) << message;
  }
  EXPECT_EQ(
      message_of(repeated("x+", 500000) + "x", x),
      "formula, line 1, column 262145: the formula has 1000001 bytes; at most "
      "262144 are read\n  ..." +
          repeated("x+", 60) + "...\n" + std::string(65, ' ') + "^");
  // One long line is shown in part.
  EXPECT_EQ(
      message_of(repeated("x + ", 1000) + "z" + repeated(" + x", 1000), x),
      "formula, line 1, column 4001: unknown name 'z'; known are x.\n  ..." +
          repeated("x + ", 15) + "z" + repeated(" + x", 14) + " + ...\n" +
          std::string(65, ' ') + "^");
}

TEST(FormulaErrors, LongChainsAreFine) {
  auto x = formula_inputs({"x"});
  EXPECT_EQ(message_of(repeated("x+", 100000) + "x", x), "no error");
  EXPECT_EQ(message_of(repeated("-", 200000) + "x", x), "no error");
  EXPECT_EQ(
      message_of(repeated("(", 255) + "x" + repeated(")", 255), x), "no error");
}

// Whatever the text, there is a body or a UserError.
TEST(FormulaErrors, RandomTextNeverCrashes) {
  const std::vector<std::string> kPieces = {
      "x",    "x",     "(",      ")",        ",",    "+",     "-", "*",
      "/",    "<",     "&&",     "?",        ":",    ";",     "=", "let ",
      "T ",   "float", "1",      "2.5",      "e9",   "0x",    "~", "!",
      "exp(", "sum(",  "select", "as(",      "\n",   " ",     "a", "inf",
      "::",   "kk_",   "pick(",  "product(", "\xff", "\u03b1"};
  unsigned state = 12345;
  int read = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (int i = 0; i < 1 + round % 12; ++i) {
      state = state * 1664525u + 1013904223u;
      text += kPieces[(state >> 8) % kPieces.size()];
    }
    std::string message = message_of(text, formula_inputs({"x"}));
    read += message == "no error" ? 1 : 0;
    ASSERT_FALSE(message.empty());
  }
  EXPECT_GT(read, 0);
}

} // namespace
} // namespace zmlx::lang
