// Loops of more values, masks, memories and numbers than there are registers.
#include <string>
#include <vector>

#include "tests/backend/cpu/block_operations.h"
#include "tests/backend/cpu/loops.h"
#include "zmlx/base/errors.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Op;
using lang::Type;

TEST(LoopRegisters, ValuesReadManyTimes) {
  ZMLX_NEEDS_LOOPS();
  LoopMaker make;
  const int x = make.each(Type::F32), y = make.operation(Op::Exp, x);
  int sum = make.operation(Op::Add, x, x);
  for (int k = 0; k < 12; ++k) {
    sum = make.operation(Op::Add, sum, k % 2 ? x : y);
    sum = make.operation(Op::Max, sum, sum);
  }
  make.store(sum);
  make.store(sum, Type::BF16);
  make.store(x, Type::F16);
  make.store(x);
  make.store(y);
  Memories memories = floats(make.loop);
  check_lengths(make.loop, memories);
}

// Of each memory the value and an operation, all wanted again at the end.
TEST(LoopRegisters, MoreValuesThanRegisters) {
  ZMLX_NEEDS_LOOPS();
  for (int count : {8, 14, 20, 24, 30, 36}) {
    SCOPED_TRACE(count);
    LoopMaker make;
    std::vector<int> values;
    for (int k = 0; k < count; ++k) {
      const int x = make.each(Type::F32);
      values.push_back(make.operation(k % 5 ? Op::Neg : Op::Tanh, x));
    }
    for (int k = 0; k < count; ++k) {
      const int next = values[(k + 7) % count];
      make.store(make.operation(Op::Sub, values[k], next));
    }
    for (int k = 0; k < count; ++k) {
      make.store(values[count - 1 - k]);
    }
    Memories memories = floats(make.loop);
    check_lengths(make.loop, memories);
  }
}

TEST(LoopRegisters, MoreTruthValuesThanMasks) {
  ZMLX_NEEDS_LOOPS();
  for (int count : {3, 6, 7, 12, 20}) {
    for (bool read : {false, true}) { // from memory, or made here
      SCOPED_TRACE(testing::Message() << count << (read ? " read" : " made"));
      LoopMaker make;
      const int zero = make.number(0);
      std::vector<int> truths;
      for (int k = 0; k < count; ++k) {
        truths.push_back(
            read ? make.each_bool()
                 : make.operation(Op::Less, make.each(Type::F32), zero));
      }
      int all = truths[0];
      for (int k = 1; k < count; ++k) {
        all = make.operation(k % 2 ? Op::Or : Op::And, all, truths[k]);
        all = k % 3 ? all : make.operation(Op::Not, all);
      }
      make.store(
          make.operation(Op::Select, all, make.number(2), make.number(3)));
      for (int k = 0; k < count; ++k) {
        make.store(truths[k]);
        make.store(make.cast(truths[k], Type::F32));
        make.store(truths[k], Type::Bool);
      }
      Memories memories = floats(make.loop);
      for (int m = 0; m < count && read; ++m) {
        std::vector<int32_t> bits;
        for (float x : ordinary(static_cast<unsigned>(m))) {
          bits.push_back(x < 0);
        }
        memories.fill(m, bits);
      }
      check_lengths(make.loop, memories);
    }
  }
}

// There are nine registers for where memories are.
TEST(LoopRegisters, MoreMemoriesThanBaseRegisters) {
  ZMLX_NEEDS_LOOPS();
  for (Type stored : {Type::F32, Type::BF16, Type::F16}) {
    for (int count = 3; count <= 30; count += 3) {
      SCOPED_TRACE(count);
      LoopMaker make;
      int sum = make.each(Type::F32);
      for (int k = 1; k < count; ++k) {
        const int x = make.each(k % 3 ? Type::F32 : stored);
        sum = make.operation(k % 2 ? Op::Add : Op::Sub, sum, x);
        if (k % 4 == 0) {
          make.store(x, stored); // that is only read, too
          make.store(sum, stored);
        }
        if (k % 5 == 0) {
          make.store(make.each(Type::F32), stored);
        }
      }
      const int by = make.once(Type::F32);
      make.add_up(make.operation(Op::Div, sum, by), true);
      Memories memories = floats(make.loop);
      const auto divisor = static_cast<int>(make.loop.memories) - 2;
      memories.fill<float>(divisor, {1.75f});
      check_lengths(make.loop, memories);
    }
  }
}

