// Every block operation on every register type and instruction set, against
// float64 (floats) and 128-bit arithmetic (integers).
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "tests/backend/cpu/targets.h"
#include "zmlx/backend/cpu/cpu.h"
#include "zmlx/backend/cpu/half.h"
#include "zmlx/backend/cpu/vector.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Op;
using lang::Type;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

lang::Instruction instruction(Op op, Type type) {
  return {.op = op, .type = type};
}

template <typename Out, typename T>
std::vector<Out>
apply(BlockOp op, const std::vector<T>& a, const std::vector<T>& b) {
  std::vector<Out> out(a.size() + 1, Out(77));
  const size_t all = ~size_t{0};
  op({out.data(), {a.data(), b.data(), b.data()}, {all, all, all}, a.size()});
  EXPECT_EQ(out.back(), Out(77)) << "wrote beyond the end";
  out.pop_back();
  return out;
}

// Distance in units of the last place of the float nearest to `want`.
double ulps(float got, double want) {
  const auto nearest = static_cast<float>(want);
  if (std::isnan(want) || std::isnan(got)) {
    return std::isnan(want) == std::isnan(got) ? 0 : 1e9;
  }
  if (std::isinf(nearest) || std::isinf(got)) {
    return nearest == got ? 0
        : std::abs(got) >= 3.4028e38f && std::abs(nearest) >= 3.4028e38f &&
            got * nearest > 0
        ? 1
        : 1e9;
  }
  const float size = std::max(std::abs(nearest), 1.17549435e-38f);
  const double ulp = std::ldexp(1.0, std::ilogb(size) - 23);
  return std::abs(static_cast<double>(got) - want) / ulp;
}

std::vector<float> numbers(float low, float high) {
  std::vector<float> result = {
      0.0f,     -0.0f,   1.0f,     -1.0f,    0.5f,     -0.5f,   2.5f,    -2.5f,
      1e-30f,   -1e-30f, 1e-42f,   3.4e38f,  -3.4e38f, 88.7f,   88.8f,   -87.4f,
      -103.0f,  -104.5f, 104.5f,   1e-6f,    -1e-6f,   0.9199f, 0.9201f, 4.1f,
      -0.9999f, -0.3f,   39000.5f, 99999.0f, kInf,     -kInf,   kNan};
  std::mt19937 random(7);
  std::uniform_real_distribution<float> linear(low, high);
  std::uniform_real_distribution<float> exponent(-30, 7);
  for (int i = 0; i < 5000; ++i) {
    result.push_back(linear(random));
    const float x = std::exp2(exponent(random));
    result.push_back(i % 2 ? x : -x);
  }
  return result;
}

struct UnaryCase {
  Op op;
  std::function<double(double)> meaning;
  float low, high;
  double most; // ulp
};

// What a chain gives, one place at a time.
float follow(const Chain& chain, const std::array<float, 3>& memory) {
  volatile float values[2] = {0, 0}; // each operation rounds
  for (size_t n = 0; n < chain.size; ++n) {
    const Link& link = chain.links[n];
    const float x = values[link.second], y = values[!link.second];
    const float m = memory[link.operand];
    values[link.second] = [&]() -> float {
      switch (link.act) {
        case Link::Act::Load:
          return m;
        case Link::Act::Add:
          return x + m;
        case Link::Act::Sub:
          return x - m;
        case Link::Act::SubFrom:
          return m - x;
        case Link::Act::Mul:
          return x * m;
        case Link::Act::Div:
          return x / m;
        case Link::Act::Square:
          return x * x;
        case Link::Act::AddOther:
          return x + y;
        case Link::Act::SubOther:
          return x - y;
        case Link::Act::SubFromOther:
          return y - x;
        case Link::Act::MulOther:
          return x * y;
      }
      return 0;
    }();
  }
  return values[0];
}

