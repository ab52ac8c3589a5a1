// Block operations of any length with operands that are the same at each place,
// and truth values, on every instruction set.
#include <string>
#include <vector>

#include "tests/backend/cpu/block_operations.h"
#include "tests/backend/cpu/targets.h"
#include "zmlx/backend/cpu/cpu.h"
#include "zmlx/lang/operations.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Op;
using lang::Type;

TEST(BlockOperations, UniformOperandsAndAllLengths) {
  std::vector<float> u(kUniformLanes, 3.0f);
  for_each_target([&] {
    const auto sub = find_operation(instruction(Op::Sub, Type::F32));
    const auto select = find_operation(instruction(Op::Select, Type::F32));
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

TEST(BlockOperations, TruthValues) {
  const std::vector<int32_t> x = {0, 0, 1, 1}, y = {0, 1, 0, 1};
  for_each_target([&] {
    const auto get = [](Op op) {
      return find_operation(instruction(op, Type::Bool));
    };
    EXPECT_EQ(apply<int32_t>(get(Op::And), x, y), (std::vector{0, 0, 0, 1}));
    EXPECT_EQ(apply<int32_t>(get(Op::Or), x, y), (std::vector{0, 1, 1, 1}));
    EXPECT_EQ(apply<int32_t>(get(Op::Not), y, y), (std::vector{1, 0, 1, 0}));
  });
}

bool admits(lang::TypeRule rule, Type type) {
  switch (rule) {
    case lang::TypeRule::Float:
    case lang::TypeRule::Rounding:
      return lang::is_float(type);
    case lang::TypeRule::Integer:
      return !lang::is_float(type);
    case lang::TypeRule::Logical:
      return false; // below
    default:
      return true;
  }
}

TEST(BlockOperations, EveryMapOfTheLanguageHasOneInEveryType) {
  constexpr Type kTypes[] = {
      Type::F32, Type::F64, Type::I32, Type::U32, Type::I64, Type::U64};
  for_each_target([&] {
    for (int i = 0; i < lang::kOperations; ++i) {
      const auto& row = lang::operation(static_cast<Op>(i));
      if (row.kind != lang::OpKind::Map || row.types == lang::TypeRule::Own) {
        continue;
      }
      const bool truth = row.types == lang::TypeRule::Comparison;
      for (const Type type : kTypes) {
        auto it = instruction(row.op, truth ? Type::Bool : type);
        it.from = type;
        EXPECT_TRUE(!admits(row.types, type) || find_operation(it)) << row.name;
      }
      if (row.types == lang::TypeRule::Logical) {
        EXPECT_TRUE(find_operation(instruction(row.op, Type::Bool)))
            << row.name;
      }
    }
  });
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
