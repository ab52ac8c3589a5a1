// Gradients of every operation and of row formulas: the derived body in float64
// against finite differences, and mx::vjp in float32 against that.

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "tests/op/finite_differences.h"
#include "tests/op/support.h"
#include "zmlx/lang/derive.h"
#include "zmlx/lang/functions.h"
#include "zmlx/measure/tolerance.h"
#include "zmlx/op/primitive.h"
#include "zmlx/op/reference.h"

namespace zmlx::op {

namespace {

using namespace test;
using lang::Define;
using lang::Expr;
using lang::Op;
using lang::Role;
using Arrays = std::vector<mx::array>;

lang::Body body_of(const std::function<void(Define&)>& define) {
  return lang::Kernel("test", "", define).body();
}

Arrays in_float32(const Arrays& arrays) {
  Arrays result;
  for (const auto& a : arrays) {
    result.push_back(
        a.dtype() == mx::float64 ? mx::astype(a, mx::float32, mx::Device::cpu)
                                 : a);
  }
  mx::eval(result);
  return result;
}

// mx::vjp on float32 arrays against the derived body in float64 on the same.
void expect_vjp(const lang::Body& body, const Arrays& given) {
  const auto inputs = in_float32(given);
  std::vector<int> wanted;
  Arrays floats;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].dtype() == mx::float32) {
      wanted.push_back(static_cast<int>(i));
      floats.push_back(inputs[i]);
    }
  }
  const auto call = make_call("test", body);
  const auto outputs = [&](const Arrays& x) {
    auto all = inputs;
    for (size_t i = 0; i < wanted.size(); ++i) {
      all[wanted[i]] = x[i];
    }
    return op::apply(call, all);
  };
  Arrays cotangents;
  for (const auto& y : outputs(floats)) {
    cotangents.push_back(
        mx::astype(spread(y.shape(), -1, 1, 3), y.dtype(), mx::Device::cpu));
  }
  const auto got = mx::vjp(outputs, floats, cotangents).second;
  auto all = inputs;
  all.insert(all.end(), cotangents.begin(), cotangents.end());
  const auto want =
      reference(*lang::derive(body, wanted, nullptr), all, Precision::Double);
  // Gradients of inputs that broadcast are sums of such as the others, and may
  // cancel.
  double magnitude = 0;
  for (const auto& gradient : want) {
    for (double value : values(gradient)) {
      magnitude = std::max(magnitude, std::abs(value));
    }
  }
  for (size_t i = 0; i < got.size(); ++i) {
    const auto result =
        measure::compare(got[i], want[i], measure::OpClass::row, magnitude);
    EXPECT_TRUE(result.ok())
        << "input " << wanted[i] << ": " << result.to_string();
  }
}

void expect_all(const lang::Body& body, const Arrays& inputs) {
  expect_gradients(body, inputs);
  expect_vjp(body, inputs);
}

// --- one operand -------------------------------------------------------------

struct Unary {
  Op op;
  double low = -2;
  double high = 2;
};

class UnaryGradient : public testing::TestWithParam<Unary> {};

TEST_P(UnaryGradient, IsThatOfFiniteDifferences) {
  const auto [op, low, high] = GetParam();
  const auto body = body_of(
      [op = op](Define& k) { k.output(lang::make(op, {k.input("x")})); });
  const Arrays inputs{spread({3, 5}, low, high, 0)};
  expect_all(body, inputs);
  expect_second_gradients(body, inputs);
}

INSTANTIATE_TEST_SUITE_P(
    Ops,
    UnaryGradient,
    testing::Values(
        Unary{Op::Neg},
        Unary{Op::Abs},
        Unary{Op::Exp},
        Unary{Op::Expm1},
        Unary{Op::Log, 0.3, 3},
        Unary{Op::Log1p, -0.6, 3},
        Unary{Op::Sqrt, 0.3, 3},
        Unary{Op::Rsqrt, 0.3, 3},
        Unary{Op::Sin},
        Unary{Op::Cos},
        Unary{Op::Tanh},
        Unary{Op::Sigmoid, -6, 6},
        Unary{Op::Erf},
        Unary{Op::Floor},
        Unary{Op::Ceil},
        Unary{Op::Round},
        Unary{Op::Not},
        Unary{Op::Sum},
        Unary{Op::Prod},
        Unary{Op::MaxOf},
        Unary{Op::MinOf}),
    [](const auto& info) {
      const auto name = std::string(lang::name_of(info.param.op));
      return name == "-" ? "neg" : name == "!" ? "not" : name;
    });

