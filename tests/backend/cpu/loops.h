#pragma once

#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "tests/backend/cpu/loop_memories.h"
#include "zmlx/backend/cpu/half.h"
#include "zmlx/backend/cpu/loop/loop.h"
#include "zmlx/backend/cpu/vector.h"

/// Loops made by hand, and what block operations give for the same loop.
namespace zmlx::backend::cpu {

/// Writes a Loop down. Functions give the number of a value.
struct LoopMaker {
  Loop loop;
  using Kind = Loop::Value::Kind;
  using Op = lang::Op;
  using Type = lang::Type;

  int memory() {
    return loop.memories++;
  }
  int add(Loop::Value value) {
    loop.values.push_back(value);
    return static_cast<int>(loop.values.size()) - 1;
  }
  /// As a load gives it.
  int each(Type stored, int from = -1) {
    Loop::Value value{Kind::Each, register_type(lang::compute_type(stored))};
    value.stored = stored;
    value.memory = from < 0 ? memory() : from;
    return add(value);
  }
  int each_bool() {
    const int value = each(Type::I32);
    loop.values[value].type = Type::Bool;
    return value;
  }
  int once(Type type) {
    Loop::Value value{Kind::Once, type};
    value.memory = memory();
    return add(value);
  }
  int place() {
    Loop::Value value{Kind::Place, Type::I32};
    value.memory = memory();
    return add(value);
  }
  int picked(Type stored, const PickShape& picks) {
    Loop::Value value{Kind::Picked, register_type(lang::compute_type(stored))};
    value.stored = stored;
    value.memory = memory();
    value.windows = memory();
    value.picks = picks;
    return add(value);
  }
  int number(double x, Type type = Type::F32) {
    Loop::Value value{Kind::Number, type};
    value.instruction.value = x;
    return add(value);
  }
  int operation(const lang::Instruction& instruction, std::array<int, 3> in) {
    Loop::Value value{Kind::Operation, instruction.type};
    value.instruction = instruction;
    value.in = in;
    return add(value);
  }
  int operation(Op op, int a, int b = -1, int c = -1) {
    const int last = lang::arity(op) == 3 ? b : a;
    const Type from = loop.values[last].type;
    const bool truth = op == Op::Less || op == Op::LessEqual ||
        op == Op::Equal || op == Op::NotEqual;
    return operation(
        {.op = op, .type = truth ? Type::Bool : from, .from = from}, {a, b, c});
  }
  int cast(int x, Type type) {
    return operation(
        {.op = Op::Cast, .type = type, .from = loop.values[x].type},
        {x, -1, -1});
  }
  int as(int x, Type rounded) {
    return operation(
        {.op = Op::As, .type = Type::F32, .rounded = rounded}, {x, -1, -1});
  }
  /// Gives the memory.
  int store(int value, Type stored, int into = -1, bool past = false) {
    const int to = into < 0 ? memory() : into;
    loop.stores.push_back({value, to, stored, past});
    return to;
  }
  /// As the register of a value is stored.
  int store(int value) {
    return store(value, register_type(loop.values[value].type));
  }
  int reduce(Op op, int value) {
    loop.reductions.push_back({op, value, memory()});
    return loop.memories - 1;
  }
  int add_up(int value, bool floats) {
    loop.adds.push_back({value, memory(), floats});
    return loop.memories - 1;
  }
};

/// Which element lane k of a window picks.
inline int picked_by(const PickWindow& window, const PickShape& shape, int k) {
  const int lane = shape.in_order ? k : window.lanes[k];
  return lane < PickWindow::kLanes ? window.first + lane
                                   : window.second + lane - PickWindow::kLanes;
}

/// Does what a loop says with block operations, one value after the other. What
/// it adds up it adds up in the order of Partial, as loops do.
class LoopOracle {
 public:
  LoopOracle(const Loop& loop, Memories& memories, size_t n)
      : loop_(loop), memories_(memories), n_(n) {
    for (size_t v = 0; v < loop.values.size(); ++v) {
      values_.emplace_back(std::max(n, kUniformLanes) + kUniformLanes);
      masks_.push_back(make(static_cast<int>(v)) ? 0 : ~size_t{0});
    }
    for (const auto& it : loop.reductions) {
      reduce(it);
    }
    for (const auto& it : loop.adds) {
      add_up(it);
    }
    for (const auto& it : loop.stores) {
      const auto store =
          find_store(loop.values[it.value].type, it.stored, true);
      void* to = memories_.at<void>(it.memory);
      store({to, 1, in(it.value), masks_[it.value], n});
    }
  }

 private:
  using Kind = Loop::Value::Kind;
  using Type = lang::Type;