TEST(LoopRegisters, MoreNumbersThanAreKept) {
  ZMLX_NEEDS_LOOPS();
  for (bool once : {false, true}) {
    for (Op op : {Op::Add, Op::Sub, Op::Mul, Op::Max, Op::Div}) {
      SCOPED_TRACE(lang::name_of(op));
      LoopMaker make;
      const int x = make.each(Type::F32);
      std::vector<float> numbers;
      int sum = x;
      for (int k = 0; k < 25; ++k) {
        const float number = 0.75f + 0.125f * static_cast<float>(k % 5) +
            0.001f * static_cast<float>(k);
        const int y = once ? make.once(Type::F32) : make.number(number);
        numbers.push_back(number);
        sum = k % 3 ? make.operation(op, sum, y) : make.operation(op, y, sum);
        if (k % 4 == 0) { // read again, and not only as an operand
          make.store(y);
          make.store(make.operation(
              Op::Select, make.operation(Op::Less, y, sum), y, x));
        }
      }
      make.store(sum);
      Memories memories = floats(make.loop);
      std::vector<float> near_one;
      for (float v : ordinary(4)) {
        near_one.push_back(1 + 0.01f * v);
      }
      memories.fill(0, near_one);
      size_t next = 0;
      for (const auto& value : make.loop.values) {
        if (value.kind == Loop::Value::Kind::Once) {
          memories.fill<float>(value.memory, {numbers[next++]});
        }
      }
      check_lengths(make.loop, memories);
    }
  }
}

// The message of the error that assembling a loop ends with.
std::string assembly_error(const Loop& loop) {
  try {
    assemble(loop);
  } catch (const InternalError& error) {
    return error.what();
  }
  return "";
}

TEST(LoopRegisters, WhatDoesNotFitIsKnownAndRefused) {
  ZMLX_NEEDS_ASSEMBLER();
  LoopMaker values; // all alive at once
  std::vector<int> all;
  for (int k = 0; k < 150; ++k) {
    all.push_back(values.operation(Op::Neg, values.each(Type::F32)));
  }
  for (int value : all) {
    values.store(values.operation(Op::Sub, value, all[0]));
  }
  for (int value : all) {
    values.store(value);
  }
  EXPECT_FALSE(fits(values.loop));
  EXPECT_EQ(
      assembly_error(values.loop),
      "loop assembler: 450 values and 0 reductions do not fit into the "
      "registers");
  LoopMaker masks;
  const int value = masks.each(Type::F32);
  for (int k = 0; k < 4; ++k) {
    masks.reduce(Op::MaxOf, value);
  }
  EXPECT_FALSE(fits(masks.loop));
  LoopMaker sums;
  const int each = sums.each(Type::F32);
  for (int k = 0; k < 40; ++k) {
    sums.reduce(Op::Sum, each);
  }
  EXPECT_FALSE(fits(sums.loop));
  const std::string refused =
      "loop assembler: 1 values and 40 reductions do not fit into the "
      "registers";
  EXPECT_EQ(assembly_error(sums.loop), refused);
  EXPECT_EQ(assembly_error(sums.loop), refused); // again
}

TEST(LoopRegisters, LongCodeIsAssembled) {
  ZMLX_NEEDS_ASSEMBLER();
  for (Op op : {Op::Tanh, Op::Sigmoid, Op::Sin, Op::Div}) {
    SCOPED_TRACE(lang::name_of(op));
    LoopMaker code;
    const int x = code.each(Type::F32);
    int last = x;
    for (int k = 0; k < 1500; ++k) {
      last = code.operation(op, last, op == Op::Div ? x : -1);
    }
    code.store(last, Type::BF16);
    EXPECT_TRUE(fits(code.loop));
    EXPECT_TRUE(assemble(code.loop));
  }
}

TEST(LoopRegisters, AnOperationWithoutCodeIsAnError) {
  ZMLX_NEEDS_ASSEMBLER();
  LoopMaker real;
  real.store(real.operation(Op::Log1p, real.each(Type::F32)));
  EXPECT_EQ(assembly_error(real.loop), "loop assembler: no code for 'log1p'");
  LoopMaker whole;
  const int x = whole.each(Type::I32);
  whole.store(whole.operation(Op::Mod, x, x));
  EXPECT_EQ(assembly_error(whole.loop), "loop assembler: no code for '%'");
}

} // namespace
} // namespace zmlx::backend::cpu
