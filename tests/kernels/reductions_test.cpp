// Reductions, the largest of a row, and running sums.

#include "zmlx/kernels/reductions.h"

#include <limits>

#include "tests/kernels/against.h"
#include "zmlx/base/errors.h"
#include "zmlx/kernels/scans.h"

namespace zmlx::kernels {

namespace {

using namespace test;

const float kNan = std::numeric_limits<float>::quiet_NaN();
const float kInf = std::numeric_limits<float>::infinity();

Function call(const op::BoundOp& op) {
  return [op](const Arrays& in) {
    return Arrays{op.all({in.begin(), in.end()})[0]};
  };
}

Function native(const op::Op& op) {
  return [&op](const Arrays& in) { return op.mlx()(in, {}); };
}

TEST(Reductions, ValuesAndGradients) {
  for (const op::Op* op :
       {&sum_lastdim,
        &mean_lastdim,
        &max_lastdim,
        &min_lastdim,
        &var_lastdim}) {
    SCOPED_TRACE(op->name());
    for (const mx::Shape& shape :
         std::vector<mx::Shape>{{1}, {3, 31}, {2, 4, 32}, {1, 255}}) {
      expect_values_and_gradients(
          call(op->with({})), native(*op), {distinct(shape, 1)});
    }
    EXPECT_EQ(gradient_fallbacks(op->name()), 0);
  }
}

TEST(Reductions, ProductsOfNumbersNearOne) {
  const auto x = mx::add(
      mx::multiply(normal({3, 31}, 1), mx::array(0.1f)), mx::array(1.f));
  expect_values_and_gradients(
      call(prod_lastdim.with({})), native(prod_lastdim), {x});
  EXPECT_EQ(gradient_fallbacks("prod_lastdim"), 0);
}

TEST(Reductions, GradientOfAProductWithZeros) {
  const mx::array x({2.f, 0.f, 3.f, 4.f, 0.f, 2.f, 0.f, 5.f, -1.f}, {3, 3});
  const auto got = gradients(
      call(prod_lastdim.with({})), {x}, {mx::array({1.f, 10.f, 1.f})});
  EXPECT_EQ(values(got[0]), (std::vector<double>{0, 6, 0, 0, 80, 0, -5, 0, 0}));
}

TEST(Reductions, StandardDeviationWithEpsilon) {
  expect_values_and_gradients(
      call(std_lastdim.with({})),
      [](const Arrays& in) {
        return Arrays{mx::sqrt(mx::add(mx::var(in[0], -1), in[1]))};
      },
      {normal({5, 37}, 1), mx::array(0.25f)});
  // One place has no deviation of its own.
  EXPECT_EQ(values(std_lastdim(mx::array({7.f}, {1, 1}), 0.25))[0], 0.5);
  EXPECT_EQ(gradient_fallbacks("std_lastdim"), 0);
}

TEST(Reductions, AMeanFarFromZeroDoesNotSpoilTheVariance) {
  const auto x = mx::add(normal({3, 500}, 1), mx::array(3000.f));
  const auto wide = mx::astype(x, mx::float64, mx::Device::cpu);
  expect_within(
      var_lastdim(x), mx::var(wide, -1), measure::OpClass::row, "variance");
}

TEST(Reductions, RowsWithoutPlaces) {
  const auto x = mx::zeros({2, 0});
  EXPECT_EQ(values(sum_lastdim(x)), (std::vector<double>{0, 0}));
  EXPECT_EQ(values(prod_lastdim(x)), (std::vector<double>{1, 1}));
  EXPECT_EQ(values(max_lastdim(x)), (std::vector<double>{-kInf, -kInf}));
  EXPECT_TRUE(std::isnan(values(mean_lastdim(x))[0]));
}

TEST(Reductions, NanAndTiesInBothDirections) {
  const mx::array x(
      {1.f, kNan, 3.f, kNan, 3.f, 2.f, 3.f, 2.f, kNan, kNan, kNan, kNan},
      {3, 4});
  EXPECT_EQ(values(argmax_lastdim(x)), (std::vector<double>{1, 0, 0}));
  EXPECT_EQ(values(argmin_lastdim(x))[0], 0);
  EXPECT_EQ(values(argmin_lastdim(x))[1], 1);
  EXPECT_TRUE(std::isnan(values(max_lastdim(x))[0]));
  EXPECT_TRUE(std::isnan(values(min_lastdim(x))[0]));
  EXPECT_EQ(argmax_lastdim(x).dtype(), mx::uint32);
}

TEST(Reductions, GradientsOfTiesGoToTheLowestPlace) {
  const mx::array x({1.f, 4.f, 4.f, 0.f, 0.f, 4.f}, {1, 6});
  const mx::array c({2.f});
  EXPECT_EQ(
      values(gradients(call(max_lastdim.with({})), {x}, {c})[0]),
      (std::vector<double>{0, 2, 0, 0, 0, 0}));
  EXPECT_EQ(
      values(gradients(call(min_lastdim.with({})), {x}, {c})[0]),
      (std::vector<double>{0, 0, 0, 2, 0, 0}));
}

TEST(Reductions, LargestOfARow) {
  for (const auto& [shape, k] : std::vector<std::pair<mx::Shape, int>>{
           {{1}, 1}, {{7}, 7}, {{2, 3, 32}, 5}, {{2, 128}, 50}}) {
    const int count = k;
    expect_values_and_gradients(
        call(topk_lastdim.with({{"k", k}})),
        [count](const Arrays& in) {
          const auto& x = in[0];
          const auto sorted = mx::negative(mx::sort(mx::negative(x), -1));
          mx::Shape stop = x.shape();
          stop.back() = count;
          return Arrays{mx::slice(sorted, mx::Shape(x.ndim(), 0), stop)};
        },
        {distinct(shape, 3)},
        measure::OpClass::exact);
  }
  EXPECT_EQ(gradient_fallbacks("topk_lastdim"), 0);
}

TEST(Reductions, LargestOfARowGivesTheirPlaces) {
  const auto x = distinct({3, 64}, 5);
  const auto top = topk_lastdim.with({{"k", 9}}).all({x});
  ASSERT_EQ(top[1].dtype(), mx::uint32);
  expect_same_bits(mx::take_along_axis(x, top[1], -1), top[0]);
}

TEST(Reductions, LargestOfARowWithNanAndTies) {
  const mx::array x(
      {2.f, kNan, -kInf, 2.f, kNan, kInf, 2.f, -kInf, 1.f, 1.f, 1.f, 1.f},
      {2, 6});
  const auto top = topk_lastdim.with({{"k", 6}}).all({x});
  EXPECT_EQ(
      values(top[1]),
      (std::vector<double>{1, 4, 5, 0, 3, 2, 0, 2, 3, 4, 5, 1}));
  const auto found = values(top[0]);
  EXPECT_TRUE(std::isnan(found[0]) && std::isnan(found[1]));
  EXPECT_EQ(found[2], kInf);
  EXPECT_EQ(found[5], -kInf);
  EXPECT_EQ(found[11], -kInf);
}

TEST(Reductions, MoreThanARowHas) {
  try {
    topk_lastdim.with({{"k", 5}}).all({mx::zeros({2, 4})});
    FAIL();
  } catch (const UserError& error) {
    EXPECT_EQ(
        std::string(error.what()),
        "topk_lastdim: top_values: expected 1 to 4 of rows of 4, got k = 5");
  }
}

TEST(RunningSums, ValuesAndGradientsInEveryOrder) {
  for (int reverse : {0, 1}) {
    for (int exclusive : {0, 1}) {
      SCOPED_TRACE(2 * reverse + exclusive);
      expect_values_and_gradients(
          call(cumsum_lastdim.with(
              {{"reverse", reverse}, {"exclusive", exclusive}})),
          [=](const Arrays& in) {
            return Arrays{mx::cumsum(in[0], -1, reverse != 0, exclusive == 0)};
          },
          {normal({2, 3, 129}, 1)});
    }
  }
  EXPECT_EQ(gradient_fallbacks("cumsum_lastdim"), 0);
}

TEST(RunningSums, LongRowsLoseNothing) {
  // In float32 the sum would stop growing at 2^24.
  const auto x = mx::full({1, 1 << 12}, mx::array(float(1 << 12) + 0.5f));
  const auto got = values(cumsum_lastdim(x));
  for (int i : {0, 1000, 4000, 4095}) {
    EXPECT_EQ(got[i], static_cast<float>((i + 1) * 4096.5)) << i;
  }
}

TEST(RunningSums, OfSmallIntegersHave32Bits) {
  const mx::array x({200, 100, 7}, mx::uint8);
  const auto got = cumsum_lastdim(x);
  ASSERT_EQ(got.dtype(), mx::uint32);
  EXPECT_EQ(values(got), (std::vector<double>{200, 300, 307}));
}

} // namespace

} // namespace zmlx::kernels