  const void* in(int value) const {
    return values_[value].data();
  }
  float real(int value, size_t i) const {
    return std::bit_cast<float>(values_[value][i & masks_[value]]);
  }

  // Whether it is one value for all places.
  bool make(int number) {
    const auto& value = loop_.values[number];
    auto& own = values_[number];
    switch (value.kind) {
      case Kind::Each:
        find_load(value.stored, true)(
            own.data(), memories_.at<void>(value.memory), 1, n_);
        return false;
      case Kind::Once:
        std::memcpy(
            own.data(), memories_.at<void>(value.memory), 4 * kUniformLanes);
        return true;
      case Kind::Number:
        std::fill(own.begin(), own.end(), bits_of(value));
        return true;
      case Kind::Place:
        std::iota(
            reinterpret_cast<int32_t*>(own.data()),
            reinterpret_cast<int32_t*>(own.data()) + n_,
            *memories_.at<int32_t>(value.memory));
        return false;
      case Kind::Picked:
        pick(value, own.data());
        return false;
      case Kind::Operation:
        compute(value, own.data());
        return false;
    }
    return false;
  }

  void pick(const Loop::Value& value, uint32_t* out) {
    const auto* windows = memories_.at<unsigned char>(value.windows);
    const auto* from = memories_.at<unsigned char>(value.memory);
    const auto size = static_cast<int64_t>(lang::size_of(value.stored));
    for (size_t i = 0; i < n_; ++i) {
      PickWindow own; // the memory may be of any alignment
      std::memcpy(
          &own, windows + i / PickWindow::kLanes * sizeof own, sizeof own);
      const auto k = static_cast<uint8_t>(i % PickWindow::kLanes);
      out[i] = 0;
      if ((own.exists >> k & 1) != 0) {
        const void* element = from + picked_by(own, value.picks, k) * size;
        find_load(value.stored, true)(out + i, element, 1, 1);
      }
    }
  }

  static uint32_t bits_of(const Loop::Value& number) {
    const double x = number.instruction.value;
    return number.type == Type::F32
        ? std::bit_cast<uint32_t>(static_cast<float>(x))
        : static_cast<uint32_t>(static_cast<int64_t>(x));
  }

  void compute(const Loop::Value& value, void* out) {
    const int arity = lang::arity(value.instruction.op);
    BlockArgs args{};
    for (int k = 0; k < 3; ++k) {
      const int operand = value.in[k < arity ? k : 0];
      args.in[k] = in(operand);
      args.mask[k] = masks_[operand];
    }
    args.out = out;
    args.n = n_;
    const BlockOp op = find_operation(value.instruction);
    ASSERT_TRUE(op) << lang::name_of(value.instruction.op);
    op(args);
  }

  void reduce(const Loop::Reduction& it) {
    Partial part; // the memory may be of any alignment
    std::memcpy(&part, memories_.at<void>(it.memory), sizeof part);
    const bool sum = it.op == lang::Op::Sum;
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    const float start = sum        ? 0
        : it.op == lang::Op::MaxOf ? -kInfinity
                                   : kInfinity;
    std::fill_n(part.lanes, Partial::kLanes, start);
    bool nan = false;
    for (size_t i = 0; i < n_; ++i) {
      const float x = real(it.value, i);
      float& lane = part.lanes[i % Partial::kLanes];
      nan = nan || std::isnan(x);
      if (sum) {
        lane += x;
      } else if (it.op == lang::Op::MaxOf ? x > lane : x < lane) {
        lane = x;
      }
    }
    if (!sum) {
      part.nan = nan;
    }
    std::memcpy(memories_.at<void>(it.memory), &part, sizeof part);
  }

  void add_up(const Loop::Add& it) {
    for (size_t i = 0; i < n_; ++i) {
      if (it.floats) {
        add_to<float>(it.memory, i, real(it.value, i));
      } else {
        add_to<double>(it.memory, i, real(it.value, i));
      }
    }
  }

  template <typename T>
  void add_to(int memory, size_t i, float x) {
    auto* at = memories_.at<unsigned char>(memory) + i * sizeof(T);
    T sum;
    std::memcpy(&sum, at, sizeof sum);
    sum += x;
    std::memcpy(at, &sum, sizeof sum);
  }

