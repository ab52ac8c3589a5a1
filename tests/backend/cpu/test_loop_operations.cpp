// Each operation of an assembled loop against the block operation, bit for bit.
#include <array>
#include <limits>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "tests/backend/cpu/block_operations.h"
#include "tests/backend/cpu/loops.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Instruction;
using lang::Op;
using lang::Type;

// Values of a register of this type, as bits: special ones and ordinary ones.
std::vector<uint32_t> samples(Type type, unsigned seed) {
  std::vector<uint32_t> result;
  if (type == Type::F32) {
    for (float x :
         {0.0f,          -0.0f,         1.0f,           -1.0f,    kInf,
          -kInf,         kNan,          -kNan,          1e-42f,   -1e-42f,
          1e-45f,        1.2e-38f,      3.4e38f,        -3.4e38f, 1e30f,
          0.5f,          -0.5f,         1.5f,           2.5f,     -2.5f,
          2147483520.0f, 2147483648.0f, -2147483648.0f, -3e9f,    88.7f,
          88.8f,         -87.4f,        -103.9f,        -104.5f,  104.5f,
          65504.0f,      65520.0f,      6e-8f,          2.9e-8f,  1.00390625f,
          1.01171875f,   3.98f,         9.01f,          -21.5f}) {
      result.push_back(std::bit_cast<uint32_t>(x));
    }
  } else if (type == Type::Bool) {
    result = {0, 1, 1, 0, 0, 0, 1};
  } else {
    result = {
        0,
        1,
        2,
        31,
        32,
        33,
        0x7FFFFFFF,
        0x80000000,
        0x80000001,
        0xFFFFFFFF,
        0xFFFFFFE0,
        0x00FFFFFF,
        0x01000001,
        12345,
        0xFFFF0000};
  }
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 4);
  while (result.size() < 1000) {
    const uint32_t bits = random();
    const float x = normal(random);
    result.push_back(
        type == Type::Bool      ? bits & 1
            : type != Type::F32 ? (bits % 3 ? bits : bits % 40)
            : bits % 4 == 0     ? bits // of any size
                                : std::bit_cast<uint32_t>(x));
  }
  std::shuffle(result.begin(), result.end(), random);
  return result;
}

std::array<Type, 3> operand_types(const Instruction& i) {
  if (i.op == Op::Select) {
    return {Type::Bool, i.type, i.type};
  }
  return {i.from, i.from, i.from};
}

// All that a loop may have in it, and that registers can hold.
std::vector<Instruction> instructions() {
  std::vector<Instruction> result;
  const std::array types = {Type::F32, Type::I32, Type::U32, Type::Bool};
  for (int k = static_cast<int>(Op::As); k <= static_cast<int>(Op::Select);
       ++k) {
    const Op op = static_cast<Op>(k);
    for (Type type : types) {
      for (Type from : types) {
        for (Type rounded : {Type::F16, Type::BF16}) {
          const Instruction i{
              .op = op, .type = type, .from = from, .rounded = rounded};
          const bool compares = op >= Op::Less && op <= Op::NotEqual;
          const bool fits =
              compares ? type == Type::Bool : op == Op::Cast || type == from;
          const bool once = op == Op::As || rounded == Type::F16;
          if (fits && once && assembles(i) && find_operation(i)) {
            result.push_back(i);
          }
        }
      }
    }
  }
  return result;
}

std::string describe(const Instruction& i) {
  return fmt::format(
      "{} of {} giving {}, {}",
      lang::name_of(i.op),
      lang::name_of(i.from),
      lang::name_of(i.type),
      lang::name_of(i.rounded));
}

// `uniform`: which operand is one value for all places, or -1.
void check_operation(const Instruction& i, int uniform, bool is_number) {
  const auto types = operand_types(i);
  for (int sample = 0; sample < (uniform < 0 ? 1 : 45); ++sample) {
    LoopMaker make;
    std::array<int, 3> in{-1, -1, -1};
    Memories memories;
    for (int k = 0; k < lang::arity(i.op); ++k) {
      const Type type = types[k];
      auto values = samples(type, 10 * static_cast<unsigned>(k) + 3);
      if (k == uniform) {
        const uint32_t bits = samples(type, 77)[sample];
        if (is_number) {
          const double x = type == Type::F32 ? std::bit_cast<float>(bits)
              : type == Type::I32            ? static_cast<int32_t>(bits)
                                             : static_cast<double>(bits);
          in[k] = make.number(x, type);
          continue;
        }
        in[k] = make.once(type);
        memories.add(4 * kUniformLanes, 4);
        memories.fill<uint32_t>(make.loop.memories - 1, {bits});
        continue;
      }
      in[k] = type == Type::Bool ? make.each_bool() : make.each(type);
      memories.add(4 * 1000, 4 * static_cast<size_t>(k + 1));
      memories.fill(make.loop.memories - 1, values);
    }
    make.store(make.operation(i, in));
    memories.add(4 * 1000, 12);
    for (size_t n :
         uniform < 0 ? loop_lengths() : std::vector<size_t>{5, 37, 1000}) {
      check_loop(make.loop, memories, n);
      if (testing::Test::HasFatalFailure()) {
        return;
      }
    }
  }
}

