// What assembled loops read and store, against block operations.
#include <numeric>
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

TEST(LoopMemories, PlacesAreCountedOnFromWhereTheBlockBegins) {
  ZMLX_NEEDS_LOOPS();
  LoopMaker make;
  const int place = make.place();
  const int twice = make.operation(Op::Add, place, place);
  make.store(twice);
  make.store(make.cast(place, Type::F32));
  Memories memories;
  memories.add(kUniformLanes * 4, 4);
  memories.add(kMost * 4, 0);
  memories.add(kMost * 4, 8);
  std::iota(
      memories.at<int32_t>(0), memories.at<int32_t>(0) + kUniformLanes, 70000);
  check_lengths(make.loop, memories);
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

// Nothing but stores reads them.
TEST(LoopMemories, ValuesThatAreOnlyCopiedChangePlaces) {
  ZMLX_NEEDS_LOOPS();
  for (int count : {2, 3, 12, 30}) {
    for (bool reduces : {false, true}) { // one vector per turn, or two
      for (Type type : {Type::F32, Type::BF16}) {
        SCOPED_TRACE(count);
        LoopMaker make;
        for (int k = 0; k < count; ++k) {
          make.each(type);
        }
        for (int k = 0; k < count; ++k) {
          make.store(k, type, (k + 1) % count);
        }
        if (reduces) {
          make.reduce(Op::Sum, make.each(Type::F32));
        }
        Memories memories = floats(make.loop);
        check_lengths(make.loop, memories);
      }
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

} // namespace
} // namespace zmlx::backend::cpu
