// Every block operation on floats, on every instruction set, against float64.
#include <cmath>
#include <functional>
#include <random>
#include <utility>
#include <vector>

#include "tests/backend/cpu/block_operations.h"
#include "tests/backend/cpu/targets.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Op;
using lang::Type;

struct UnaryCase {
  Op op;
  std::function<double(double)> meaning;
  float low, high;
  double most; // ulp
};

TEST(BlockOperations, FloatUnary) {
  const std::vector<UnaryCase> cases = {
      {Op::Neg, [](double x) { return -x; }, -9, 9, 0},
      {Op::Abs, [](double x) { return std::abs(x); }, -9, 9, 0},
      {Op::Exp, [](double x) { return std::exp(x); }, -100, 90, 2},
      {Op::Expm1, [](double x) { return std::expm1(x); }, -20, 90, 4},
      {Op::Log, [](double x) { return std::log(x); }, 0, 1e6, 4},
      {Op::Log1p, [](double x) { return std::log1p(x); }, -1, 100, 4},
      {Op::Sqrt, [](double x) { return std::sqrt(x); }, 0, 1e6, 0.5},
      {Op::Rsqrt, [](double x) { return 1 / std::sqrt(x); }, 0, 1e6, 1.5},
      {Op::Sin, [](double x) { return std::sin(x); }, -1e5, 1e5, 2},
      {Op::Cos, [](double x) { return std::cos(x); }, -1e5, 1e5, 2},
      {Op::Tanh, [](double x) { return std::tanh(x); }, -12, 12, 4},
      {Op::Sigmoid,
       [](double x) { return 1 / (1 + std::exp(-x)); },
       -95,
       95,
       3},
      {Op::Erf, [](double x) { return std::erf(x); }, -5, 5, 3},
      {Op::Floor, [](double x) { return std::floor(x); }, -99, 99, 0},
      {Op::Ceil, [](double x) { return std::ceil(x); }, -99, 99, 0},
      {Op::Round, [](double x) { return std::nearbyint(x); }, -99, 99, 0},
  };
  for_each_target([&] {
    for (const auto& c : cases) {
      const auto x = numbers(c.low, c.high);
      const auto op = find_operation(instruction(c.op, Type::F32));
      ASSERT_TRUE(op);
      const auto y = apply<float>(op, x, x);
      double worst = 0, where = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        const double error = ulps(y[i], c.meaning(x[i]));
        if (error > worst) {
          worst = error;
          where = x[i];
        }
      }
      EXPECT_LE(worst, c.most) << lang::name_of(c.op) << " of " << where;
    }
  });
}

TEST(BlockOperations, FloatBinary) {
  const std::vector<std::pair<Op, std::function<double(double, double)>>>
      cases = {
          {Op::Add, [](double x, double y) { return x + y; }},
          {Op::Sub, [](double x, double y) { return x - y; }},
          {Op::Mul, [](double x, double y) { return x * y; }},
          {Op::Div, [](double x, double y) { return x / y; }},
          {Op::Pow, [](double x, double y) { return std::pow(x, y); }},
          {Op::Max,
           [](double x, double y) {
             return std::isnan(x) || std::isnan(y) ? kNan : std::max(x, y);
           }},
          {Op::Min,
           [](double x, double y) {
             return std::isnan(x) || std::isnan(y) ? kNan : std::min(x, y);
           }},
          {Op::Mod,
           [](double x, double y) {
             const double r = std::fmod(x, y);
             return r != 0 && (r < 0) != (y < 0) ? r + y : r;
           }},
      };
  std::vector<float> x, y;
  const std::vector<float> few = {
      0.0f,
      1.0f,
      -1.0f,
      2.0f,
      -2.0f,
      0.5f,
      3.0f,
      -3.5f,
      kInf,
      -kInf,
      kNan,
      1e-20f};
  for (float a : few) {
    for (float b : few) {
      x.push_back(a);
      y.push_back(b);
    }
  }
  std::mt19937 random(3);
  std::uniform_real_distribution<float> positive(0.01f, 50), any(-20, 20);
  for (int i = 0; i < 3000; ++i) {
    x.push_back(positive(random));
    y.push_back(any(random));
  }
  for_each_target([&] {
    for (const auto& [op, meaning] : cases) {
      const auto run = find_operation(instruction(op, Type::F32));
      ASSERT_TRUE(run);
      const auto z = apply<float>(run, x, y);
      for (size_t i = 0; i < x.size(); ++i) {
        // Mod is the C library's float function: exact up to its last sum.
        ASSERT_LE(ulps(z[i], meaning(x[i], y[i])), op == Op::Pow ? 1.0 : 0.51)
            << lang::name_of(op) << "(" << x[i] << ", " << y[i]
            << ") = " << z[i];
      }
    }
  });
}

TEST(BlockOperations, DoubleIsTheLibrary) {
  const std::vector<double> x = {0.1, -2.5, 3.0, 700, -700, 1e300};
  const std::vector<double> y = {2.0, 0.5, -3.0, 1, 2, 3};
  const auto get = [](Op op, Type type) {
    return find_operation(instruction(op, type, Type::F64));
  };
  const auto check = [&](Op op, auto meaning) {
    const auto z = apply<double>(get(op, Type::F64), x, y);
    for (size_t i = 0; i < x.size(); ++i) {
      const double want = meaning(x[i], y[i]);
      EXPECT_TRUE(z[i] == want || (z[i] != z[i] && want != want))
          << lang::name_of(op) << " of " << x[i];
    }
  };
  check(Op::Exp, [](double a, double) { return std::exp(a); });
  check(Op::Erf, [](double a, double) { return std::erf(a); });
  check(Op::Tanh, [](double a, double) { return std::tanh(a); });
  check(Op::Log1p, [](double a, double) { return std::log1p(a); });
  check(Op::Pow, [](double a, double b) { return std::pow(a, b); });
  check(Op::Div, [](double a, double b) { return a / b; });
  check(Op::Max, [](double a, double b) { return std::max(a, b); });
  EXPECT_EQ(
      apply<int32_t>(get(Op::Less, Type::Bool), x, y),
      (std::vector<int32_t>{1, 1, 0, 0, 1, 0}));
}

} // namespace
} // namespace zmlx::backend::cpu