  const Loop& loop_;
  Memories& memories_;
  size_t n_;
  std::vector<std::vector<uint32_t>> values_;
  std::vector<size_t> masks_;
};

/// Whether two elements have the same bits; NaN is NaN whatever its bits are.
inline bool
same_element(lang::Type type, const unsigned char* a, const unsigned char* b) {
  const size_t size = lang::size_of(type);
  if (std::memcmp(a, b, size) == 0) {
    return true;
  }
  const auto is_nan = [type](const unsigned char* p) {
    if (type == lang::Type::F64) {
      double x;
      std::memcpy(&x, p, sizeof x);
      return std::isnan(x);
    }
    if (type == lang::Type::F32) {
      float x;
      std::memcpy(&x, p, sizeof x);
      return std::isnan(x);
    }
    uint16_t half;
    std::memcpy(&half, p, sizeof half);
    return std::isnan(
        type == lang::Type::F16 ? from_float16(half) : from_bfloat16(half));
  };
  return lang::is_float(type) && is_nan(a) && is_nan(b);
}

/// The partial results of a maximum may be either zero, and NaN counts apart.
inline void expect_same_partial(
    const Loop::Reduction& it,
    const Partial& got,
    const Partial& want) {
  for (int k = 0; k < Partial::kLanes; ++k) {
    const bool both_nan = std::isnan(got.lanes[k]) && std::isnan(want.lanes[k]);
    EXPECT_TRUE(both_nan || got.lanes[k] == want.lanes[k])
        << lang::name_of(it.op) << ", lane " << k << ": " << got.lanes[k]
        << " for " << want.lanes[k];
  }
  if (it.op != lang::Op::Sum) {
    EXPECT_EQ(got.nan != 0, want.nan != 0) << lang::name_of(it.op);
  }
}

/// Everything that a loop writes within n places, and nothing beyond.
inline void
expect_same(const Loop& loop, Memories& got, Memories& want, size_t n) {
  const auto compare = [&](int memory, lang::Type type) {
    const size_t size = lang::size_of(type);
    const size_t all = got.bytes(memory) / size;
    for (size_t i = 0; i < all; ++i) {
      const auto* a = got.at<unsigned char>(memory) + i * size;
      const auto* b = want.at<unsigned char>(memory) + i * size;
      ASSERT_TRUE(
          i < n ? same_element(type, a, b) : std::memcmp(a, b, size) == 0)
          << "memory " << memory << ", " << lang::name_of(type) << " " << i
          << " of " << n << ": "
          << testing::PrintToString(std::vector<int>(a, a + size)) << " for "
          << testing::PrintToString(std::vector<int>(b, b + size));
    }
  };
  for (const auto& it : loop.stores) {
    compare(it.memory, it.stored);
  }
  for (const auto& it : loop.adds) {
    compare(it.memory, it.floats ? lang::Type::F32 : lang::Type::F64);
  }
  for (const auto& it : loop.reductions) {
    Partial a, b;
    std::memcpy(&a, got.at<void>(it.memory), sizeof a);
    std::memcpy(&b, want.at<void>(it.memory), sizeof b);
    expect_same_partial(it, a, b);
  }
  EXPECT_TRUE(got.guarded()) << "wrote beyond a memory";
}

/// Runs the loop on these memories: the oracle's bits, written nowhere else.
inline void check_loop(const Loop& loop, Memories& memories, size_t n) {
  const auto code = assemble(loop);
  ASSERT_TRUE(code) << "does not fit";
  Memories want = memories.copy();
  LoopOracle(loop, want, n);
  Memories got = memories.copy();
  const auto pointers = got.pointers();
  code->run(pointers.data(), static_cast<int64_t>(n));
  expect_same(loop, got, want, n);
}

/// Lengths of every kind of tail after no, one and many turns.
inline std::vector<size_t> loop_lengths() {
  std::vector<size_t> result;
  for (size_t n = 0; n <= 70; ++n) {
    result.push_back(n);
  }
  result.push_back(1000);
  return result;
}

inline void check_lengths(const Loop& loop, Memories& memories) {
  for (size_t n : loop_lengths()) {
    check_loop(loop, memories, n);
    if (testing::Test::HasFatalFailure()) {
      return;
    }
  }
}

/// Ordinary values.
inline std::vector<float> ordinary(unsigned seed, size_t count = 1000) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> result(count);
  for (float& x : result) {
    x = normal(random);
  }
  return result;
}

/// The memories of a loop as float32.
inline Memories floats(const Loop& loop, size_t n = 1000) {
  Memories memories;
  for (int m = 0; m < loop.memories; ++m) {
    memories.add(4 * n, 4 * (static_cast<size_t>(m) % 16));
    memories.fill(m, ordinary(static_cast<unsigned>(m) + 1, n));
  }
  return memories;
}

/// For tests that assemble loops without running them.
#define ZMLX_NEEDS_ASSEMBLER()                               \
  if (!ZMLX_ASSEMBLES) {                                     \
    GTEST_SKIP() << "no assembler for this kind of machine"; \
  }

#define ZMLX_NEEDS_LOOPS()                                \
  if (!assembles()) {                                     \
    GTEST_SKIP() << "no assembled loops on this machine"; \
  }

} // namespace zmlx::backend::cpu