TEST(BlockOperations, ChainsRoundEachOperation) {
  const auto a = numbers(-100, 100);
  std::vector<float> b(a.rbegin(), a.rend()), c(a.size());
  for (size_t i = 0; i < c.size(); ++i) {
    c[i] = -a[i] * b[i] * 1.0001f; // what is left shows the first rounding
  }
  using Act = Link::Act;
  const Act from_memory[] = {
      Act::Load, Act::Add, Act::Sub, Act::SubFrom, Act::Mul, Act::Div};
  const Act others[] = {
      Act::AddOther, Act::SubOther, Act::SubFromOther, Act::MulOther};
  const size_t all = ~size_t{0};
  const auto check = [&](const Chain& chain, size_t last_mask) {
    std::vector<float> out(a.size());
    alignas(64) float number[kUniformLanes];
    std::fill_n(number, kUniformLanes, c[3]);
    const void* last = last_mask ? static_cast<const void*>(c.data()) : number;
    find_chain(chain)(
        {.out = out.data(),
         .in = {a.data(), b.data(), last},
         .mask = {all, all, last_mask},
         .n = a.size(),
         .chain = &chain});
    for (size_t i = 0; i < a.size(); ++i) {
      const float want = follow(chain, {a[i], b[i], last_mask ? c[i] : c[3]});
      // Only a number divides by its reciprocal.
      const double most = last_mask == 0 && std::abs(want) < 1.2e-38f ? 1 : 0;
      ASSERT_LE(ulps(out[i], want), most) << a[i] << " " << b[i] << " " << c[i];
    }
  };
  for_each_target([&] {
    for (size_t mask : {all, size_t{0}}) {
      for (Act first : from_memory) {
        for (Act second : from_memory) {
          check(
              {{{{Act::Load}, {first, false, 1}, {second, false, 2}}}, 3},
              mask);
        }
        for (Act other : others) {
          check(
              {{{{Act::Load, true, 2},
                 {Act::Load},
                 {first, true, 1},
                 {Act::Square, true},
                 {other}}},
               5},
              mask);
        }
      }
    }
  });
}

TEST(BlockOperations, ChainsAreSummed) {
  std::vector<float> a(1003);
  for (size_t i = 0; i < a.size(); ++i) {
    a[i] = static_cast<float>(i % 16); // all sums are exact
  }
  const Chain square{{{{Link::Act::Load}, {Link::Act::Square}}}, 2};
  for_each_target([&] {
    for (size_t n : {size_t{0}, size_t{7}, size_t{16}, a.size()}) {
      Accumulator sum;
      std::vector<double> sums(n + 1, 1), each(n + 1, 1);
      std::vector<float> floats(n + 1, 1);
      BlockArgs args{.in = {a.data()}, .mask = {~size_t{0}}, .n = n};
      args.chain = &square;
      args.out = &sum;
      find_chain_sum(square)(args);
      args.out = sums.data();
      find_chain_accumulate(square)(args);
      args.out = floats.data();
      find_chain_accumulate_floats(square)(args);
      double total = 0;
      for (size_t i = 0; i < n; ++i) {
        each[i] += a[i] * a[i];
        total += a[i] * a[i];
      }
      EXPECT_EQ(sum.real, total);
      EXPECT_EQ(sums, each);
      EXPECT_EQ(std::vector<double>(floats.begin(), floats.end()), each);
    }
  });
}

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
      {Op::Sin, [](double x) { return std::sin(x); }, -1e5, 1e5, 4},
      {Op::Cos, [](double x) { return std::cos(x); }, -1e5, 1e5, 4},
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
      const auto op = find_operation(
          instruction(c.op, Type::F32), {Type::F32, Type::F32, Type::F32});
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
      const auto run = find_operation(
          instruction(op, Type::F32), {Type::F32, Type::F32, Type::F32});
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

