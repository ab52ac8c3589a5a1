// A node in MLX's graph: laziness, memory, threads, order, errors.

#include "zmlx/op/primitive.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <thread>

#include <fmt/format.h>

#include "tests/op/support.h"
#include "zmlx/base/errors.h"
#include "zmlx/lang/functions.h"
#include "zmlx/op/convert.h"
#include "zmlx/op/elementwise.h"
#include "zmlx/op/executables.h"
#include "zmlx/op/reference.h"

namespace zmlx::op {

namespace {

using namespace test;
using Arrays = std::vector<mx::array>;

mx::array normal(const mx::Shape& shape, uint64_t seed) {
  return mx::random::normal(shape, mx::float32, mx::random::key(seed));
}

template <typename Do>
std::string message_of(Do what) {
  try {
    what();
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Node, BuildsOnPlaceholdersWithoutEvaluating) {
  mx::array x({4, 8}, mx::bfloat16, nullptr, {});
  auto f = elementwise("silu(x) * 2", {.name = "twice_silu"});
  const auto y = f(x);
  EXPECT_EQ(y.shape(), x.shape());
  EXPECT_EQ(y.dtype(), mx::bfloat16);
  EXPECT_EQ(y.status(), mx::array::Status::unscheduled);
  ASSERT_NE(call_of(y), nullptr);
  EXPECT_EQ(call_of(y)->kernel, "twice_silu");
  EXPECT_EQ(call_of(y)->body.outputs.size(), 1u);
  EXPECT_EQ(call_of(x), nullptr);
  EXPECT_EQ(call_of(mx::exp(x)), nullptr);
  auto lazy = y;
  EXPECT_ANY_THROW(lazy.eval());
}

TEST(Node, SiblingsAreTheOutputsInOrder) {
  const auto out =
      elementwise("a = x + 1; b = x * 2", {}).all({mx::array({1.f, 2.f})});
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[1].sibling_position(), 1);
  EXPECT_EQ(values(out[1]), (std::vector<double>{2, 4}));
  EXPECT_EQ(values(out[0]), (std::vector<double>{2, 3}));
}

TEST(Node, OutputsAreAlignedAndKnowTheirSize) {
  auto y = elementwise("x + 1")(normal({1000, 37}, 1));
  y.eval();
  EXPECT_EQ(reinterpret_cast<uintptr_t>(y.data<float>()) % 64, 0u);
  EXPECT_GE(y.buffer_size(), y.nbytes());
  // MLX may copy, slice and use it as any other.
  expect_same_bits(
      mx::concatenate({y, y}, 0),
      mx::concatenate({mx::array(y), mx::contiguous(y)}, 0));
}

TEST(Node, ReadsInputsThatAreStillBeingMade) {
  auto f = elementwise("x * 0.5 + y", {.inputs = {"x", "y"}});
  for (int run = 0; run < 50; ++run) {
    const auto base = mx::full({100000}, static_cast<float>(run));
    auto slow = base;
    for (int i = 0; i < 4; ++i) {
      slow = mx::add(slow, mx::array(1.f));
    }
    auto y = f(slow, f(slow, base));
    mx::async_eval(y);
    const double x = run + 4;
    const auto got = values(y);
    EXPECT_EQ(got.front(), x * 0.5 + (x * 0.5 + run));
    EXPECT_EQ(got.back(), x * 0.5 + (x * 0.5 + run));
  }
}

TEST(Node, MemoryIsSafeWhereMlxReusesBuffers) {
  // exp may write over what a queued kernel still reads, were it not kept.
  auto f = elementwise("x + 1");
  for (int run = 0; run < 50; ++run) {
    mx::array y(0.f), z(0.f);
    {
      auto x = mx::add(mx::zeros({50000}), mx::array(1.f));
      y = f(x);
      z = mx::negative(x);
    }
    mx::eval(z, y);
    EXPECT_EQ(values(y)[49999], 2);
    EXPECT_EQ(values(z)[49999], -1);
    // And the other way: MLX may take over our output.
    auto w = mx::negative(mx::negative(f(f(mx::zeros({50000})))));
    EXPECT_EQ(values(w)[12345], 2);
  }
}

TEST(Node, OddStridesOffsetsAndBroadcasts) {
  const auto base = normal({7, 6, 10}, 1);
  auto f = elementwise("x * 3 - y", {.inputs = {"x", "y"}});
  const auto want = [](const mx::array& x, const mx::array& y) {
    return mx::subtract(mx::multiply(x, mx::array(3.f)), y);
  };
  const Arrays views{
      base,
      mx::transpose(base, {0, 1, 2}),
      mx::slice(base, {6, 0, 9}, {-8, 6, -11}, {-1, 1, -1}),
      mx::slice(normal({8, 9, 21}, 2), {1, 2, 1}, {8, 8, 21}, {1, 1, 2}),
      mx::broadcast_to(normal({6, 1}, 3), {7, 6, 10}),
      mx::swapaxes(normal({7, 10, 6}, 4), 1, 2)};
  for (const auto& x : views) {
    for (const auto& y : views) {
      expect_near(f(x, y), want(x, y), 1e-6);
    }
  }
}

TEST(Node, EveryTypeAndEmptyArrays) {
  auto f = elementwise("x + x");
  for (auto type :
       {mx::float16,
        mx::bfloat16,
        mx::float32,
        mx::float64,
        mx::int8,
        mx::uint8,
        mx::int32,
        mx::uint32,
        mx::int64}) {
    mx::StreamContext on_cpu(mx::Device::cpu);
    const auto x = mx::astype(mx::array({1, 2, 60}), type);
    expect_same_bits(f(x), mx::add(x, x));
    EXPECT_EQ(f(mx::zeros({3, 0}, type)).shape(), (mx::Shape{3, 0}));
    f(mx::zeros({3, 0}, type)).eval();
  }
}

TEST(Node, SameBitsEveryRunAndOnEveryThread) {
  const auto x = normal({33, 10007}, 1);
  mx::eval(x);
  auto f = elementwise("sum(exp(x) * x) / width()", {});
  const auto first = values(f(x));
  for (int run = 0; run < 20; ++run) {
    EXPECT_EQ(values(f(x)), first);
  }
  std::vector<std::thread> threads;
  std::atomic<int> equal = 0;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&] {
      for (int run = 0; run < 10; ++run) {
        auto y = f(x);
        y.eval();
        equal += std::equal(
            first.begin(), first.end(), y.data<float>(), [](double a, float b) {
              return a == b;
            });
      }
    });
  }
  for (auto& t : threads) {
    t.join();
  }
  EXPECT_EQ(equal, 60);
}

