// Nodes of ours under MLX's transformations, against MLX's own operations.

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "tests/op/support.h"
#include "zmlx/lang/functions.h"
#include "zmlx/op/op.h"

namespace zmlx::op {

namespace {

using namespace test;
using Arrays = std::vector<mx::array>;
using Function = std::function<Arrays(const Arrays&)>;

BoundOp kernel(const std::function<void(lang::Define&)>& define) {
  return BoundOp(make_call("test", lang::Kernel("test", "", define).body()));
}

const BoundOp& gate() {
  static const auto k = kernel([](lang::Define& d) {
    auto a = d.input("a"), b = d.input("b");
    d.output(lang::silu(a) * b);
  });
  return k;
}

mx::array native_gate(const mx::array& a, const mx::array& b) {
  return mx::multiply(mx::multiply(a, mx::sigmoid(a)), b);
}

const BoundOp& norm() {
  static const auto k = kernel([](lang::Define& d) {
    auto x = d.input("x"), r = d.input("r"), w = d.input("w");
    auto eps = d.scalar("eps");
    auto sum = x + r;
    d.output_like(
        sum * lang::rsqrt(lang::mean(sum * sum) + eps) * w, x, "normed");
    d.output_like(sum, x, "sum");
  });
  return k;
}

Arrays native_norm(const Arrays& in) {
  auto sum = mx::add(in[0], in[1]);
  return {mx::fast::rms_norm(sum, in[2], 1e-5f), sum};
}

const Function ours_norm = [](const Arrays& in) {
  return norm().all({in[0], in[1], in[2], 1e-5});
};

mx::array normal(const mx::Shape& shape, uint64_t seed) {
  return mx::random::normal(shape, mx::float32, mx::random::key(seed));
}

TEST(Transforms, GradOfEveryInputWithBroadcasting) {
  const Arrays in{normal({4, 33}, 1), normal({33}, 2)};
  const auto c = normal({4, 33}, 3);
  const auto ours = mx::vjp(
      [](const Arrays& x) { return Arrays{gate()(x[0], x[1])}; }, in, {c});
  const auto native = mx::vjp(
      [](const Arrays& x) { return Arrays{native_gate(x[0], x[1])}; }, in, {c});
  expect_near(ours.first[0], native.first[0], 1e-5);
  expect_near(ours.second[0], native.second[0], 1e-4);
  expect_near(ours.second[1], native.second[1], 1e-4);
}

TEST(Transforms, GradWhereOneOfTwoOutputsIsUsed) {
  const Arrays in{normal({3, 64}, 1), normal({3, 64}, 2), normal({64}, 3)};
  for (int output : {0, 1}) {
    const auto loss = [&](const Function& f) {
      return [f, output](const Arrays& x) {
        return mx::sum(mx::square(f(x)[output]));
      };
    };
    const auto ours = mx::grad(loss(ours_norm), {0, 1, 2})(in);
    const auto native = mx::grad(loss(native_norm), {0, 1, 2})(in);
    for (int i = 0; i < 3; ++i) {
      SCOPED_TRACE(fmt::format("output {}, input {}", output, i));
      expect_near(ours[i], native[i], 1e-4);
    }
  }
}

TEST(Transforms, GradOfBothOutputs) {
  const Arrays in{normal({3, 64}, 1), normal({3, 64}, 2), normal({64}, 3)};
  const Arrays c{normal({3, 64}, 4), normal({3, 64}, 5)};
  const auto ours = mx::vjp(ours_norm, in, c);
  const auto native = mx::vjp(native_norm, in, c);
  for (int i = 0; i < 3; ++i) {
    expect_near(ours.second[i], native.second[i], 1e-4);
  }
}

TEST(Transforms, GradOfAProductIsThatOfItsRowAlone) {
  const auto parts = mx::quantize(normal({40, 128}, 1), 64, 4);
  const auto product = kernel([](lang::Define& d) {
    auto x = d.input("x");
    d.output(lang::product(x, d.weight("w", 4, 64)));
  });
  const auto x = normal({2, 128}, 2), c = normal({2, 40}, 3);
  const auto ours = mx::vjp(
      [&](const Arrays& in) {
        return Arrays{product(in[0], parts[0], parts[1], parts[2])};
      },
      {x},
      {c});
  const auto native = mx::vjp(
      [&](const Arrays& in) {
        return Arrays{mx::quantized_matmul(
            in[0], parts[0], parts[1], parts[2], true, 64, 4)};
      },
      {x},
      {c});
  expect_near(ours.second[0], native.second[0], 1e-4);
}

TEST(Transforms, SecondDerivative) {
  const auto k = kernel([](lang::Define& d) {
    auto x = d.input("x");
    d.output(x * x * x);
  });
  const auto first =
      mx::grad([&](const mx::array& x) { return mx::sum(k(x)); });
  const auto second =
      mx::grad([&](const mx::array& x) { return mx::sum(first(x)); });
  expect_near(second(mx::array({1.f, -2.f})), mx::array({6.f, -12.f}), 1e-6);
}

TEST(Transforms, Jvp) {
  const Arrays in{normal({4, 33}, 1), normal({33}, 2)};
  const Arrays t{normal({4, 33}, 3), normal({33}, 4)};
  const auto ours = mx::jvp(
      [](const Arrays& x) { return Arrays{gate()(x[0], x[1])}; }, in, t);
  const auto native = mx::jvp(
      [](const Arrays& x) { return Arrays{native_gate(x[0], x[1])}; }, in, t);
  expect_near(ours.second[0], native.second[0], 1e-4);
}

TEST(Transforms, VmapOverAnyAxesOfSomeInputs) {
  const auto x = normal({5, 3, 64}, 1), r = normal({3, 64}, 2);
  const auto w = normal({64, 5}, 3);
  const auto got = mx::vmap(ours_norm, {0, -1, 1}, {0, 0})({x, r, w});
  for (int i = 0; i < 5; ++i) {
    const auto want = ours_norm({mx::take(x, i, 0), r, mx::take(w, i, 1)});
    expect_near(mx::take(got[0], i, 0), want[0], 1e-5);
    expect_near(mx::take(got[1], i, 0), want[1], 1e-5);
  }
}

TEST(Transforms, GradOfVmap) {
  const Arrays in{normal({5, 8}, 1), normal({8}, 2)};
  const auto f = [](bool ours) {
    return [ours](const Arrays& x) {
      const auto one = mx::vmap(
          Function([ours](const Arrays& y) {
            return Arrays{ours ? gate()(y[0], y[1]) : native_gate(y[0], y[1])};
          }),
          {0, -1},
          {0});
      return mx::sum(mx::square(one(x)[0]));
    };
  };
  const auto ours = mx::grad(f(true), {0, 1})(in);
  const auto native = mx::grad(f(false), {0, 1})(in);
  expect_near(ours[0], native[0], 1e-4);
  expect_near(ours[1], native[1], 1e-4);
}

TEST(Transforms, CompileKeepsKernelsApartAndMergesEqualOnes) {
  const auto twice =
      kernel([](lang::Define& d) { d.output(d.input("x") * 2.0); });
  const auto thrice =
      kernel([](lang::Define& d) { d.output(d.input("x") * 3.0); });
  const auto f = mx::compile([&](const Arrays& in) {
    return Arrays{
        mx::add(twice(in[0]), mx::add(thrice(in[0]), twice(in[0]))),
        thrice(mx::exp(in[0]))};
  });
  for (float value : {1.f, 5.f}) {
    const auto out = f({mx::array({value, -value})});
    expect_near(out[0], mx::array({7 * value, -7 * value}), 1e-6);
    expect_near(
        out[1], mx::array({3 * std::exp(value), 3 * std::exp(-value)}), 1e-5);
  }
}

TEST(Transforms, ShapelessCompileInfersShapes) {
  const auto f = mx::compile(
      [](const Arrays& in) { return ours_norm(in); }, /* shapeless= */ true);
  for (int rows : {2, 5}) {
    const Arrays in{
        normal({rows, 64}, 1), normal({rows, 64}, 2), normal({64}, 3)};
    expect_near(f(in)[0], native_norm(in)[0], 1e-5);
  }
}

TEST(Transforms, GradUnderCompile) {
  const Arrays in{normal({4, 33}, 1), normal({33}, 2)};
  const auto loss = [](const Arrays& x) { return mx::sum(gate()(x[0], x[1])); };
  const auto f = mx::compile([&](const Arrays& x) {
    return mx::grad(loss, {0, 1})(x);
  });
  const auto want = mx::grad(
      [](const Arrays& x) { return mx::sum(native_gate(x[0], x[1])); },
      {0, 1})(in);
  expect_near(f(in)[0], want[0], 1e-4);
  expect_near(f(in)[1], want[1], 1e-4);
}

} // namespace

} // namespace zmlx::op
