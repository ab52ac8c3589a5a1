// What assembled loops read, keep and store, against block operations.
#include <vector>

#include "tests/backend/cpu/block_operations.h"
#include "tests/backend/cpu/loops.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Op;
using lang::Type;

constexpr size_t kMost = 1000;

// Random bits of elements, for bools 0 and 1.
void fill_random_bits(
    Memories& memories,
    int memory,
    Type type,
    unsigned seed) {
  std::mt19937 random(seed);
  auto* bytes = memories.at<unsigned char>(memory);
  for (size_t i = 0; i < memories.bytes(memory); ++i) {
    bytes[i] = static_cast<unsigned char>(random() >> 8);
    if (type == Type::Bool) {
      bytes[i] &= 1;
    }
  }
}

std::vector<float> ordinary(unsigned seed, size_t count = kMost) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> result(count);
  for (float& x : result) {
    x = normal(random);
  }
  return result;
}

// One memory after the other, as the loop numbers them, all float32.
Memories floats(const Loop& loop, size_t n = kMost) {
  Memories memories;
  for (int m = 0; m < loop.memories; ++m) {
    memories.add(4 * n, 4 * (static_cast<size_t>(m) % 16));
    memories.fill(m, ordinary(static_cast<unsigned>(m) + 1, n));
  }
  return memories;
}

void check_lengths(const Loop& loop, Memories& memories) {
  for (size_t n : loop_lengths()) {
    check_loop(loop, memories, n);
    if (testing::Test::HasFatalFailure()) {
      return;
    }
  }
}

TEST(LoopMemories, EveryTypeIsRead) {
  ZMLX_NEEDS_LOOPS();
  int count = 0;
  for (int k = 0; k <= static_cast<int>(Type::F64); ++k) {
    const Type type = static_cast<Type>(k);
    if (!assembles(type)) {
      continue;
    }
    SCOPED_TRACE(lang::name_of(type));
    ++count;
    // Once as it is, and once as an operand, which may stay in memory.
    for (bool operand : {false, true}) {
      LoopMaker make;
      int x = make.each(type);
      if (operand) {
        const int zero = make.number(0, make.loop.values[x].type);
        x = make.operation(Op::Add, zero, x);
      }
      make.store(x);
      for (size_t offset : {size_t{0}, lang::size_of(type), size_t{60}}) {
        Memories memories;
        memories.add(kMost * lang::size_of(type), offset);
        memories.add(kMost * 4, 20);
        fill_random_bits(memories, 0, type, 5);
        check_lengths(make.loop, memories);
      }
    }
  }
  EXPECT_EQ(count, 10);
}

TEST(LoopMemories, EverySixteenBitPatternIsReadAndStored) {
  ZMLX_NEEDS_LOOPS();
  for (Type type : {Type::F16, Type::BF16}) {
    LoopMaker make;
    const int x = make.each(type);
    make.store(x);
    make.store(x, type);
    Memories memories;
    memories.add(2 * 65536, 2);
    for (size_t i = 0; i < 65536; ++i) {
      memories.at<uint16_t>(0)[i] = static_cast<uint16_t>(i);
    }
    memories.add(4 * 65536, 4);
    memories.add(2 * 65536, 6);
    check_loop(make.loop, memories, 65536);
  }
}

// Values near those of 16 bits: ties, their neighbours, and beyond the ends.
std::vector<float> near_halves(Type type) {
  std::vector<float> result = {
      kInf,
      -kInf,
      kNan,
      -kNan,
      65504,
      65519.99f,
      65520,
      3.4e38f,
      -3.4e38f,
      3.39e38f,
      1e-42f,
      -1e-42f,
      1e-45f,
      5.9e-8f,
      2.98e-8f,
      2.99e-8f,
      1e-30f};
  std::mt19937 random(3);
  std::uniform_int_distribution<uint32_t> any(0, 0x1FFF);
  for (int i = 0; i < 60000; ++i) {
    const auto half = static_cast<uint16_t>(random());
    const float x =
        type == Type::F16 ? from_float16(half) : from_bfloat16(half);
    const auto bits = std::bit_cast<uint32_t>(x);
    const uint32_t tie = type == Type::F16 ? 0x1000 : 0x8000;
    const uint32_t moves[] = {0, tie, tie - 1, tie + 1, any(random)};
    result.push_back(std::bit_cast<float>(bits + moves[random() % 5]));
  }
  return result;
}

TEST(LoopMemories, FloatsRoundToSixteenBits) {
  ZMLX_NEEDS_LOOPS();
  for (Type type : {Type::F16, Type::BF16}) {
    SCOPED_TRACE(lang::name_of(type));
    const auto values = near_halves(type);
    for (bool past : {false, true}) {
      LoopMaker make;
      const int x = make.each(Type::F32);
      make.store(x, type, -1, past);
      make.store(make.as(x, type));
      Memories memories;
      memories.add(4 * values.size(), 4);
      memories.fill(0, values);
      memories.add(2 * values.size(), past ? 0 : 2);
      memories.add(4 * values.size());
      check_loop(make.loop, memories, values.size());
    }
  }
}