TEST(Node, RunTimeNumbersMakeNoOtherKernel) {
  auto f = elementwise("x * a", {.scalars = {"a"}});
  const auto x = mx::array({1.f, 2.f});
  EXPECT_EQ(values(f(x, 2.0)), (std::vector<double>{2, 4}));
  const auto before = executable_counts();
  EXPECT_EQ(values(f(x, 3.0)), (std::vector<double>{3, 6}));
  EXPECT_EQ(values(f(x, mx::array(4.f))), (std::vector<double>{4, 8}));
  EXPECT_EQ(executable_counts().misses, before.misses);
}

TEST(Node, PlacesThatNothingElseReadsAreStored) {
  const auto f = elementwise("a = index(); b = x; c = x * (2 * index())");
  const auto x = mx::array({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}, {2, 3});
  const auto y = f.all({x});
  EXPECT_EQ(values(y[0]), (std::vector<double>{0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(values(y[1]), (std::vector<double>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(values(y[2]), (std::vector<double>{0, 4, 12, 0, 10, 24}));
}

TEST(Node, EqualFormulasShareAnExecutable) {
  const auto x = mx::array({1.f, 2.f});
  mx::eval(elementwise("x * x + 41")(x));
  const auto before = executable_counts();
  mx::eval(elementwise("x*x + 41")(x));
  EXPECT_EQ(executable_counts().misses, before.misses);
  mx::eval(elementwise("x * x + 43")(x));
  EXPECT_EQ(executable_counts().misses, before.misses + 1);
}

TEST(Node, WhatNoPeerCanRunGoesThroughTheReferenceAndIsCounted) {
  mx::StreamContext on_cpu(mx::Device::cpu);
  const auto body = lang::Kernel("wide_product", "", [](lang::Define& d) {
                      auto x = d.input("x");
                      d.output(lang::product(x, d.weight("w", 0, 0)));
                    }).body();
  const auto x = mx::astype(normal({2, 8}, 1), mx::float64);
  const auto w = mx::astype(normal({5, 8}, 2), mx::float64);
  std::string why;
  const std::vector<lang::Type> types(2, lang::Type::F64);
  ASSERT_EQ(executable(body, types, mx::Device::cpu, &why), nullptr);
  EXPECT_FALSE(why.empty());
  // Inputs and the result are lazy on both sides of the fallback.
  auto y = mx::negative(op::apply("wide_product", body, {mx::add(x, x), w})[0]);
  const auto want = mx::negative(mx::matmul(mx::add(x, x), mx::transpose(w)));
  expect_near(y, want, 1e-12);
  int64_t count = 0;
  for (const auto& fallback : fallbacks()) {
    if (fallback.kernel == "wide_product") {
      count += fallback.count;
      EXPECT_EQ(fallback.reason, why);
    }
  }
  EXPECT_EQ(count, 1);
}

TEST(Node, ADeviceWithoutAPeerIsNamed) {
  const auto body = lang::Kernel("copy", "", [](lang::Define& d) {
                      d.output(d.input("x"));
                    }).body();
  const auto why = [&](mx::Device device) {
    return unsupported(body, {lang::Type::F32}, device).value_or("supported");
  };
  EXPECT_EQ(why({mx::Device::cpu, 7}), "no peer for CPU 7");
  EXPECT_EQ(why({mx::Device::gpu, 7}), "no peer for GPU 7");
}

TEST(Node, AnIndexOutsideItsArrayIsAnErrorOfEval) {
  mx::StreamContext on_cpu(mx::Device::cpu);
  const auto rows = lang::Kernel("rows", "", [](lang::Define& d) {
                      auto table = d.input("table", lang::Role::Table);
                      auto at = d.input("at", lang::Role::EachRow);
                      d.output(lang::take(table, at));
                    }).body();
  const auto table = normal({5, 3}, 1);
  const auto take = [&](const mx::array& at) {
    return op::apply("rows", rows, {table, at})[0];
  };
  for (int outside : {5, -1}) {
    auto wrong = mx::negative(take(mx::array({4, outside, 0})));
    EXPECT_EQ(
        message_of([&] { wrong.eval(); }),
        fmt::format("rows: index {} is outside the 5 rows of table", outside));
    // MLX goes on.
    expect_same_bits(
        take(mx::array({4, 1, 0})), mx::take(table, mx::array({4, 1, 0}), 0));
  }
  auto picked = elementwise("pick(x, y)", {.inputs = {"x", "y"}, .name = "at"});
  const auto x = normal({2, 4}, 2);
  EXPECT_EQ(
      message_of([&] {
        picked(x, mx::array({3, 4, 0, 0})).eval();
      }),
      "at: index 4 is outside the 4 places of a row of x");
}

TEST(Node, AMatrixThatARowNamesAndThatIsNotThereIsAnErrorOfEval) {
  mx::StreamContext on_cpu(mx::Device::cpu);
  const auto body = lang::Kernel("gathered", "", [](lang::Define& d) {
                      auto x = d.input("x");
                      auto w = d.weight("w", 4, 32);
                      w.experts = d.input("e", lang::Role::EachRow)->input;
                      d.output(lang::product(x, w));
                    }).body();
  const auto x = normal({3, 64}, 1);
  const auto parts = mx::quantize(normal({5, 40, 64}, 2), 32, 4);
  const auto call = [&](const mx::array& expert) {
    return op::apply(
        "gathered", body, {x, parts[0], parts[1], parts[2], expert})[0];
  };
  auto wrong = call(mx::array({0, 5, 1}));
  EXPECT_EQ(
      message_of([&] { wrong.eval(); }),
      "gathered: index 5 is outside the 5 rows of w");
  const auto expert = mx::array({4, 0, 4}, mx::uint32);
  const auto want = mx::gather_qmm(
      mx::expand_dims(x, 1),
      parts[0],
      parts[1],
      parts[2],
      std::nullopt,
      expert,
      true,
      32,
      4);
  expect_near(call(expert), mx::reshape(want, {3, 40}), 1e-4);
  expect_near(
      reference(body, {x, parts[0], parts[1], parts[2], expert})[0],
      mx::reshape(want, {3, 40}),
      1e-4);
  // Names none: 0.
  const auto none = reference(
      body, {x, parts[0], parts[1], parts[2], mx::array({4, 5, -1})})[0];
  EXPECT_EQ(values(none)[0], values(want)[0]);
  EXPECT_EQ(values(none)[40], 0);
  EXPECT_EQ(values(none)[80], 0);
}

TEST(Node, IndicesThatTheFormulaKeepsInsideAreNoError) {
  mx::StreamContext on_cpu(mx::Device::cpu);
  const auto x = normal({2, 4}, 2);
  const auto y = mx::array({9, 1, 9, 0});
  auto masked = elementwise(
      "select(y == 9, 0, pick(x, select(y == 9, 0, y)))",
      {.inputs = {"x", "y"}});
  EXPECT_EQ(values(masked(x, y))[0], 0);
  EXPECT_EQ(values(masked(x, y))[1], values(x)[1]);
  // A place that the formula names itself may be outside: 0.
  auto shifted = elementwise("pick(x, index() + 1)");
  EXPECT_EQ(values(shifted(x))[3], 0);
  EXPECT_EQ(values(shifted(x))[2], values(x)[3]);
}

TEST(Node, WrongUseSaysWhoAndWhat) {
  auto f = elementwise("a * b", {.inputs = {"a", "b"}, .name = "gate"});
  const auto x = mx::zeros({2, 3});
  EXPECT_EQ(message_of([&] { f(x); }), "gate: expected 2 arrays (a, b), got 1");
  EXPECT_EQ(
      message_of([&] { f(x, mx::zeros({4})); }),
      "gate: b: shape (4) does not broadcast with (2, 3) of the inputs before "
      "it");
  EXPECT_EQ(
      message_of([&] { f(x, mx::array(std::complex<float>(1, 1))); }),
      "gate: kernels take real numbers, integers and booleans, got an array "
      "of complex64");
  auto g = elementwise("x * a", {.scalars = {"a"}, .name = "scaled"});
  EXPECT_EQ(
      message_of([&] { g(x, x); }),
      "scaled: a: expected a number (a 0-d array), got shape (2, 3)");
  EXPECT_EQ(
      message_of([&] { g(x, int64_t{1} << 40); }),
      "1099511627776 does not fit into the int32 that a whole number becomes; "
      "give an array of another type");
  auto two = elementwise("p = x; q = x + 1", {.name = "pair"});
  EXPECT_EQ(
      message_of([&] { two(x); }),
      "pair: gives 2 arrays (p, q); ask for them with all({...})");
  EXPECT_NE(
      message_of([&] { elementwise("x +"); }).find('^'), std::string::npos);
  // A wrong call leaves nothing behind.
  EXPECT_EQ(values(f(x, 2)), std::vector<double>(6, 0));
}

} // namespace

} // namespace zmlx::op