TEST(LoopOperations, EachGivesWhatItsBlockGives) {
  ZMLX_NEEDS_LOOPS();
  const auto all = instructions();
  EXPECT_GE(all.size(), 60u);
  for (const auto& i : all) {
    SCOPED_TRACE(describe(i));
    check_operation(i, -1, false);
  }
}

TEST(LoopOperations, EachWithOneValueForAllPlaces) {
  ZMLX_NEEDS_LOOPS();
  for (const auto& i : instructions()) {
    for (int k = 0; k < lang::arity(i.op); ++k) {
      for (bool is_number : {false, true}) {
        if (i.op == Op::Div && k == 1) {
          continue; // below
        }
        SCOPED_TRACE(fmt::format("{}, operand {}", describe(i), k));
        check_operation(i, k, is_number);
      }
    }
  }
}

// A quotient below the normal numbers, or of so small a number that little is
// left of it, may be one unit off, in blocks too.
TEST(LoopOperations, QuotientsByOneValue) {
  ZMLX_NEEDS_LOOPS();
  auto numerators = samples(Type::F32, 3);
  const float off = 1.0005271e-42f; // by 1.1e-30
  numerators[0] = std::bit_cast<uint32_t>(off);
  for (float y : {0.0f,  -0.0f,    1.0f,   -1.0f,  3.0f,   0.1f,   kInf,
                  -kInf, kNan,     1e38f,  1e-38f, -1e38f, 1e-42f, 3e30f,
                  9e29f, 1.1e-30f, 1e-30f, 1e30f,  9e-31f, 7e-5f}) {
    for (bool is_number : {false, true}) {
      SCOPED_TRACE(y);
      LoopMaker make;
      const int x = make.each(Type::F32);
      const int by = is_number ? make.number(y) : make.once(Type::F32);
      const int to = make.store(make.operation(Op::Div, x, by));
      const auto code = assemble(make.loop);
      ASSERT_TRUE(code);
      for (size_t n : loop_lengths()) {
        Memories memories;
        memories.add(4 * 1000, 4);
        memories.fill(0, numerators);
        if (!is_number) {
          memories.add(4 * kUniformLanes);
          memories.fill<float>(1, {y});
        }
        memories.add(4 * 1000, 8);
        code->run(memories.pointers().data(), static_cast<int64_t>(n));
        EXPECT_TRUE(memories.guarded());
        for (size_t i = 0; i < n; ++i) {
          const float want = memories.at<float>(0)[i] / y;
          const float got = memories.at<float>(to)[i];
          if (std::isnan(want)) {
            ASSERT_TRUE(std::isnan(got)) << memories.at<float>(0)[i];
          } else if (std::abs(want) < std::numeric_limits<float>::min()) {
            ASSERT_NEAR(got, want, 1.5e-45) << memories.at<float>(0)[i];
            ASSERT_EQ(std::signbit(got), std::signbit(want));
          } else if (std::abs(memories.at<float>(0)[i]) < 0x1p-102f) {
            ASSERT_LE(ulps(got, want), 1) << memories.at<float>(0)[i];
          } else {
            ASSERT_EQ(got, want) << memories.at<float>(0)[i];
          }
        }
      }
    }
  }
}

// Where a quotient is one unit off in a block, it is so in a loop: what lanes
// beyond the end hold does not matter.
TEST(LoopOperations, QuotientsBelowTheNormalNumbers) {
  ZMLX_NEEDS_LOOPS();
  LoopMaker make;
  const int x = make.each(Type::F32), y = make.each(Type::F32);
  const int quotient = make.operation(Op::Div, x, y); // NaN beyond the end
  make.store(make.operation(Op::Div, quotient, make.number(10)));
  std::vector<float> numerators;
  for (uint32_t units = 1; units < 200; ++units) {
    numerators.push_back(std::bit_cast<float>(units));
  }
  Memories memories = floats(make.loop);
  memories.fill(0, numerators);
  memories.fill<float>(1, {1.0f});
  check_lengths(make.loop, memories);
}

} // namespace
} // namespace zmlx::backend::cpu