TEST(BlockOperations, UniformOperandsAndAllLengths) {
  std::vector<float> u(kUniformLanes, 3.0f);
  for_each_target([&] {
    const auto sub = find_operation(
        instruction(Op::Sub, Type::F32), {Type::F32, Type::F32, Type::F32});
    const auto select = find_operation(
        instruction(Op::Select, Type::F32), {Type::Bool, Type::F32, Type::F32});
    for (size_t n = 0; n <= 130; ++n) {
      std::vector<float> x(n), y(n + 1, -1.0f);
      std::vector<int32_t> c(n);
      for (size_t i = 0; i < n; ++i) {
        x[i] = static_cast<float>(i) / 4;
        c[i] = i % 3 == 0;
      }
      const size_t all = ~size_t{0};
      sub({y.data(), {u.data(), x.data(), nullptr}, {0, all, 0}, n});
      for (size_t i = 0; i < n; ++i) {
        ASSERT_EQ(y[i], 3.0f - x[i]);
      }
      sub({y.data(), {x.data(), u.data(), nullptr}, {all, 0, 0}, n});
      for (size_t i = 0; i < n; ++i) {
        ASSERT_EQ(y[i], x[i] - 3.0f);
      }
      select({y.data(), {c.data(), x.data(), u.data()}, {all, all, 0}, n});
      for (size_t i = 0; i < n; ++i) {
        ASSERT_EQ(y[i], i % 3 == 0 ? x[i] : 3.0f);
      }
      ASSERT_EQ(y[n], -1.0f);
    }
  });
}

template <typename T>
constexpr Type kTypeOf = std::is_same_v<T, double> ? Type::F64
    : std::is_same_v<T, int32_t>                   ? Type::I32
    : std::is_same_v<T, uint32_t>                  ? Type::U32
    : std::is_same_v<T, int64_t>                   ? Type::I64
    : std::is_same_v<T, uint64_t>                  ? Type::U64
                                                   : Type::F32;

template <typename T>
class IntegerOperations : public testing::Test {};
using Integers = testing::Types<int32_t, uint32_t, int64_t, uint64_t>;
TYPED_TEST_SUITE(IntegerOperations, Integers);

// In 128 bits nothing overflows; the result is cut to the type's width.
__int128 integer_meaning(Op op, __int128 x, __int128 y, int width) {
  switch (op) {
    case Op::Add:
      return x + y;
    case Op::Sub:
      return x - y;
    case Op::Mul:
      return static_cast<__int128>(
          static_cast<unsigned __int128>(x) *
          static_cast<unsigned __int128>(y));
    case Op::Div:
      return y == 0 ? 0 : x / y;
    case Op::Mod:
      return y == 0 ? 0 : ((x % y) + y) % y;
    case Op::Max:
      return std::max(x, y);
    case Op::Min:
      return std::min(x, y);
    case Op::BitAnd:
      return x & y;
    case Op::BitOr:
      return x | y;
    case Op::BitXor:
      return x ^ y;
    case Op::Shl:
      return y < 0 || y >= width ? 0 : x * (static_cast<__int128>(1) << y);
    case Op::Shr:
      return y < 0 || y >= width ? (x < 0 ? -1 : 0) : x >> y;
    case Op::Less:
      return x < y;
    case Op::LessEqual:
      return x <= y;
    case Op::Equal:
      return x == y;
    case Op::NotEqual:
      return x != y;
    default:
      ADD_FAILURE();
      return 0;
  }
}

TYPED_TEST(IntegerOperations, MatchWideArithmetic) {
  using T = TypeParam;
  using Limits = std::numeric_limits<T>;
  const Type type = kTypeOf<T>;
  std::vector<T> x, y;
  const std::vector<T> few = {
      T(0),
      T(1),
      T(-1),
      T(2),
      T(-2),
      T(7),
      T(-7),
      T(31),
      T(32),
      T(63),
      T(64),
      Limits::max(),
      Limits::min(),
      T(12345)};
  for (T a : few) {
    for (T b : few) {
      x.push_back(a);
      y.push_back(b);
    }
  }
  for_each_target([&] {
    for (int k = static_cast<int>(Op::Add); k <= static_cast<int>(Op::NotEqual);
         ++k) {
      const Op op = static_cast<Op>(k);
      if (op == Op::Pow || op == Op::And || op == Op::Or) {
        continue;
      }
      const bool compares = op >= Op::Less;
      const auto run = find_operation(
          instruction(op, compares ? Type::Bool : type), {type, type, type});
      ASSERT_TRUE(run) << lang::name_of(op);
      std::vector<T> z;
      if (compares) {
        const auto truth = apply<int32_t>(run, x, y);
        z.assign(truth.begin(), truth.end());
      } else {
        z = apply<T>(run, x, y);
      }
      for (size_t i = 0; i < x.size(); ++i) {
        ASSERT_EQ(
            z[i],
            static_cast<T>(integer_meaning(op, x[i], y[i], 8 * sizeof(T))))
            << lang::name_of(op) << "(" << x[i] << ", " << y[i] << ")";
      }
    }
  });
}

