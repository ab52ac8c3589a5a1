// MLX's transformations one inside another, and what they take for the same
// kernel.

#include <gtest/gtest.h>

#include <mlx/primitives.h>

#include "tests/op/support.h"
#include "zmlx/lang/functions.h"
#include "zmlx/op/elementwise.h"
#include "zmlx/op/executables.h"
#include "zmlx/op/op.h"

namespace zmlx::op {

namespace {

using namespace test;
using lang::Role;
using Arrays = std::vector<mx::array>;
using Function = std::function<Arrays(const Arrays&)>;

// 1e-4: sums of a few dozen float32 terms in two orders.
constexpr double kNear = 1e-4;

mx::array normal(const mx::Shape& shape, uint64_t seed) {
  return mx::random::normal(shape, mx::float32, mx::random::key(seed));
}

/// The same function with a kernel of ours and in MLX's operations.
struct Pair {
  const char* name;
  Function ours;
  Function native;
};

const Pair kGate{
    "gate",
    [](const Arrays& in) {
      static const auto k =
          elementwise("silu(a) * b", {.inputs = {"a", "b"}, .name = "gate"});
      return k.all({in[0], in[1]});
    },
    [](const Arrays& in) {
      return Arrays{
          mx::multiply(mx::multiply(in[0], mx::sigmoid(in[0])), in[1])};
    }};

const Pair kNorm{
    "norm",
    [](const Arrays& in) {
      static const auto k = elementwise(
          "rms_norm(a, b, eps)",
          {.inputs = {"a", "b"}, .scalars = {"eps"}, .name = "norm"});
      return k.all({in[0], in[1], 0.01});
    },
    [](const Arrays& in) {
      const auto mean = mx::mean(mx::square(in[0]), -1, true);
      const auto scale = mx::rsqrt(mx::add(mean, mx::array(0.01f)));
      return Arrays{mx::multiply(mx::multiply(in[0], scale), in[1])};
    }};

const Pair kSoftmax{
    "softmax",
    [](const Arrays& in) {
      static const auto k =
          elementwise("softmax(a * b)", {.inputs = {"a", "b"}, .name = "soft"});
      return k.all({in[0], in[1]});
    },
    [](const Arrays& in) {
      return Arrays{mx::softmax(mx::multiply(in[0], in[1]), -1, true)};
    }};

class Nested : public testing::TestWithParam<Pair> {
 protected:
  // What `transform` makes of both functions gives the same.
  static void expect_same(
      const std::function<Function(const Function&)>& transform,
      const Arrays& inputs) {
    const auto ours = transform(GetParam().ours)(inputs);
    const auto native = transform(GetParam().native)(inputs);
    ASSERT_EQ(ours.size(), native.size());
    for (size_t i = 0; i < ours.size(); ++i) {
      SCOPED_TRACE(i);
      expect_near(ours[i], native[i], kNear);
    }
  }
  const Arrays inputs_{normal({3, 4, 8}, 1), normal({8}, 2)};
};

Function gradient_of(const Function& f) {
  return mx::grad(
      [f](const Arrays& in) { return mx::sum(mx::sin(f(in)[0])); },
      std::vector<int>{0, 1});
}

Function vmapped(const Function& f, const std::vector<int>& in_axes) {
  return [f, in_axes](const Arrays& in) {
    const std::vector<int> out_axes(f(in).size(), 0);
    return mx::vmap(f, in_axes, out_axes)(in);
  };
}

TEST_P(Nested, VmapOfGrad) {
  expect_same(
      [](const Function& f) {
        return Function([f](const Arrays& in) {
          return mx::vmap(gradient_of(f), {0, -1}, {0, 0})(in);
        });
      },
      inputs_);
}

TEST_P(Nested, GradOfVmap) {
  expect_same(
      [](const Function& f) {
        return gradient_of(vmapped(f, {0, -1}));
      },
      inputs_);
}

TEST_P(Nested, VmapOfVmapOverBothInputs) {
  expect_same(
      [](const Function& f) {
        return Function([f](const Arrays& in) {
          return mx::vmap(
              Function([f](const Arrays& x) {
                return mx::vmap(f, {0, 0}, {0})(x);
              }),
              {0, -1},
              {1})(in);
        });
      },
      {normal({3, 4, 8}, 1), normal({4, 8}, 2)});
}

TEST_P(Nested, GradOfGrad) {
  expect_same(
      [](const Function& f) {
        return Function([f](const Arrays& in) {
          return mx::grad(
              [f](const Arrays& x) {
                const auto first = gradient_of(f)(x);
                return mx::add(
                    mx::sum(mx::square(first[0])), mx::sum(mx::exp(first[1])));
              },
              std::vector<int>{0, 1})(in);
        });
      },
      inputs_);
}

TEST_P(Nested, JvpOfGrad) {
  expect_same(
      [](const Function& f) {
        return Function([f](const Arrays& in) {
          return mx::jvp(
                     gradient_of(f),
                     in,
                     {normal(in[0].shape(), 5), normal(in[1].shape(), 6)})
              .second;
        });
      },
      inputs_);
}

TEST_P(Nested, CompileOfVmapOfGrad) {
  expect_same(
      [](const Function& f) {
        return mx::compile([f](const Arrays& in) {
          return mx::vmap(gradient_of(f), {0, -1}, {0, 0})(in);
        });
      },
      inputs_);
}

TEST_P(Nested, GradOfCompile) {
  expect_same(
      [](const Function& f) { return gradient_of(mx::compile(f)); }, inputs_);
}

INSTANTIATE_TEST_SUITE_P(
    Kernels,
    Nested,
    testing::Values(kGate, kNorm, kSoftmax),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Transforms, VmapOfInputsThatAreOneARowOrATable) {
  const BoundOp k(make_call(
      "mixed", lang::Kernel("mixed", "", [](lang::Define& d) {
                 auto x = d.input("x"), e = d.input("e", Role::EachRow);
                 auto table = d.input("table", Role::Table);
                 auto at = d.input("at", Role::EachRow);
                 d.output(lang::sum(x * e + lang::take(table, at)));
               }).body()));
  const auto one = [&](const Arrays& in) {
    return k.all({in[0], in[1], in[2], in[3]});
  };
  const auto x = normal({5, 2, 8}, 1), e = normal({5, 2}, 2);
  const auto table = normal({3, 8, 5}, 3);
  const auto at = mx::array({2, 0});
  const auto got = mx::vmap(one, {0, 0, 2, -1}, {0})({x, e, table, at})[0];
  for (int i = 0; i < 5; ++i) {
    const auto want =
        one({mx::take(x, i, 0), mx::take(e, i, 0), mx::take(table, i, 2), at});
    expect_near(mx::take(got, i, 0), want[0], kNear);
  }
}

// --- what is the same kernel -------------------------------------------------

bool same(const mx::array& a, const mx::array& b) {
  return a.primitive().is_equivalent(b.primitive());
}

TEST(Equivalence, IsThatOfTheFormulaNotOfTheObject) {
  const auto x = mx::array({1.f, 2.f});
  const auto a = elementwise("x * x + 3", {.name = "one"});
  const auto b = elementwise("x*x+3", {.name = "other"});
  const auto c = elementwise("x * x + 4", {.name = "one"});
  const auto d = elementwise("x * x + 3.0", {.name = "one"});
  EXPECT_TRUE(same(a(x), b(x)));
  EXPECT_TRUE(same(a(x), a(mx::exp(x))));
  EXPECT_FALSE(same(a(x), c(x)));
  EXPECT_FALSE(same(a(x), d(x))) << "an integer is no float beside integers";
  EXPECT_FALSE(same(a(x), mx::exp(x)));
}

TEST(Equivalence, CompileRunsEqualFormulasOnce) {
  const auto a = elementwise("x * x + 30.5"), b = elementwise("x*x + 30.5");
  const auto c = elementwise("x * x + 31.5");
  const auto f = mx::compile([&](const Arrays& in) {
    return Arrays{mx::concatenate({a(in[0]), b(in[0]), c(in[0])})};
  });
  f({mx::array({1.f, 2.f})}); // traced
  const auto out = f({mx::array({3.f, 4.f})})[0];
  const auto& parts = out.inputs();
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].id(), parts[1].id());
  EXPECT_NE(parts[0].id(), parts[2].id());
  EXPECT_EQ(
      values(out), (std::vector<double>{39.5, 46.5, 39.5, 46.5, 40.5, 47.5}));
}

