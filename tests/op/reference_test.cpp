// The reference against the C library, MLX's own operations and hand-made
// answers.

#include "zmlx/op/reference.h"

#include <cmath>
#include <functional>
#include <limits>

#include "tests/op/support.h"
#include "zmlx/lang/functions.h"
#include "zmlx/lang/lower/evaluate.h"
#include "zmlx/lang/operations.h"

namespace zmlx::op {

namespace {

using namespace test;
using lang::Define;
using lang::Expr;
using lang::Op;

const double kInf = std::numeric_limits<double>::infinity();
const double kNan = std::numeric_limits<double>::quiet_NaN();

mx::array doubles(std::vector<double> v) {
  return mx::array(v.data(), {static_cast<int>(v.size())}, mx::float64);
}

lang::Body body_of(const std::function<void(Define&)>& define) {
  return lang::Kernel("test", "", define).body();
}

// MLX's function of an operation against the value in the operation's row.
TEST(Reference, SaysOfEveryMapWhatItsRowSays) {
  const std::vector<double> x = {-3.5, -1.0, -0.6, 0.0, 0.25, 1.0, 2.5};
  const std::vector<double> y = {2.0, -1.0, 0.7, 0.5, -4.0, 1.0, 3.0};
  for (int i = 0; i < lang::kOperations; ++i) {
    const auto& row = lang::operation(static_cast<Op>(i));
    if (row.kind != lang::OpKind::Map || row.types == lang::TypeRule::Own ||
        row.types == lang::TypeRule::Integer) {
      continue;
    }
    const auto body = body_of([&](Define& k) {
      std::vector<Expr> args = {k.input("x"), k.input("y")};
      args.erase(args.begin() + row.arity, args.end());
      k.output(lang::make(row.op, args), lang::Type::F64);
    });
    const auto got =
        values(reference(body, {doubles(x), doubles(y)}, Precision::Double)[0]);
    const bool logical = row.types == lang::TypeRule::Logical;
    for (size_t p = 0; p < x.size(); ++p) {
      const double want = *lang::lower_detail::evaluate(
          row.op,
          logical ? lang::Type::Bool : lang::Type::F64,
          {x[p], y[p], 0});
      const bool same = got[p] == want || // infinities too
          (std::isnan(got[p]) && std::isnan(want));
      EXPECT_TRUE(same || std::abs(got[p] - want) <= 4e-16 * std::abs(want))
          << row.name << " of " << x[p] << ", " << y[p] << ": " << got[p]
          << ", expected " << want;
    }
  }
}

struct UnaryCase {
  const char* name;
  Op op;
  double (*want)(double);
};

class Unary : public testing::TestWithParam<UnaryCase> {};

TEST_P(Unary, EqualsTheCLibraryInDouble) {
  const auto& p = GetParam();
  const auto body =
      body_of([&](Define& k) { k.output(lang::make(p.op, {k.input("x")})); });
  std::vector<double> x;
  for (double v = -4; v <= 4; v += 0.37) {
    x.push_back(v);
  }
  const auto got = values(reference(body, {doubles(x)}, Precision::Double)[0]);
  for (size_t i = 0; i < x.size(); ++i) {
    const double want = p.want(x[i]);
    if (std::isnan(want)) {
      EXPECT_TRUE(std::isnan(got[i])) << x[i];
    } else {
      EXPECT_NEAR(got[i], want, 4e-16 * std::abs(want)) << x[i];
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Ops,
    Unary,
    testing::Values(
        UnaryCase{"neg", Op::Neg, [](double x) { return -x; }},
        UnaryCase{"abs", Op::Abs, [](double x) { return std::abs(x); }},
        UnaryCase{"exp", Op::Exp, [](double x) { return std::exp(x); }},
        UnaryCase{"expm1", Op::Expm1, [](double x) { return std::expm1(x); }},
        UnaryCase{"log", Op::Log, [](double x) { return std::log(x); }},
        UnaryCase{"log1p", Op::Log1p, [](double x) { return std::log1p(x); }},
        UnaryCase{"sqrt", Op::Sqrt, [](double x) { return std::sqrt(x); }},
        UnaryCase{
            "rsqrt",
            Op::Rsqrt,
            [](double x) { return 1 / std::sqrt(x); }},
        UnaryCase{"sin", Op::Sin, [](double x) { return std::sin(x); }},
        UnaryCase{"cos", Op::Cos, [](double x) { return std::cos(x); }},
        UnaryCase{"tanh", Op::Tanh, [](double x) { return std::tanh(x); }},
        UnaryCase{
            "sigmoid",
            Op::Sigmoid,
            [](double x) { return 1 / (1 + std::exp(-x)); }},
        UnaryCase{"erf", Op::Erf, [](double x) { return std::erf(x); }},
        UnaryCase{"floor", Op::Floor, [](double x) { return std::floor(x); }},
        UnaryCase{"ceil", Op::Ceil, [](double x) { return std::ceil(x); }},
        UnaryCase{
            "round",
            Op::Round,
            [](double x) { return std::nearbyint(x); }}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Reference, IntegerDivisionTruncatesAndZeroGivesZero) {
  const auto body = body_of([](Define& k) {
    auto a = k.input("a"), b = k.input("b");
    k.output(a / b, "quotient");
    k.output(a % b, "rest");
  });
  mx::array a({7, -7, 7, -7, 5, 0}), b({2, 2, -2, -2, 0, 3});
  const auto out = reference(body, {a, b});
  EXPECT_EQ(out[0].dtype(), mx::int32);
  EXPECT_EQ(values(out[0]), (std::vector<double>{3, -3, -3, 3, 0, 0}));
  EXPECT_EQ(values(out[1]), (std::vector<double>{1, 1, -1, -1, 0, 0}));
}

TEST(Reference, NumbersTakeTheTypeOfWhatTheyMeet) {
  const auto body = body_of([](Define& k) {
    auto i = k.input("i");
    k.output(i / 2, "whole");
    k.output(i * 0.5, lang::Type::F32, "part");
    k.output(i * (1.0 / 3), lang::Type::F32, "third");
  });
  const auto out = reference(body, {mx::array({3, -3})});
  EXPECT_EQ(values(out[0]), (std::vector<double>{1, -1}));
  EXPECT_EQ(values(out[1]), (std::vector<double>{1.5, -1.5}));
  EXPECT_EQ(values(out[2])[0], 3 * (1.0f / 3));
}

TEST(Reference, NumbersAmongThemselvesAreComputedInDouble) {
  const auto body = body_of([](Define& k) {
    auto x = k.input("x");
    k.output(x * (Expr(1.0) / 3), "third");
    k.output(x * (Expr(7) / 2), "whole");
    k.output(x * -(Expr(0.1) + 0.2), "sum");
  });
  mx::StreamContext on_cpu(mx::Device::cpu);
  const auto out = reference(body, {doubles({1.0})});
  EXPECT_EQ(values(out[0])[0], 1.0 / 3);
  EXPECT_EQ(values(out[1])[0], 3);
  EXPECT_EQ(values(out[2])[0], -(0.1 + 0.2));
}

TEST(Reference, ReductionsReadEveryPlaceOfABroadcastRow) {
  const auto body = body_of([](Define& k) {
    auto x = k.input("x"), b = k.input("b");
    k.output(lang::sum(b), "sum");
    k.output(x + lang::mean(x * b), "centred");
  });
  mx::array x({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}, {2, 3});
  mx::array b({10.f, 20.f}, {2, 1});
  const auto out = reference(body, {x, b});
  EXPECT_EQ(out[0].shape(), (mx::Shape{2}));
  EXPECT_EQ(values(out[0]), (std::vector<double>{30, 60}));
  EXPECT_EQ(values(out[1]), (std::vector<double>{21, 22, 23, 104, 105, 106}));
}

TEST(Reference, ArgMaxTakesNanAsTheLargestAndTheLowestOfEquals) {
  const auto body = body_of([](Define& k) {
    auto x = k.input("x");
    k.output(lang::argmax(x), lang::Type::U32, "max");
    k.output(lang::argmin(x), lang::Type::U32, "min");
  });
  const float nan = static_cast<float>(kNan), inf = static_cast<float>(kInf);
  mx::array x(
      {1.f, 3.f, 3.f, 1.f, nan, inf, 2.f, nan, inf, nan, inf, inf}, {3, 4});
  const auto out = reference(body, {x});
  EXPECT_EQ(out[0].dtype(), mx::uint32);
  EXPECT_EQ(values(out[0]), (std::vector<double>{1, 0, 1}));
  EXPECT_EQ(values(out[1]), (std::vector<double>{0, 2, 0}));
}

TEST(Reference, EmptyRowsGiveNeutralElements) {
  const auto body = body_of([](Define& k) {
    auto x = k.input("x");
    k.output(lang::sum(x), "sum");
    k.output(lang::prod(x), "prod");
    k.output(lang::max_of(x), "max");
    k.output(lang::mean(x), "mean");
  });
  const auto out = reference(body, {mx::zeros({2, 0})});
  EXPECT_EQ(values(out[0]), (std::vector<double>{0, 0}));
  EXPECT_EQ(values(out[1]), (std::vector<double>{1, 1}));
  EXPECT_EQ(values(out[2]), (std::vector<double>{-kInf, -kInf}));
  EXPECT_TRUE(std::isnan(values(out[3])[0]));
}

TEST(Reference, AsRoundsAndNothingElseDoes) {
  const auto body = body_of([](Define& k) {
    auto x = k.input("x");
    k.output(lang::as(lang::Type::BF16, x) - x, lang::Type::F32);
  });
  mx::array x({1.0f, 1.001f, 3.1415926f});
  const auto want =
      mx::subtract(mx::astype(mx::astype(x, mx::bfloat16), mx::float32), x);
  expect_same_bits(reference(body, {x})[0], want);
  expect_near(reference(body, {x}, Precision::Double)[0], want, 1e-12);
}

TEST(Reference, SelectAndLogic) {
  const auto body = body_of([](Define& k) {
    auto a = k.input("a"), b = k.input("b");
    k.output(lang::select(a < b && !(a == 0), a, b));
  });
  const auto got =
      reference(body, {mx::array({0.f, 1.f, 5.f}), mx::array({2.f, 3.f, 4.f})});
  EXPECT_EQ(values(got[0]), (std::vector<double>{2, 1, 4}));
}

class Packed : public testing::TestWithParam<int> {};

TEST_P(Packed, ProductInDoubleUnpacksAsMlxDoes) {
  const int bits = GetParam();
  mx::random::seed(7);
  auto w = mx::random::normal({24, 192});
  const auto parts = mx::quantize(w, 64, bits);
  auto x = mx::random::normal({3, 192});
  const auto body = body_of([&](Define& k) {
    auto row = k.input("x");
    k.output(lang::product(row, k.weight("w", bits, 64)));
  });
  const std::vector<mx::array> inputs{x, parts[0], parts[1], parts[2]};
  const auto want =
      mx::quantized_matmul(x, parts[0], parts[1], parts[2], true, 64, bits);
  expect_near(reference(body, inputs)[0], want, 1e-4);
  // The codes are a little-endian stream: MLX's own unpacking agrees exactly.
  const auto matrix = mx::astype(
      mx::dequantize(parts[0], parts[1], parts[2], 64, bits),
      mx::float64,
      mx::Device::cpu);
  const auto exact = mx::matmul(
      mx::astype(x, mx::float64, mx::Device::cpu),
      mx::transpose(matrix, mx::Device::cpu),
      mx::Device::cpu);
  expect_near(reference(body, inputs, Precision::Double)[0], exact, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Bits, Packed, testing::Values(2, 3, 4, 5, 6, 8));

TEST(Reference, AttentionReadsTheFirstKeysAlone) {
  mx::random::seed(3);
  const auto q = mx::random::normal({2, 6, 1, 16});
  auto k = mx::random::normal({2, 3, 20, 16});
  auto v = mx::random::normal({2, 3, 20, 16});
  const auto body = body_of([](Define& d) {
    auto in = [&](const char* n) { return d.input(n, lang::Role::Whole); };
    auto q = in("q"), k = in("k"), v = in("v"), length = in("length");
    d.output_like(lang::attention(q, k, v, length, 0.25), q);
  });
  const auto first = [](const mx::array& a) {
    return mx::slice(a, {0, 0, 0, 0}, {2, 3, 13, 16});
  };
  const auto want =
      mx::fast::scaled_dot_product_attention(q, first(k), first(v), 0.25f);
  // What lies behind must not be read, not even times zero.
  const auto poison = mx::full({2, 3, 7, 16}, static_cast<float>(kNan));
  k = mx::concatenate({first(k), poison}, 2);
  v = mx::concatenate({first(v), poison}, 2);
  expect_near(reference(body, {q, k, v, mx::array(13)})[0], want, 1e-5);
}

TEST(Reference, GradientsAreThoseOfTheFormula) {
  const auto body = body_of([](Define& k) {
    auto x = k.input("x"), w = k.input("w");
    auto n = x * lang::rsqrt(lang::mean(x * x) + 1e-5) * w;
    k.output_like(lang::silu(n), x);
  });
  mx::random::seed(5);
  auto x = mx::random::normal({4, 33}), w = mx::random::normal({33});
  auto c = mx::random::normal({4, 33});
  const auto ours = mx::vjp(
      [&](const std::vector<mx::array>& in) { return reference(body, in); },
      {x, w},
      {c});
  const auto native = mx::vjp(
      [&](const std::vector<mx::array>& in) {
        auto n = mx::fast::rms_norm(in[0], in[1], 1e-5f);
        return std::vector<mx::array>{mx::multiply(n, mx::sigmoid(n))};
      },
      {x, w},
      {c});
  expect_near(ours.second[0], native.second[0], 1e-4);
  expect_near(ours.second[1], native.second[1], 1e-4);
}

TEST(Reference, SigmoidIsExactAndDifferentiableOnBothSides) {
  const auto body =
      body_of([](Define& k) { k.output(lang::sigmoid(k.input("x"))); });
  mx::array x({-80.f, -20.f, 0.f, 20.f, 200.f, -200.f});
  const auto [y, grad] = mx::vjp(
      [&](const std::vector<mx::array>& in) { return reference(body, in); },
      {x},
      {mx::ones({6})});
  const auto got = values(y[0]), slope = values(grad[0]);
  for (size_t i = 0; i < 2; ++i) {
    const double want = std::exp(i == 0 ? -80.0 : -20.0);
    EXPECT_NEAR(got[i] / want, 1, 1e-5);
  }
  EXPECT_EQ(slope[2], 0.25);
  for (double s : slope) {
    EXPECT_TRUE(std::isfinite(s));
  }
}

} // namespace

} // namespace zmlx::op