TYPED_TEST(IntegerOperations, PowerNegAbs) {
  using T = TypeParam;
  const Type type = kTypeOf<T>;
  const auto get = [&](Op op) {
    return find_operation(instruction(op, type), {type, type, type});
  };
  const std::vector<T> x = {T(3), T(2), T(0), T(0), T(-2), T(-1), T(1)};
  const std::vector<T> y = {T(4), T(10), T(0), T(5), T(3), T(7), T(9)};
  EXPECT_EQ(
      apply<T>(get(Op::Pow), x, y),
      (std::vector<T>{T(81), T(1024), T(1), T(0), T(-8), T(-1), T(1)}));
  EXPECT_EQ(
      apply<T>(get(Op::Neg), x, x),
      (std::vector<T>{T(-3), T(-2), T(0), T(0), T(2), T(1), T(-1)}));
  EXPECT_EQ(apply<T>(get(Op::Floor), x, x), x);
  if (std::is_signed_v<T>) {
    EXPECT_EQ(apply<T>(get(Op::Abs), x, x)[4], T(2));
  }
}

TEST(BlockOperations, DoubleIsTheLibrary) {
  const std::vector<double> x = {0.1, -2.5, 3.0, 700, -700, 1e300};
  const std::vector<double> y = {2.0, 0.5, -3.0, 1, 2, 3};
  const auto get = [](Op op, Type type) {
    return find_operation(
        instruction(op, type), {Type::F64, Type::F64, Type::F64});
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

TEST(BlockOperations, TruthValues) {
  const std::vector<int32_t> x = {0, 0, 1, 1}, y = {0, 1, 0, 1};
  for_each_target([&] {
    const auto get = [](Op op) {
      return find_operation(
          instruction(op, Type::Bool), {Type::Bool, Type::Bool, Type::Bool});
    };
    EXPECT_EQ(apply<int32_t>(get(Op::And), x, y), (std::vector{0, 0, 0, 1}));
    EXPECT_EQ(apply<int32_t>(get(Op::Or), x, y), (std::vector{0, 1, 1, 1}));
    EXPECT_EQ(apply<int32_t>(get(Op::Not), y, y), (std::vector{1, 0, 1, 0}));
  });
}

TEST(BlockOperations, Casts) {
  const auto get = [](Type from, Type to) {
    return find_operation(instruction(Op::Cast, to), {from, from, from});
  };
  const std::vector<float> x = {0.5f, -0.5f, 2.9f, -2.9f, 3e9f, -3e9f, kNan, 0};
  const int32_t most = std::numeric_limits<int32_t>::max();
  for_each_target([&] {
    EXPECT_EQ(
        apply<int32_t>(get(Type::F32, Type::I32), x, x),
        (std::vector<int32_t>{0, 0, 2, -2, most, -most - 1, 0, 0}));
    EXPECT_EQ(
        apply<int32_t>(get(Type::F32, Type::Bool), x, x),
        (std::vector<int32_t>{1, 1, 1, 1, 1, 1, 1, 0}));
    EXPECT_EQ(
        apply<uint32_t>(get(Type::F32, Type::U32), x, x),
        (std::vector<uint32_t>{0, 0, 2, 0, 3000000000u, 0, 0, 0}));
    const std::vector<int32_t> i = {0, 1, -1, most};
    EXPECT_EQ(
        apply<float>(get(Type::I32, Type::F32), i, i),
        (std::vector<float>{0, 1, -1, 2147483648.0f}));
    EXPECT_EQ(
        apply<uint64_t>(get(Type::I32, Type::U64), i, i),
        (std::vector<uint64_t>{0, 1, ~uint64_t{0}, 2147483647u}));
  });
}

// Nearest of all values of a 16-bit float, ties to the even one.
template <typename Decode>
uint16_t nearest_half(float x, uint16_t infinity, Decode decode) {
  const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  const double want = std::abs(static_cast<double>(x));
  int low = 0, high = infinity; // decode(low) <= want < decode(high)
  if (want >= decode(infinity - 1)) {
    low = infinity - 1;
  } else {
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      (decode(static_cast<uint16_t>(middle)) <= want ? low : high) = middle;
    }
  }
  const double below = decode(static_cast<uint16_t>(low));
  const double step = below - decode(static_cast<uint16_t>(low - (low > 0)));
  const double above =
      high == infinity ? below + step : decode(static_cast<uint16_t>(high));
  const double up = want - below, down = above - want;
  const bool higher = up > down || (up == down && low % 2 != 0);
  return static_cast<uint16_t>(sign | (low + higher));
}

TEST(BlockOperations, SixteenBitFloatsRoundToNearestEven) {
  std::vector<float> x = {
      0.0f,
      -0.0f,
      65504.0f,
      65519.9f,
      65520.0f,
      1e6f,
      6e-8f,
      3e-8f,
      2.9e-8f,
      1e-10f,
      6.1e-5f,
      6.09e-5f,
      1.0009766f,
      1.00048828125f,
      1.00146484375f,
      3e38f,
      1e-40f};
  std::mt19937 random(5);
  std::uniform_real_distribution<float> exponent(-28, 17);
  for (int i = 0; i < 4000; ++i) {
    x.push_back((i % 2 ? 1 : -1) * std::exp2(exponent(random)));
  }
  for_each_target([&] {
    for (Type type : {Type::F16, Type::BF16}) {
      const bool f16 = type == Type::F16;
      const auto decode = [&](uint16_t h) -> double {
        return f16 ? from_float16(h) : from_bfloat16(h);
      };
      std::vector<uint16_t> stored(x.size());
      find_store(Type::F32, type, true)(
          {stored.data(), 1, x.data(), ~size_t{0}, x.size(), false});
      std::vector<float> loaded(x.size());
      find_load(type, true)(loaded.data(), stored.data(), 1, x.size());
      auto rounding = instruction(Op::As, Type::F32);
      rounding.rounded = type;
      const auto as = apply<float>(
          find_operation(rounding, {Type::F32, Type::F32, Type::F32}), x, x);
      for (size_t i = 0; i < x.size(); ++i) {
        const auto want = nearest_half(x[i], f16 ? 0x7C00 : 0x7F80, decode);
        ASSERT_EQ(stored[i], want) << x[i];
        ASSERT_EQ(loaded[i], static_cast<float>(decode(want)));
        ASSERT_EQ(as[i], loaded[i]);
      }
    }
  });
}

TEST(BlockOperations, EverySixteenBitPatternLoadsAndStores) {
  std::vector<uint16_t> all(65536), back(65536);
  for (size_t i = 0; i < all.size(); ++i) {
    all[i] = static_cast<uint16_t>(i);
  }
  std::vector<float> wide(65536);
  for_each_target([&] {
    for (Type type : {Type::F16, Type::BF16}) {
      find_load(type, true)(wide.data(), all.data(), 1, all.size());
      find_store(Type::F32, type, true)(
          {back.data(), 1, wide.data(), ~size_t{0}, all.size(), false});
      for (size_t i = 0; i < all.size(); ++i) {
        if (std::isnan(wide[i])) {
          ASSERT_TRUE(std::isnan(
              type == Type::F16 ? from_float16(back[i])
                                : from_bfloat16(back[i])));
          ASSERT_GT(all[i] & 0x7FFF, type == Type::F16 ? 0x7C00 : 0x7F80);
        } else {
          ASSERT_EQ(back[i], all[i]);
        }
      }
    }
  });
  EXPECT_EQ(from_float16(0x3C00), 1.0f);
  EXPECT_EQ(from_float16(0x0001), 0x1p-24f);
  EXPECT_EQ(from_bfloat16(0x3F80), 1.0f);
}

TEST(BlockOperations, NamesItsTarget) {
  std::vector<std::string> names;
  for_each_target([&] { names.push_back(simd_name()); });
  EXPECT_GT(names.size(), 0u);
  for (size_t i = 1; i < names.size(); ++i) {
    EXPECT_NE(names[i], names[i - 1]);
  }
}

} // namespace
} // namespace zmlx::backend::cpu