TEST(RunTimeNumbers, MakeNoOtherKernelUnderTransformations) {
  const auto k =
      elementwise("tanh(x * a)", {.scalars = {"a"}, .name = "scaled"});
  const auto x = normal({2, 5}, 1);
  const auto gradient = [&](const Operand& a) {
    auto both = mx::grad(
        [&](const Arrays& in) { return mx::sum(k(in[0], in[1])); },
        std::vector<int>{0, 1})({x, a.array()});
    mx::eval(both);
    return both;
  };
  const auto compiled =
      mx::compile([&](const Arrays& in) { return Arrays{k(in[0], in[1])}; });
  gradient(0.5);
  mx::eval(compiled({x, mx::array(0.5f)}));
  const auto before = executable_counts();
  for (float a : {0.25f, 2.f, -1.f}) {
    const auto want = mx::tanh(mx::multiply(x, mx::array(a)));
    expect_near(compiled({x, mx::array(a)})[0], want, kNear);
    const auto slope = mx::subtract(mx::array(1.f), mx::square(want));
    for (const auto& got : {gradient(a), gradient(mx::array(a))}) {
      expect_near(got[0], mx::multiply(slope, mx::array(a)), kNear);
      EXPECT_EQ(got[1].shape(), mx::Shape{});
      expect_near(got[1], mx::sum(mx::multiply(slope, x)), kNear);
    }
  }
  EXPECT_EQ(executable_counts().misses, before.misses);
}

} // namespace

} // namespace zmlx::op