// --- two operands, broadcast -------------------------------------------------

struct Binary {
  Op op;
  const char* name;
};

class BinaryGradient : public testing::TestWithParam<Binary> {};

TEST_P(BinaryGradient, IsThatOfFiniteDifferencesHoweverTheyBroadcast) {
  const Op op = GetParam().op;
  const mx::Shape full{2, 3, 4};
  const struct {
    mx::Shape shape;
    Role role;
  } seconds[] = {
      {full, Role::Element},
      {{3, 4}, Role::Element},
      {{1, 3, 4}, Role::Element},
      {{2, 1, 4}, Role::Element},
      {{2, 3, 1}, Role::Element},
      {{1, 1, 1}, Role::Element},
      {{4}, Role::Element},
      {{}, Role::Element},
      {{}, Role::Scalar},
      {{2, 3}, Role::EachRow},
      {{1, 3}, Role::EachRow},
      {{}, Role::EachRow}};
  for (const auto& [shape, role] : seconds) {
    SCOPED_TRACE(fmt::format("{} axes, role {}", shape.size(), int(role)));
    for (bool swapped : {false, true}) {
      const auto body = body_of([&, role = role](Define& k) {
        const Expr a = k.input("a"), b = k.input("b", role);
        k.output(swapped ? lang::make(op, {b, a}) : lang::make(op, {a, b}));
      });
      const Arrays inputs{spread(full, 0.4, 2, 0), spread(shape, 0.5, 2.2, 1)};
      expect_all(body, inputs);
      expect_second_gradients(body, inputs);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Ops,
    BinaryGradient,
    testing::Values(
        Binary{Op::Add, "add"},
        Binary{Op::Sub, "sub"},
        Binary{Op::Mul, "mul"},
        Binary{Op::Div, "div"},
        Binary{Op::Mod, "mod"},
        Binary{Op::Pow, "pow"},
        Binary{Op::Max, "max"},
        Binary{Op::Min, "min"},
        Binary{Op::Less, "less"},
        Binary{Op::Equal, "equal"},
        Binary{Op::And, "and"}),
    [](const auto& info) { return std::string(info.param.name); });

// MLX's own derivation of the reference in float64, an oracle beside the
// differences.
TEST(Gradients, MlxDerivesTheReferenceInFloat64) {
  const auto body = body_of([](Define& k) {
    auto x = k.input("x");
    k.output(lang::exp(x) * lang::sin(x) + lang::cos(x) * lang::erf(x));
  });
  const auto x = spread({9}, -2, 2, 0), c = spread({9}, -1, 1, 1);
  mx::StreamContext on_cpu(mx::Device::cpu);
  const auto got = mx::vjp(
      [&](const Arrays& in) { return reference(body, in, Precision::Double); },
      {x},
      {c});
  const auto want =
      reference(*lang::derive(body, {0}, nullptr), {x, c}, Precision::Double);
  const auto result =
      measure::compare(got.second[0], want[0], measure::OpClass::map);
  EXPECT_TRUE(result.ok()) << result.to_string();
}

TEST(Gradients, ASquareIsDerivedOnceForBothOperands) {
  const auto body = body_of([](Define& k) {
    auto x = k.input("x");
    k.output(x * x + lang::pow(x, 3) + lang::pow(x, 1) + lang::pow(2.0, x));
  });
  const Arrays inputs{spread({7}, -2, 2, 0)};
  expect_all(body, inputs);
  expect_second_gradients(body, inputs);
}

TEST(Gradients, SelectAndStopGoWhereTheyShould) {
  const auto body = body_of([](Define& k) {
    auto a = k.input("a"), b = k.input("b"), s = k.scalar("s");
    k.output(lang::select(a < b, a * s, lang::sin(b)));
  });
  const Arrays inputs{
      spread({2, 5}, -1, 1, 0), spread({5}, -1, 1, 1), spread({}, 0.5, 1, 2)};
  expect_all(body, inputs);
  expect_second_gradients(body, inputs);

  const auto stopped = lang::derive(
      body_of([](Define& k) {
        auto x = k.input("x");
        k.output(x * lang::stop_gradient(x * x));
      }),
      {0},
      nullptr);
  const auto x = spread({4}, -1, 1, 0);
  const auto got =
      reference(*stopped, {x, mx::ones_like(x)}, Precision::Double)[0];
  const auto v = values(x);
  for (size_t i = 0; i < v.size(); ++i) {
    EXPECT_DOUBLE_EQ(values(got)[i], v[i] * v[i]);
  }
}

TEST(Gradients, ConversionsToFloatsPassThemOnAndThoseToIntegersDoNot) {
  const auto body = body_of([](Define& k) {
    auto x = k.input("x");
    k.output(lang::as(lang::Type::F16, x), "half");
    k.output(lang::cast(lang::Type::F32, x), "single");
    k.output(lang::as(lang::Type::I32, x), "whole");
    k.output(x * lang::cast(lang::Type::I32, x), "scaled");
  });
  const mx::array x({0.3f, 1.7f, -2.4f});
  Arrays inputs{x};
  for (int i = 0; i < 4; ++i) {
    inputs.push_back(mx::array({1.f, 1.f, 1.f}));
  }
  const auto gradient = lang::derive(body, {0}, nullptr);
  ASSERT_TRUE(gradient.has_value());
  expect_same_bits(reference(*gradient, inputs)[0], mx::array({2.f, 3.f, 0.f}));
}

TEST(Gradients, OfSeveralOutputsAddUp) {
  const auto body = body_of([](Define& k) {
    auto x = k.input("x"), y = k.input("y");
    auto t = lang::tanh(x * y);
    k.output(t, "t");
    k.output(t * y + lang::sum(t), "u");
    k.output(lang::sum(t * x), "v");
  });
  const Arrays inputs{spread({3, 4}, -1, 1, 0), spread({4}, -1, 1, 1)};
  expect_all(body, inputs);
  expect_second_gradients(body, inputs);
}

// --- rows --------------------------------------------------------------------

using Formula = Expr (*)(const Expr&);

struct RowCase {
  const char* name;
  Formula formula;
};

class RowGradient : public testing::TestWithParam<RowCase> {};

TEST_P(RowGradient, IsThatOfFiniteDifferences) {
  const auto body =
      body_of([](Define& k) { k.output(GetParam().formula(k.input("x"))); });
  const Arrays inputs{spread({3, 5}, -1.5, 1.5, 0)};
  expect_all(body, inputs);
  expect_second_gradients(body, inputs);
}

// What is reduced is the product of inputs that broadcast in every way.
TEST_P(RowGradient, BroadcastInputsGetTheSumOfWhatTheyMeet) {
  const auto body = body_of([](Define& k) {
    const Expr x = k.input("x"), w = k.input("w"), row = k.input("row");
    const Expr zero = k.input("zero"), s = k.scalar("s");
    const Expr e = k.input("e", Role::EachRow);
    k.output(GetParam().formula((x * w + row * zero) * s + e));
  });
  expect_all(
      body,
      {spread({2, 2, 3}, -1.5, 1.5, 0),
       spread({3}, 0.5, 1.5, 1),
       spread({2, 1, 1}, -1, 1, 2),
       spread({}, 0.4, 1, 3),
       spread({}, 0.5, 1, 4),
       spread({2, 2}, -1, 1, 5)});
}

// Nothing that is reduced changes along the row, yet it counts D times.
TEST_P(RowGradient, AValueThatIsTheSameAlongTheRowCountsAtEveryPlace) {
  const auto body = body_of([](Define& k) {
    auto x = k.input("x");
    auto s = k.scalar("s"), e = k.input("e", Role::EachRow);
    k.output(GetParam().formula(s * e) + lang::max(x, 5.0) * 0.0);
    k.output(GetParam().formula(s), "of_number");
  });
  expect_gradients(
      body,
      {spread({2, 3}, -1, 1, 0),
       spread({}, 0.5, 1, 1),
       spread({2}, 0.4, 1.2, 2)});
}

INSTANTIATE_TEST_SUITE_P(
    Formulas,
    RowGradient,
    testing::Values(
        RowCase{"sum", [](const Expr& x) { return lang::sum(x); }},
        RowCase{"mean", [](const Expr& x) { return lang::mean(x); }},
        RowCase{"prod", [](const Expr& x) { return lang::prod(x); }},
        RowCase{"max_of", [](const Expr& x) { return lang::max_of(x); }},
        RowCase{"min_of", [](const Expr& x) { return lang::min_of(x); }},
        RowCase{"var", [](const Expr& x) { return lang::var(x); }},
        RowCase{"softmax", [](const Expr& x) { return lang::softmax(x); }},
        RowCase{
            "log_softmax",
            [](const Expr& x) { return lang::log_softmax(x); }},
        RowCase{"logsumexp", [](const Expr& x) { return lang::logsumexp(x); }},
        RowCase{
            "rms_norm",
            [](const Expr& x) { return lang::rms_norm(x, 0.1); }},
        RowCase{
            "layer_norm",
            [](const Expr& x) { return lang::layer_norm(x, 0.1); }},
        RowCase{
            "cumsum",
            [](const Expr& x) { return lang::sin(lang::cumsum(x)); }},
        RowCase{
            "cumsum_exclusive",
            [](const Expr& x) {
              return lang::sin(
                  lang::cumsum(x, lang::ScanOrder::ForwardExclusive));
            }},
        RowCase{
            "cumsum_reverse",
            [](const Expr& x) {
              return lang::sin(lang::cumsum(x, lang::ScanOrder::Reverse));
            }},
        RowCase{
            "cumsum_reverse_exclusive",
            [](const Expr& x) {
              return lang::sin(
                  lang::cumsum(x, lang::ScanOrder::ReverseExclusive));
            }}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Gradients, OfAProductWithZeros) {
  const auto body =
      body_of([](Define& k) { k.output(lang::prod(k.input("x"))); });
  const std::vector<double> x{0.5, 2, -1.5, 0, 2, 3, 0, 2, 0};
  expect_all(body, {mx::array(x.data(), {3, 3}, mx::float64)});
}

TEST(Gradients, OfPickGoToThePlaceOfEachRow) {
  const auto body = body_of([](Define& k) {
    auto x = k.input("x"), w = k.input("w");
    auto at = k.input("at", Role::EachRow);
    k.output(lang::logsumexp(x * w) - lang::pick(x, at), "loss");
    k.output(x * lang::pick(x, 1), "scaled");
  });
  const Arrays inputs{
      spread({2, 2, 4}, -1, 1, 0),
      spread({2, 1, 4}, 0.5, 1, 1),
      mx::array({0, 3, 3, 1}, {2, 2})};
  expect_all(body, inputs);
  expect_second_gradients(body, inputs);
}

// Of such places the reference reads 0; the CPU says which it is.
TEST(Gradients, OfPlacesOutsideOfTheRowAreZero) {
  const auto body = body_of([](Define& k) {
    auto x = k.input("x"), y = k.input("y");
    auto at = k.input("at", Role::EachRow);
    k.output(y * lang::pick(x, at));
  });
  const auto at = mx::array({0, 4, -1});
  const auto y = spread({3, 4}, -1, 1, 1);
  expect_gradients(body, {spread({3, 4}, -1, 1, 0), y, at});
  // A row of one element meets longer ones and stays one of one element.
  expect_gradients(body, {spread({3, 1}, -1, 1, 0), y, mx::array({0, 1, 0})});
}

TEST(Gradients, OfRowsThatAreTakenMoreThanOnceAddUp) {
  const auto body = body_of([](Define& k) {
    auto x = k.input("x");
    auto table = k.input("table", Role::Table);
    auto row = k.input("row", Role::EachRow);
    k.output(lang::sin(lang::take(table, row)) * x);
  });
  const auto rows = mx::array({2, 0, 2, 2, 1, 1}, {2, 3});
  const Arrays inputs{
      spread({2, 3, 4}, -1, 1, 0), spread({3, 4}, -1, 1, 1), rows};
  expect_all(body, inputs);
  expect_second_gradients(body, inputs);
  // A table of one column, one with more axes, and rows outside of it.
  expect_all(body, {inputs[0], spread({3, 1}, -1, 1, 1), rows});
  expect_all(body, {inputs[0], spread({2, 2, 4}, -1, 1, 1), rows});
  expect_gradients(
      body, {inputs[0], inputs[1], mx::array({2, 0, 3, 2, -1, 5}, {2, 3})});
}

TEST(Gradients, OfInputsThatNothingReadsAreZero) {
  const auto body = body_of([](Define& k) {
    auto x = k.input("x");
    k.input("y");
    k.scalar("s");
    k.input("e", Role::EachRow);
    k.input("table", Role::Table);
    k.output(lang::exp(x));
  });
  expect_all(
      body,
      {spread({2, 3}, -1, 1, 0),
       spread({2, 1}, -1, 1, 1),
       spread({}, -1, 1, 2),
       spread({2}, -1, 1, 3),
       spread({4, 3}, -1, 1, 4)});
}

} // namespace

} // namespace zmlx::op
