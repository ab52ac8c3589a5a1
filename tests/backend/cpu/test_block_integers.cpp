// Every block operation on integers, on every instruction set, against 128-bit
// arithmetic.
#include <limits>
#include <type_traits>
#include <vector>

#include "tests/backend/cpu/block_operations.h"
#include "tests/backend/cpu/targets.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Op;
using lang::Type;

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
      const auto run =
          find_operation(instruction(op, compares ? Type::Bool : type, type));
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
  const auto get = [&](Op op) { return find_operation(instruction(op, type)); };
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

} // namespace
} // namespace zmlx::backend::cpu
