// Wrong use of elementwise, reduce and map_reduce, and the messages it gets.
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/errors/messages.h"
#include "zmlx/op/elementwise.h"
#include "zmlx/op/reduce.h"

namespace zmlx::op {
namespace {

std::function<void()> formula(const std::string& text, Formula options) {
  return [text, options = std::move(options)] { elementwise(text, options); };
}

std::function<void()> loop(Reduce parts) {
  return [parts = std::move(parts)] { reduce(parts); };
}

std::function<void()> passes(MapReduce parts) {
  return [parts = std::move(parts)] { map_reduce(parts); };
}

TEST(DoorErrors, Gradients) {
  expect_messages({
      {formula("a * b", {.inputs = {"a", "b"}, .gradients = {"g * b"}}),
       R"(formula: expected 2 gradients, one for each of a, b (or all by the names of their inputs), got 1)"},
      {formula(
           "a * b",
           {.inputs = {"a", "b"},
            .name = "mul",
            .gradients = {"g * b", "g * a", "g"}}),
       R"(mul: expected 2 gradients, one for each of a, b (or all by the names of their inputs), got 3)"},
      {formula("x * x", {.gradients = {{"xx", "2 * g * x"}}}),
       R"(formula: a gradient for 'xx', which is no input; the inputs are x. Did you mean 'x'?)"},
      {formula("x * x", {.gradients = {{"x", "g"}, {"x", "2 * g * x"}}}),
       R"(formula, the gradient of x: is given twice)"},
      {formula(
           "x * x", {.inputs = {"x"}, .gradients = {"g", {"x", "2 * g * x"}}}),
       R"(formula: expected 1 gradient, one for each of x (or all by the names of their inputs), got 2)"},
      {formula("g * u", {.inputs = {"g", "u"}, .gradients = {"u", "g"}}),
       R"(formula: an input is called 'g', which is a cotangent in gradients; expected another name)"},
      {formula("g = x * x", {.gradients = {"2 * x"}}),
       R"(formula: an output is called 'g', which is a cotangent in gradients; expected another name)"},
      {formula(
           "tanh(x)", {.gradients = {"g * (1 - y * y)"}, .use_output = false}),
       R"(formula, the gradient of x, line 1, column 10: unknown name 'y'; known are g, x.
  g * (1 - y * y)
           ^)"},
      {formula("tanh(x)", {.gradients = {"grad * x"}}),
       R"(formula, the gradient of x, line 1, column 1: unknown name 'grad'; known are g, x, y.
  grad * x
  ^^^^)"},
      {formula("a = x; b = x * x;", {.gradients = {"g + g_b * x"}}),
       R"(formula, the gradient of x, line 1, column 1: unknown name 'g'; known are a, b, g_a, g_b, x.
  g + g_b * x
  ^)"},
      {formula("x * x", {.gradients = {"2 * g *"}}),
       R"(formula, the gradient of x, line 1, column 8: expected a value, got the end of the formula
  2 * g *
         ^)"},
      {formula("x * x", {.gradients = {"p = g; q = x;"}}),
       R"(formula, the gradient of x: expected one value, got 2 outputs)"},
      {formula(
           "kk_silu(x)",
           {.name = "silu",
            .gradients = {"g * s"},
            .gradient_prelude = "T s = kk_sigmod(x);"}),
       R"(silu, gradient_prelude, line 1, column 7: unknown function 'kk_sigmod'. Did you mean 'sigmoid'?
  T s = kk_sigmod(x);
        ^^^^^^^^^)"},
      {formula(
           "kk_silu(x)",
           {.gradients = {"g * s"}, .gradient_prelude = "T s = kk_sigmoid(x)"}),
       R"(formula, gradient_prelude, line 1, column 20: expected ';' after the value, got the end of the formula
  T s = kk_sigmoid(x)
                     ^)"},
      {formula(
           "kk_silu(x)",
           {.gradients = {"g * s"},
            .gradient_prelude = "T s = x; s = s * kk_sigmoid(x);"}),
       R"(formula, gradient_prelude, line 1, column 10: expected a definition such as 'T s = ...;', got 's'
  T s = x; s = s * kk_sigmoid(x);
           ^)"},
      {formula(
           "kk_silu(x)",
           {.gradients = {"g * y"}, .gradient_prelude = "T y = x;"}),
       R"(formula, gradient_prelude, line 1, column 3: 'y' is already defined; expected a new name
  T y = x;
    ^)"},
      {formula("kk_silu(x)", {.gradient_prelude = "T s = x;"}),
       R"(formula: gradient_prelude stands before gradients, and none is given)"},
  });
}

TEST(DoorErrors, Headers) {
  expect_messages({
      {formula(
           "my_exp(x)",
           {.name = "fast",
            .header = "#include <metal_stdlib>\ninline float my_exp(float x) "
                      "{ return metal::exp(x); }"}),
       R"(fast: the header has code of its own ('inline float my_exp(float x) { return metal::exp(x); }'), and no text of a formula reaches a compiler; name values in the formula with 'T s = ...;', or write the kernel in Metal with zmlx.metal.kernel)"},
      {formula("x", {.header = "#define f(x) (x)"}),
       R"(formula: the header has code of its own ('#define f(x) (x)'), and no text of a formula reaches a compiler; name values in the formula with 'T s = ...;', or write the kernel in Metal with zmlx.metal.kernel)"},
      {formula("x", {.header = "/* a comment */ using namespace std;"}),
       R"(formula: the header has code of its own ('using namespace std;'), and no text of a formula reaches a compiler; name values in the formula with 'T s = ...;', or write the kernel in Metal with zmlx.metal.kernel)"},
      {formula("x", {.header = std::string(500, 'a')}),
       R"(formula: the header has code of its own ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...'), and no text of a formula reaches a compiler; name values in the formula with 'T s = ...;', or write the kernel in Metal with zmlx.metal.kernel)"},
      {formula(
           "x",
           {.header = "// a comment\n  using namespace metal;\r\n/* and\nmore "
                      "*/\n#include <metal_math>"}),
       "no error"},
      {formula("x", {.header = std::string(kDefaultHeader)}), "no error"},
  });
}

TEST(DoorErrors, Calls) {
  const auto x = mx::zeros({2, 3});
  const auto ids = mx::array({1, 2});
  expect_messages({
      {[&] { elementwise("x ^ 2", {.name = "square"})(x); },
       R"(square: ^ needs integers, got float32 and int32; for a power write pow(a, b))"},
      {[&] { elementwise("x << 1")(x); },
       R"(formula: << needs integers, got float32 and int32)"},
      {[&] { elementwise("x & 0.5")(ids); },
       R"(formula: & needs integers, got int32 and float32)"},
      {[&] { elementwise("pick(x, x)")(x); },
       R"(formula: pick(x, place): expected an integer, got float32)"},
      {[&] { elementwise("random(x)")(ids); },
       R"(formula: random: the seed must be one per row, and varies along the row)"},
      {[&] { elementwise("random(0.5) + x")(ids); },
       R"(formula: random(seed): expected an integer, got float32)"},
      {[&] {
         elementwise("a + b", {.inputs = {"a", "b"}})(x);
       },
       R"(formula: expected 2 arrays (a, b), got 1)"},
      {[&] { elementwise("x")(x, x); },
       R"(formula: expected 1 arrays (x), got 2)"},
      {[&] {
         elementwise("a + b", {.inputs = {"a", "b"}, .name = "add"})(
             x, mx::zeros({4}));
       },
       R"(add: b: shape (4) does not broadcast with (2, 3) of the inputs before it)"},
      {[&] { elementwise("x * s", {.scalars = {"s"}})(x, x); },
       R"(formula: s: expected a number (a 0-d array), got shape (2, 3))"},
      {[&] { elementwise("p = x; q = -x;", {.name = "both"})(x); },
       R"(both: gives 2 arrays (p, q); ask for them with all({...}))"},
      {[&] {
         elementwise("take(t, i)", {.inputs = {"t", "i"}})(x, mx::zeros({2}));
       },
       R"(formula: take(t, place): expected an integer, got float32)"},
      {[&] {
         elementwise("take(t, i) + i", {.inputs = {"t", "i"}})(
             x, mx::array({0, 1, 1}));
       },
       R"(formula: take: the row must be one per row, and varies along the row)"},
      {[&] { elementwise("top_values(x, 9)")(x); },
       R"(formula: top_values: expected 1 to 3 of rows of 3, got k = 9)"},
      {[&] { elementwise("sum(x)")(mx::array(1.f)); },
       R"(formula: x: a formula along the last axis needs at least one axis, got 0-d arrays)"},
      {[&] { elementwise("extent(x, 2) + x")(x); },
       R"(formula: x: expected an axis 2, got shape (2, 3))"},
      {[&] { reduce({.init = "0", .update = "acc + v"})(mx::array(1.f)); },
       R"(reduce: x: a formula along the last axis needs at least one axis, got 0-d arrays)"},
  });
}

TEST(DoorErrors, Reduce) {
  expect_messages({
      {loop({.init = "0", .update = "acc + w", .name = "total"}),
       R"(reduce 'total', update, line 1, column 7: unknown name 'w'; known are D, acc, v.
  acc + w
        ^)"},
      {loop({.init = "0", .update = "acc +", .name = "total"}),
       R"(reduce 'total', update, line 1, column 6: expected a value, got the end of the formula
  acc +
       ^)"},
      {loop({.init = "", .update = "acc + v"}),
       R"(reduce, init: the formula is empty; expected an expression)"},
      {loop({.init = "0", .update = ""}),
       R"(reduce, update: the formula is empty; expected an expression)"},
      {loop({.init = "v", .update = "acc + v"}),
       R"(reduce, init, line 1, column 1: unknown name 'v'; known are D.
  v
  ^)"},
      {loop({.init = "0.0.0", .update = "acc + v"}),
       R"(reduce, init, line 1, column 4: expected an operator after the number 0.0
  0.0.0
     ^)"},
      {loop({.init = "1", .update = "acc + v", .name = "total"}),
       R"(reduce 'total', init, line 1, column 1: expected 0, which changes no result of the update 'acc + v': every partial result begins with it
  1
  ^)"},
      {loop({.init = "-3.0f", .update = "max(acc, v)"}),
       R"(reduce, init, line 1, column 1: expected -inf, which changes no result of the update 'max(acc, v)': every partial result begins with it
  -3.0f
  ^^^^^)"},
      {loop({.init = "D", .update = "min(acc, v)"}),
       R"(reduce, init, line 1, column 1: expected inf, which changes no result of the update 'min(acc, v)': every partial result begins with it
  D
  ^)"},
      {loop({.init = "0", .update = "acc * v"}),
       R"(reduce, init, line 1, column 1: expected 1, which changes no result of the update 'acc * v': every partial result begins with it
  0
  ^)"},
      {loop({.init = "0", .update = "v"}),
       R"(reduce, update: how partial results join does not follow from 'v'; expected acc joined with a function of v: acc + f(v), acc * f(v), max(acc, f(v)) or min(acc, f(v)))"},
      {loop({.init = "0", .update = "acc"}),
       R"(reduce, update: how partial results join does not follow from 'acc'; expected acc joined with a function of v: acc + f(v), acc * f(v), max(acc, f(v)) or min(acc, f(v)))"},
      {loop({.init = "0", .update = "v - acc"}),
       R"(reduce, update: how partial results join does not follow from 'v - acc'; expected acc joined with a function of v: acc + f(v), acc * f(v), max(acc, f(v)) or min(acc, f(v)))"},
      {loop({.init = "0", .update = "acc * 0.9f + v", .name = "ema"}),
       R"(reduce 'ema', update: how partial results join does not follow from 'acc * 0.9f + v'; expected acc joined with a function of v: acc + f(v), acc * f(v), max(acc, f(v)) or min(acc, f(v)))"},
      {loop({.init = "0", .update = "acc + acc * v"}),
       R"(reduce, update: how partial results join does not follow from 'acc + acc * v'; expected acc joined with a function of v: acc + f(v), acc * f(v), max(acc, f(v)) or min(acc, f(v)))"},
      {loop({.init = "0", .update = "max(acc, v) + 1"}),
       R"(reduce, update: how partial results join does not follow from 'max(acc, v) + 1'; expected acc joined with a function of v: acc + f(v), acc * f(v), max(acc, f(v)) or min(acc, f(v)))"},
      {loop({.init = "0", .update = "v > 0 ? v : acc"}),
       R"(reduce, update: how partial results join does not follow from 'v > 0 ? v : acc'; expected acc joined with a function of v: acc + f(v), acc * f(v), max(acc, f(v)) or min(acc, f(v)))"},
      {loop({.init = "0", .update = "exp(acc + v)"}),
       R"(reduce, update: how partial results join does not follow from 'exp(acc + v)'; expected acc joined with a function of v: acc + f(v), acc * f(v), max(acc, f(v)) or min(acc, f(v)))"},
      {loop({.init = "1", .update = "v / acc"}),
       R"(reduce, update: how partial results join does not follow from 'v / acc'; expected acc joined with a function of v: acc + f(v), acc * f(v), max(acc, f(v)) or min(acc, f(v)))"},
      {loop(
           {.init = "0",
            .update = "acc + v",
            .reduce = "max(a, b)",
            .name = "total"}),
       R"(reduce 'total', reduce: 'max(a, b)' does not join partial results of the update 'acc + v'; expected a + b)"},
      {loop({.init = "0", .update = "acc + v", .reduce = "a + 2 * b"}),
       R"(reduce, reduce: 'a + 2 * b' does not join partial results of the update 'acc + v'; expected a + b)"},
      {loop({.init = "0", .update = "acc + v", .reduce = "a"}),
       R"(reduce, reduce: 'a' does not join partial results of the update 'acc + v'; expected a + b)"},
      {loop({.init = "0", .update = "acc + v", .reduce = "acc + v"}),
       R"(reduce, reduce, line 1, column 1: unknown name 'acc'; known are a, b.
  acc + v
  ^^^)"},
      {loop({.init = "1", .update = "acc * v", .reduce = "a / b"}),
       R"(reduce, reduce: 'a / b' does not join partial results of the update 'acc * v'; expected a * b)"},
      {loop({.init = "0", .update = "acc + v", .finalize = "acc / n"}),
       R"(reduce, finalize, line 1, column 7: unknown name 'n'; known are D, acc, s.
  acc / n
        ^)"},
      {loop({.init = "0", .update = "acc + v", .finalize = "acc * v"}),
       R"(reduce, finalize, line 1, column 7: unknown name 'v'; known are D, acc, s.
  acc * v
        ^)"},
      {loop({.init = "0", .update = "acc + v", .finalize = "D"}),
       R"(reduce, finalize: 'D' never reads acc, the result of the loop)"},
      {loop({.init = "0", .update = "acc + v", .finalize = "acc * index()"}),
       R"(reduce, finalize: 'acc * index()' varies along the row; expected one value per row)"},
      {loop(
           {.init = "0", .update = "acc + v", .finalize = "p = acc; q = acc;"}),
       R"(reduce, finalize: expected one value, got 2 outputs)"},
      {loop({.init = "0", .update = "T D = v; acc + D"}),
       R"(reduce, update, line 1, column 3: 'D' is already defined; expected a new name
  T D = v; acc + D
    ^)"},
  });
}

MapReduce softmax() {
  return {
      .pass1 = {.init = "-inf", .update = "max(acc1, x)"},
      .pass2 = {.init = "0", .update = "acc2 + exp(x - s1)"},
      .write = "exp(x - s1) / s2",
      .name = "soft"};
}

std::function<void()> in_pass(
    ReducePass MapReduce::*pass,
    std::string ReducePass::*part,
    const std::string& text) {
  MapReduce parts = softmax();
  (parts.*pass).*part = text;
  return passes(parts);
}

std::function<void()> in_write(const std::string& text) {
  MapReduce parts = softmax();
  parts.write = text;
  return passes(parts);
}

TEST(DoorErrors, MapReduce) {
  expect_messages({
      {passes(softmax()), "no error"},
      {in_pass(&MapReduce::pass1, &ReducePass::update, "max(acc2, x)"),
       R"(map_reduce 'soft', pass1, update, line 1, column 5: unknown name 'acc2'; known are D, acc1, x. Did you mean 'acc1'?
  max(acc2, x)
      ^^^^)"},
      {in_pass(&MapReduce::pass1, &ReducePass::update, "max(acc1, x - s1)"),
       R"(map_reduce 'soft', pass1, update, line 1, column 15: unknown name 's1'; known are D, acc1, x.
  max(acc1, x - s1)
                ^^)"},
      {in_pass(&MapReduce::pass1, &ReducePass::update, "acc1 * 0.5 + x"),
       R"(map_reduce 'soft', pass1, update: how partial results join does not follow from 'acc1 * 0.5 + x'; expected acc1 joined with a function of x: acc1 + f(x), acc1 * f(x), max(acc1, f(x)) or min(acc1, f(x)))"},
      {in_pass(&MapReduce::pass1, &ReducePass::reduce, "a + b"),
       R"(map_reduce 'soft', pass1, reduce: 'a + b' does not join partial results of the update 'max(acc1, x)'; expected max(a, b))"},
      {in_pass(&MapReduce::pass1, &ReducePass::init, ""),
       R"(map_reduce 'soft', pass1, init: the formula is empty; expected an expression)"},
      {in_pass(&MapReduce::pass2, &ReducePass::update, "acc1 + x"),
       R"(map_reduce 'soft', pass2, update, line 1, column 1: unknown name 'acc1'; known are D, acc2, s1, x. Did you mean 'acc2'?
  acc1 + x
  ^^^^)"},
      {in_pass(&MapReduce::pass2, &ReducePass::update, "acc2 + exp(x - s2)"),
       R"(map_reduce 'soft', pass2, update, line 1, column 16: unknown name 's2'; known are D, acc2, s1, x. Did you mean 's1'?
  acc2 + exp(x - s2)
                 ^^)"},
      {in_pass(&MapReduce::pass2, &ReducePass::update, "acc2 + v"),
       R"(map_reduce 'soft', pass2, update, line 1, column 8: unknown name 'v'; known are D, acc2, s1, x.
  acc2 + v
         ^)"},
      {in_pass(&MapReduce::pass2, &ReducePass::init, "x"),
       R"(map_reduce 'soft', pass2, init, line 1, column 1: unknown name 'x'; known are D, s1.
  x
  ^)"},
      {in_pass(&MapReduce::pass2, &ReducePass::update, ""),
       R"(map_reduce 'soft', pass2, update: the formula is empty; expected an expression)"},
      {in_write("exp(x - acc1) / s2"),
       R"(map_reduce 'soft', write, line 1, column 9: unknown name 'acc1'; known are D, s1, s2, x.
  exp(x - acc1) / s2
          ^^^^)"},
      {in_write(""),
       R"(map_reduce 'soft', write: the formula is empty; expected an expression)"},
      {in_write("s1 = x; s1"),
       R"(map_reduce 'soft', write, line 1, column 1: 's1' is already defined; expected a new name
  s1 = x; s1
  ^^)"},
      {in_write("p = x; q = s2;"),
       R"(map_reduce 'soft', write: expected one value, got 2 outputs)"},
      {[] {
         map_reduce(
             {.pass1 = softmax().pass1,
              .pass2 = softmax().pass2,
              .write = "x / s3"});
       },
       R"(map_reduce, write, line 1, column 5: unknown name 's3'; known are D, s1, s2, x. Did you mean 's1'?
  x / s3
      ^^)"},
  });
}

} // namespace
} // namespace zmlx::op
