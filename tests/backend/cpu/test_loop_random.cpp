// Random loops against block operations, one value after the other.
#include <map>
#include <set>
#include <vector>

#include "tests/backend/cpu/block_operations.h"
#include "tests/backend/cpu/loops.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Op;
using lang::Type;

constexpr size_t kMost = 200;

class RandomLoop {
 public:
  explicit RandomLoop(unsigned seed) : random_(seed) {
    for (int k = below(8) + 1; k-- > 0;) {
      add_leaf();
    }
    for (int k = below(below(4) ? 20 : 90) + 1; k-- > 0;) {
      add_operation();
    }
    add_results();
  }

  const Loop& loop() const {
    return make_.loop;
  }
  size_t length() {
    return below(3) ? below(70) : below(kMost + 1);
  }

  Memories memories() {
    Memories result;
    std::vector<Type> types(make_.loop.memories, Type::F64);
    for (const auto& value : make_.loop.values) {
      if (value.memory >= 0) {
        types[value.memory] = value.type == Type::Bool ? Type::Bool
            : value.kind == Kind::Once                 ? value.type
                                                       : value.stored;
      }
    }
    for (int m = 0; m < make_.loop.memories; ++m) {
      result.add(8 * kMost, past_.contains(m) ? 0 : 8 * below(8));
      fill(result, m, types[m]);
    }
    for (const auto& value : make_.loop.values) {
      if (value.kind == Kind::Once) {
        auto* words = result.at<uint32_t>(value.memory);
        std::fill_n(words, kUniformLanes, words[0]);
      }
    }
    for (const auto& [memory, windows] : windows_) {
      result.fill(memory, windows);
    }
    return result;
  }

 private:
  using Kind = Loop::Value::Kind;

  int below(int end) {
    return static_cast<int>(random_() % static_cast<unsigned>(end));
  }
  template <typename T, size_t n>
  T any(const T (&from)[n]) {
    return from[below(n)];
  }

  // Quotients of these are far from the numbers below the normal ones.
  float real() {
    const float special[] = {0, -0.0f, kInf, -kInf, kNan, 1, -1, 0.5f, 1000};
    std::normal_distribution<float> normal(0, 3);
    const float x = below(12) ? normal(random_) : any(special);
    return std::abs(x) < 1e-3f ? 0 : x;
  }

  void fill(Memories& memories, int memory, Type type) {
    const size_t size = type == Type::Bool ? 4 : lang::size_of(type);
    for (size_t i = 0; i < memories.bytes(memory) / size; ++i) {
      void* to = memories.at<unsigned char>(memory) + i * size;
      uint64_t bits = random_() & (below(2) ? 0xFFFFFFFF : 0x3F);
      if (type == Type::F64) { // sums
        bits = std::bit_cast<uint64_t>(static_cast<double>(below(1000)));
      } else if (type == Type::F32) {
        bits = std::bit_cast<uint32_t>(real());
      } else if (type == Type::F16) {
        bits = to_float16(real());
      } else if (type == Type::BF16) {
        bits = to_bfloat16(real());
      } else if (type == Type::Bool) {
        bits &= 1;
      }
      std::memcpy(to, &bits, size);
    }
  }

  void add_leaf() {
    const Type stored[] = {
        Type::F32,
        Type::F32,
        Type::F32,
        Type::BF16,
        Type::F16,
        Type::I32,
        Type::U32,
        Type::U8,
        Type::I8,
        Type::U16,
        Type::I16};
    const Type types[] = {
        Type::F32, Type::F32, Type::I32, Type::U32, Type::Bool};
    switch (below(7)) {
      case 6:
        add_pick(any(stored));
        break;
      case 0:
        make_.once(any(types));
        break;
      case 1: {
        const Type type = any(types);
        make_.number(
            type == Type::F32        ? real()
                : type == Type::Bool ? below(2)
                                     : below(40),
            type);
        break;
      }
      case 2:
        make_.each_bool();
        break;
      default:
        make_.each(any(stored));
    }
  }

  void add_pick(Type stored) {
    const int pattern = below(4), by = below(16);
    std::vector<int32_t> places;
    for (int i = 0; i < static_cast<int>(kMost); ++i) {
      const int patterns[] = {
          i ^ by, i + by - 8, 2 * i - by, i / 32 * 32 + below(32)};
      places.push_back(patterns[pattern]);
    }
    const auto found = find_windows(places, kMost);
    ASSERT_TRUE(found);
    const int value = make_.picked(stored, found->shape);
    windows_[make_.loop.values[value].windows] = found->windows;
  }

