// Kernels from text, against MLX's own operations.

#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include <fmt/format.h>

#include "tests/op/support.h"
#include "zmlx/op/elementwise.h"
#include "zmlx/op/reduce.h"

namespace zmlx::op {

namespace {

using namespace test;
using Arrays = std::vector<mx::array>;
using Function = std::function<mx::array(const Arrays&)>;

mx::array normal(const mx::Shape& shape, uint64_t seed) {
  return mx::random::normal(shape, mx::float32, mx::random::key(seed));
}

void expect_same_gradients(
    const Function& ours,
    const Function& native,
    const Arrays& in) {
  const auto c = normal(native(in).shape(), 99);
  const auto gradients = [&](const Function& f) {
    return mx::vjp([&](const Arrays& x) { return Arrays{f(x)}; }, in, {c})
        .second;
  };
  const auto got = gradients(ours), want = gradients(native);
  for (size_t i = 0; i < in.size(); ++i) {
    SCOPED_TRACE(fmt::format("gradient {}", i));
    expect_near(got[i], want[i], 1e-4);
  }
}

void expect_no_fallback_of_gradients(const std::string& kernel) {
  for (const auto& fallback : fallbacks()) {
    EXPECT_FALSE(
        fallback.kernel == kernel &&
        fallback.reason.starts_with("its gradient"))
        << fallback.reason;
  }
}

const std::vector<mx::Shape> kRows =
    {{1, 1}, {5, 33}, {2, 3, 64}, {1000}, {4, 0}, {0, 7}};

TEST(Elementwise, MetalWordsMeanWhatTheySay) {
  const auto x = mx::array({-2.5f, -1.5f, -0.5f, 0.f, 0.5f, 1.5f, 2.5f, 7.25f});
  expect_near(
      elementwise("metal::round(x)")(x),
      mx::array({-3.f, -2.f, -1.f, 0.f, 1.f, 2.f, 3.f, 7.f}),
      0);
  expect_near(
      elementwise("fmod(x, 2.0f)")(x),
      mx::array({-0.5f, -1.5f, -0.5f, 0.f, 0.5f, 1.5f, 0.5f, 1.25f}),
      0);
  expect_near(elementwise("sinh(x)")(x), mx::sinh(x), 1e-6);
  expect_near(elementwise("metal::cosh(x)")(x), mx::cosh(x), 1e-6);
  const auto odd = mx::array({INFINITY, -INFINITY, NAN, 1.f});
  expect_near(
      elementwise("isinf(x) ? 1.0f : isnan(x) ? 2.0f : 0.0f")(odd),
      mx::array({1.f, 1.f, 2.f, 0.f}),
      0);
  expect_near(
      elementwise("isfinite(x) ? 1.0f : 0.0f")(odd),
      mx::array({0.f, 0.f, 0.f, 1.f}),
      0);
}

TEST(Elementwise, GradientByHandIsTheOneThatIsUsed) {
  const auto doubled = elementwise(
      "kk_silu(x)",
      {.name = "silu_by_hand",
       .gradients = {"2 * g * (s + x * s * ((T)1 - s))"},
       .gradient_prelude = "T s = kk_sigmoid(x);",
       .use_output = false,
       .header = std::string(kDefaultHeader)});
  const auto x = normal({3, 17}, 1), c = normal({3, 17}, 2);
  const auto got = mx::vjp(
      [&](const Arrays& in) { return Arrays{doubled(in[0])}; }, {x}, {c});
  const auto want = mx::vjp(
      [&](const Arrays& in) {
        return Arrays{mx::multiply(in[0], mx::sigmoid(in[0]))};
      },
      {x},
      {c});
  expect_near(got.first[0], want.first[0], 1e-6);
  expect_near(
      got.second[0], mx::multiply(want.second[0], mx::array(2.f)), 1e-5);
  expect_no_fallback_of_gradients("silu_by_hand");
}

TEST(Elementwise, GradientsOfTheOutput) {
  const auto tanh =
      elementwise("tanh(x)", {.gradients = {"g * ((T)1 - y * y)"}});
  expect_same_gradients(
      [&](const Arrays& in) { return tanh(in[0]); },
      [](const Arrays& in) { return mx::tanh(in[0]); },
      {normal({40}, 3)});
}

TEST(Elementwise, GradientsOfSeveralInputsAreSummedWhereTheyBroadcast) {
  const auto gate = elementwise(
      "silu(a) * b + c",
      {.inputs = {"a", "b"},
       .scalars = {"c"},
       .gradients = {"g * b * (s + a * s * (1 - s))", "g * a * s"},
       .gradient_prelude = "T s = kk_sigmoid(a);"});
  expect_same_gradients(
      [&](const Arrays& in) { return gate(in[0], in[1], in[2]); },
      [](const Arrays& in) {
        return mx::add(
            mx::multiply(mx::multiply(in[0], mx::sigmoid(in[0])), in[1]),
            in[2]);
      },
      {normal({6, 33}, 1), normal({33}, 2), mx::array(0.5f)});
  const auto scaled = elementwise(
      "x * c",
      {.scalars = {"c"}, .gradients = {{"c", "g * x"}, {"x", "g * c"}}});
  expect_same_gradients(
      [&](const Arrays& in) { return scaled(in[0], in[1]); },
      [](const Arrays& in) { return mx::multiply(in[0], in[1]); },
      {normal({6, 33}, 1), mx::array(0.5f)});
  const auto named = elementwise(
      "a * b", {.inputs = {"a", "b"}, .gradients = {{"b", "3 * g * a"}}});
  expect_same_gradients(
      [&](const Arrays& in) { return named(in[0], in[1]); },
      [](const Arrays& in) {
        const auto b = mx::subtract(
            mx::multiply(in[1], mx::array(3.f)),
            mx::stop_gradient(mx::multiply(in[1], mx::array(2.f))));
        return mx::multiply(in[0], b);
      },
      {normal({5}, 1), normal({5}, 2)});
}

TEST(Elementwise, SeveralOutputsHaveACotangentEach) {
  const auto both = elementwise(
      "p = a * b; q = p + a;",
      {.inputs = {"a", "b"},
       .gradients = {"g_p * b + g_q * (b + 1)", "(g_p + g_q) * p / b"}});
  const Arrays in{normal({4, 8}, 1), mx::add(normal({8}, 2), mx::array(5.f))};
  const Arrays c{normal({4, 8}, 3), normal({4, 8}, 4)};
  const auto got = mx::vjp(
      [&](const Arrays& x) {
        return both.all({x[0], x[1]});
      },
      in,
      c);
  const auto want = mx::vjp(
      [](const Arrays& x) {
        const auto p = mx::multiply(x[0], x[1]);
        return Arrays{p, mx::add(p, x[0])};
      },
      in,
      c);
  for (int i = 0; i < 2; ++i) {
    expect_near(got.first[i], want.first[i], 1e-6);
    expect_near(got.second[i], want.second[i], 1e-4);
  }
}

TEST(Elementwise, TablesAreFoundByTheirUse) {
  const auto embed = elementwise(
      "take(table, ids) * scale",
      {.inputs = {"table", "ids"}, .scalars = {"scale"}, .name = "embed"});
  const auto table = normal({7, 12}, 1);
  const auto ids = mx::array({3, 0, 3, 6}, {2, 2});
  const Function native = [&](const Arrays& in) {
    return mx::multiply(mx::take(in[0], ids, 0), in[1]);
  };
  const Arrays in{table, mx::array(2.f)};
  expect_near(embed(table, ids, 2.0), native(in), 1e-6);
  expect_same_gradients(
      [&](const Arrays& x) { return embed(x[0], ids, x[1]); }, native, in);
}

TEST(Elementwise, RunningSumsOfText) {
  const auto x = normal({3, 50}, 1);
  expect_near(elementwise("cumsum(x)")(x), mx::cumsum(x, -1), 1e-5);
  expect_near(
      elementwise("cumsum(x, 1, 1)")(x), mx::cumsum(x, -1, true, false), 1e-5);
}

TEST(Elementwise, SoftmaxAndItsRelativesStopAtTheMaximum) {
  const auto x = mx::multiply(normal({4, 50}, 1), mx::array(30.f));
  const auto check = [&](const char* text, const Function& native) {
    SCOPED_TRACE(text);
    const auto f = elementwise(text);
    expect_near(f(x), native({x}), 1e-5);
    expect_same_gradients(
        [&](const Arrays& in) { return f(in[0]); }, native, {x});
  };
  check("softmax(x)", [](const Arrays& in) { return mx::softmax(in[0], -1); });
  check("logsumexp(x)", [](const Arrays& in) {
    return mx::logsumexp(in[0], -1);
  });
  check("log_softmax(x)", [](const Arrays& in) {
    return mx::subtract(in[0], mx::logsumexp(in[0], -1, true));
  });
}

TEST(Elementwise, UniformIsTheUpperBitsOfRandom) {
  const auto x = mx::zeros({3, 100});
  const auto even = elementwise("uniform(s) + x", {.scalars = {"s"}})(x, 7);
  const auto bits =
      elementwise("float(random(s) >> 8) + x", {.scalars = {"s"}})(x, 7);
  expect_near(mx::multiply(even, mx::array(16777216.f)), bits, 0);
  EXPECT_GE(mx::min(even).item<float>(), 0);
  EXPECT_LT(mx::max(even).item<float>(), 1);
  EXPECT_GT(mx::max(even).item<float>(), 0.5);
}

struct Loop {
  Reduce parts;
  Function native;
};

std::vector<Loop> loops() {
  const auto length = [](const mx::array& x) {
    return mx::array(static_cast<float>(x.shape(-1)));
  };
  return {
      {{.init = "0.0f", .update = "acc + v", .name = "sum"},
       [](const Arrays& in) { return mx::sum(in[0], -1); }},
      {{.init = "0",
        .update = "v * v + acc + 1",
        .finalize = "acc + 2",
        .name = "sum_and_more"},
       [length](const Arrays& in) {
         return mx::add(
             mx::add(mx::sum(mx::square(in[0]), -1), mx::array(2.f)),
             length(in[0]));
       }},
      {{.init = "0.0f",
        .update = "fma(v, v, acc)",
        .finalize = "metal::sqrt(s / D)",
        .reduce = "a + b",
        .name = "rms"},
       [](const Arrays& in) {
         return mx::sqrt(mx::mean(mx::square(in[0]), -1));
       }},
      {{.init = "1.0f", .update = "acc * (1 + v / 8)", .name = "prod"},
       [](const Arrays& in) {
         return mx::prod(
             mx::add(mx::divide(in[0], mx::array(8.f)), mx::array(1.f)), -1);
       }},
      {{.init = "INFINITY",
        .update = "v < acc ? v : acc",
        .finalize = "min(acc, -0.25f)",
        .name = "min"},
       [](const Arrays& in) {
         return mx::minimum(mx::min(in[0], -1), mx::array(-0.25f));
       }},
  };
}

TEST(Reduce, ValuesAndGradients) {
  for (const auto& loop : loops()) {
    const auto ours = reduce(loop.parts);
    const Function f = [&](const Arrays& in) { return ours(in[0]); };
    for (const auto& shape : kRows) {
      const auto x = normal(shape, 3);
      if (x.size() == 0 && loop.parts.name == "min") {
        continue; // MLX has no minimum of nothing
      }
      SCOPED_TRACE(fmt::format("{}, {} rows", loop.parts.name, x.size()));
      expect_near(ours(x), loop.native({x}), 1e-5);
      if (x.size() > 0) {
        expect_same_gradients(f, loop.native, {x});
      }
    }
    expect_no_fallback_of_gradients(loop.parts.name);
  }
}

TEST(Reduce, AnyStridesAndTypes) {
  const auto total = reduce({.init = "0", .update = "acc + v"});
  const auto x = normal({33, 5, 6}, 4);
  for (const auto& view :
       {mx::transpose(x),
        mx::slice(x, {0, 1, 0}, {33, 5, 6}, {2, 2, 3}),
        mx::broadcast_to(mx::slice(x, {0, 0, 0}, {33, 5, 1}), {33, 5, 9})}) {
    expect_near(total(view), mx::sum(view, -1), 1e-5);
  }
  const auto whole = mx::array({1, 2, 3, -7, 5, 6}, {2, 3});
  const auto sum = total(whole);
  EXPECT_EQ(sum.dtype(), mx::int32);
  expect_near(sum, mx::array({6, 4}), 0);
  const auto most = reduce({.init = "-INFINITY", .update = "max(acc, v)"});
  EXPECT_EQ(most(whole).dtype(), mx::int32);
  EXPECT_EQ(most(mx::astype(x, mx::bfloat16)).dtype(), mx::bfloat16);
}

TEST(Reduce, OfNothingIsWhatTheLoopGives) {
  const auto none = mx::zeros({2, 0}, mx::float32);
  const auto most = reduce({.init = "-INFINITY", .update = "fmax(acc, v)"});
  const double least = -std::numeric_limits<double>::infinity();
  EXPECT_EQ(values(most(none)), (std::vector<double>{least, least}));
  const auto more =
      reduce({.init = "0", .update = "acc + v", .finalize = "acc + 4.0f"});
  expect_near(more(none), mx::array({4.f, 4.f}), 0);
  // No float32 is larger than the largest one, but infinity.
  const auto finite =
      reduce({.init = "-3.4028235e38f", .update = "max(acc, v)"});
  expect_near(finite(mx::array({1.f, 3.f})), mx::array(3.f), 0);
}

const MapReduce kSoftmax = {
    .pass1 =
        {.init = "-INFINITY", .update = "max(acc1, x)", .reduce = "max(a, b)"},
    .pass2 =
        {.init = "0.0f", .update = "acc2 + exp(x - s1)", .reduce = "a + b"},
    .write = "exp(x - s1) / s2",
    .name = "soft"};

const MapReduce kLayerNorm = {
    .pass1 = {.init = "0.0f", .update = "acc1 + x", .reduce = "b + a"},
    .pass2 =
        {.init = "0.0f",
         .update = "acc2 + (x - s1 / D) * (x - s1 / D)",
         .reduce = "a + b"},
    .write = "T d = x - s1 / D; d * metal::rsqrt(s2 / D + 1e-5f)",
    .name = "norm"};

TEST(MapReduce, SoftmaxAndLayerNorm) {
  const auto soft = map_reduce(kSoftmax), norm = map_reduce(kLayerNorm);
  const Function ours[] = {
      [&](const Arrays& in) { return soft(in[0]); },
      [&](const Arrays& in) { return norm(in[0]); }};
  const Function native[] = {
      [](const Arrays& in) { return mx::softmax(in[0], -1); },
      [](const Arrays& in) {
        return mx::fast::layer_norm(in[0], {}, {}, 1e-5f);
      }};
  for (int k = 0; k < 2; ++k) {
    for (const auto& shape : {mx::Shape{5, 33}, {2, 3, 64}, {1000}}) {
      const auto x = normal(shape, 3);
      expect_near(ours[k]({x}), native[k]({x}), 1e-5);
      expect_same_gradients(ours[k], native[k], {x});
    }
    const auto across = mx::transpose(normal({6, 40}, 4));
    expect_near(ours[k]({across}), native[k]({across}), 1e-5);
  }
  expect_no_fallback_of_gradients("soft");
  expect_no_fallback_of_gradients("norm");
}

TEST(MapReduce, AValueOfTheRowFillsIt) {
  auto parts = kSoftmax;
  parts.write = "s1";
  const auto x = normal({4, 9}, 1);
  expect_near(
      map_reduce(parts)(x), mx::broadcast_to(mx::max(x, -1, true), {4, 9}), 0);
  EXPECT_EQ(map_reduce(parts)(mx::zeros({3, 0})).shape(), (mx::Shape{3, 0}));
}

} // namespace

} // namespace zmlx::op