TEST(LoopMemories, EveryTypeIsStored) {
  ZMLX_NEEDS_LOOPS();
  for (Type from : {Type::F32, Type::I32, Type::U32, Type::Bool}) {
    for (int k = 0; k <= static_cast<int>(Type::F64); ++k) {
      const Type to = static_cast<Type>(k);
      const bool fits = lang::is_float(to) == (from == Type::F32) &&
          (to != Type::Bool || from == Type::Bool);
      for (bool past : {false, true}) {
        if (!assembles(to) || !fits) {
          continue;
        }
        SCOPED_TRACE(
            testing::Message()
            << lang::name_of(from) << " as " << lang::name_of(to) << past);
        LoopMaker make;
        const int x = from == Type::Bool ? make.each_bool() : make.each(from);
        make.store(x, to, -1, past);
        Memories memories;
        memories.add(4 * kMost, 4);
        fill_random_bits(memories, 0, from, 9);
        if (from == Type::Bool) {
          memories.fill<int32_t>(0, {0, 1, 1, 0, 1});
        }
        memories.add(
            kMost * lang::size_of(to), past ? 0 : 3 * lang::size_of(to));
        check_lengths(make.loop, memories);
      }
    }
  }
}

TEST(LoopMemories, ValuesReadManyTimes) {
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
TEST(LoopMemories, MoreValuesThanRegisters) {
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

TEST(LoopMemories, MoreTruthValuesThanMasks) {
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
TEST(LoopMemories, MoreMemoriesThanBaseRegisters) {
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

TEST(LoopMemories, MoreNumbersThanAreKept) {
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

TEST(LoopMemories, StoresIntoWhatIsRead) {
  ZMLX_NEEDS_LOOPS();
  for (Type type : {Type::F32, Type::BF16, Type::F16, Type::I32, Type::U8}) {
    for (bool heavy : {false, true}) {
      SCOPED_TRACE(lang::name_of(type));
      LoopMaker make;
      const int x = make.each(type), y = make.each(type);
      // x and y change places, one of them is only copied.
      const int one = make.number(1, make.loop.values[x].type);
      int more = make.operation(Op::Add, y, one);
      for (int k = 0; k < 4 && heavy && lang::is_float(type); ++k) {
        more = make.operation(Op::Exp, make.operation(Op::Tanh, more));
      }
      make.store(x, type, make.loop.values[y].memory);
      make.store(more, type, make.loop.values[x].memory);
      make.store(y);
      Memories memories;
      for (int m = 0; m < 3; ++m) {
        memories.add(kMost * 4, 4);
        fill_random_bits(memories, m, type, static_cast<unsigned>(m));
      }
      check_lengths(make.loop, memories);
    }
  }
}

// The same memory under two numbers, as an input and an output have it.
TEST(LoopMemories, AnOutputMayLieWhereAnInputDoes) {
  ZMLX_NEEDS_LOOPS();
  LoopMaker make;
  const int x = make.each(Type::F32), y = make.each(Type::F32);
  const int into_y = make.store(x);
  const int into_x = make.store(make.operation(Op::Mul, x, y));
  const auto code = assemble(make.loop);
  ASSERT_TRUE(code);
  for (size_t n : loop_lengths()) {
    auto a = ordinary(1), b = ordinary(2);
    const auto first = a, second = b;
    void* pointers[4] = {a.data(), b.data()};
    pointers[into_y] = b.data();
    pointers[into_x] = a.data();
    code->run(pointers, static_cast<int64_t>(n));
    for (size_t i = 0; i < kMost; ++i) {
      ASSERT_EQ(b[i], i < n ? first[i] : second[i]);
      ASSERT_EQ(a[i], i < n ? first[i] * second[i] : first[i]);
    }
  }
}

TEST(LoopMemories, FetchesReadNothing) {
  ZMLX_NEEDS_LOOPS();
  LoopMaker make;
  make.store(make.operation(Op::Exp, make.each(Type::F32)));
  for (Type type : {Type::F32, Type::BF16, Type::U8}) {
    make.loop.fetches.push_back({make.memory(), type});
  }
  Memories memories = floats(make.loop, kMost);
  check_lengths(make.loop, memories);
  const auto code = assemble(make.loop);
  auto pointers = memories.pointers();
  for (const auto& fetch : make.loop.fetches) {
    pointers[fetch.memory] = nullptr; // what is fetched need not be there
  }
  code->run(pointers.data(), kMost);
}

TEST(LoopMemories, WhatDoesNotFitIsNotAssembled) {
  ZMLX_NEEDS_LOOPS();
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
  EXPECT_FALSE(assemble(values.loop));
  LoopMaker code; // of more bytes than there are
  int x = code.each(Type::F32);
  for (int k = 0; k < 2000; ++k) {
    x = code.operation(Op::Tanh, x);
  }
  code.store(x);
  EXPECT_FALSE(assemble(code.loop));
  LoopMaker masks;
  const int value = masks.each(Type::F32);
  for (int k = 0; k < 4; ++k) {
    masks.reduce(Op::MaxOf, value);
  }
  EXPECT_FALSE(assemble(masks.loop));
  LoopMaker sums;
  const int each = sums.each(Type::F32);
  for (int k = 0; k < 40; ++k) {
    sums.reduce(Op::Sum, each);
  }
  EXPECT_FALSE(assemble(sums.loop));
  EXPECT_FALSE(assemble(sums.loop)); // known by now
}

} // namespace
} // namespace zmlx::backend::cpu