  // A value of this type: mostly one of the last. -1: there is none.
  int value_of(Type type) {
    const int count = static_cast<int>(make_.loop.values.size());
    const int range = below(3) ? std::min(count, 8) : count;
    for (int k = 0; k < 30; ++k) {
      const int value = count - 1 - below(k < 10 ? range : count);
      if (make_.loop.values[value].type == type) {
        return value;
      }
    }
    return -1;
  }

  bool is_one(int value) const {
    return make_.loop.values[value].kind == Kind::Once ||
        make_.loop.values[value].kind == Kind::Number;
  }

  void add_operation() {
    if (below(12) == 0) {
      return add_leaf();
    }
    const Type types[] = {
        Type::F32, Type::F32, Type::F32, Type::I32, Type::U32, Type::Bool};
    const auto op = static_cast<Op>(
        static_cast<int>(Op::As) +
        below(static_cast<int>(Op::Select) - static_cast<int>(Op::As) + 1));
    const Type from = any(types);
    const bool truth = op >= Op::Less && op <= Op::NotEqual;
    lang::Instruction i{
        .op = op,
        .type = truth        ? Type::Bool
            : op == Op::Cast ? any(types)
                             : from,
        .from = from,
        .rounded = below(2) ? Type::F16 : Type::BF16};
    if (!assembles(i)) {
      return;
    }
    std::array<int, 3> in{-1, -1, -1};
    for (int k = 0; k < lang::arity(op); ++k) {
      in[k] = value_of(op == Op::Select && k == 0 ? Type::Bool : from);
      if (in[k] < 0) {
        return;
      }
    }
    // By one number for all, where nothing comes below the normal numbers.
    if (op == Op::Div && is_one(in[1]) &&
        make_.loop.values[in[0]].kind == Kind::Operation) {
      return;
    }
    make_.operation(i, in);
  }

  void add_results() {
    const auto count = static_cast<int>(make_.loop.values.size());
    std::vector<bool> read(static_cast<size_t>(count));
    for (const auto& value : make_.loop.values) {
      for (int in : value.in) {
        if (in >= 0) {
          read[in] = true;
        }
      }
    }
    int extremes = 0, reductions = below(3) ? 0 : 4;
    for (int value = 0; value < count; ++value) {
      if (read[value] && below(6) != 0) {
        continue;
      }
      const bool real = make_.loop.values[value].type == Type::F32;
      const int how = below(4);
      if (real && how == 0) {
        make_.add_up(value, below(2));
      } else if (real && how == 1 && reductions-- > 0) {
        const Op ops[] = {Op::Sum, Op::MaxOf, Op::MinOf};
        const Op op = any(ops);
        extremes += op != Op::Sum;
        make_.reduce(extremes > 3 ? Op::Sum : op, value);
      } else {
        store(value);
      }
    }
  }

  void store(int value) {
    const auto& it = make_.loop.values[value];
    const Type reals[] = {Type::F32, Type::F32, Type::BF16, Type::F16};
    const Type wholes[] = {Type::I32, Type::U32, Type::U8, Type::I8, Type::I16};
    const Type stored = it.type == Type::F32 ? any(reals)
        : it.type == Type::Bool && below(2)  ? Type::Bool
                                             : any(wholes);
    const bool past = below(4) == 0;
    // Over what it is read from, where nobody else stores.
    const bool same = it.kind == Kind::Each && it.stored == stored &&
        below(2) && it.type != Type::Bool;
    const int to =
        make_.store(value, stored, same ? it.memory : -1, past && !same);
    if (past && !same) {
      past_.insert(to);
    }
  }

  std::mt19937 random_;
  LoopMaker make_;
  std::set<int> past_; // memories that are stored past the caches
  std::map<int, std::vector<PickWindow>> windows_; // by memory
};

constexpr unsigned kLoops = 4000;

// Whether a loop can be assembled is known without trying.
TEST(LoopRandom, WhatFitsIsAssembled) {
  ZMLX_NEEDS_ASSEMBLER();
  unsigned assembled = 0;
  for (unsigned seed = 1; seed <= kLoops; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const RandomLoop random(seed);
    if (fits(random.loop())) {
      ASSERT_TRUE(assemble(random.loop()));
      ++assembled;
    }
  }
  EXPECT_GE(assembled, kLoops * 95 / 100);
}

TEST(LoopRandom, LoopsGiveWhatBlocksGive) {
  ZMLX_NEEDS_LOOPS();
  for (unsigned seed = 1; seed <= kLoops; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    RandomLoop random(seed);
    if (!fits(random.loop())) {
      continue;
    }
    Memories memories = random.memories();
    for (int k = 0; k < 3; ++k) {
      check_loop(random.loop(), memories, random.length());
    }
    ASSERT_FALSE(HasFailure());
  }
}

} // namespace
} // namespace zmlx::backend::cpu
