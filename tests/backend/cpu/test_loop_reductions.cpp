// Reductions and sums over places in assembled loops.
#include <cmath>
#include <vector>

#include "tests/backend/cpu/block_operations.h"
#include "tests/backend/cpu/loops.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Op;
using lang::Type;

constexpr Op kReductions[] = {Op::Sum, Op::MaxOf, Op::MinOf};

// What a loop that only reduces gives, in blocks of `block` places.
float reduced(Op op, std::vector<float> x, size_t block) {
  LoopMaker make;
  const int memory = make.reduce(op, make.each(Type::F32));
  const auto code = assemble(make.loop);
  EXPECT_TRUE(code);
  const ReduceOp reduction = find_reduction(op, Type::F32);
  Accumulator total;
  reduction.start(total);
  for (size_t at = 0; at < x.size() || at == 0; at += block) {
    Partial partial;
    std::memset(&partial, 0xCD, sizeof partial);
    void* pointers[2] = {x.data() + at};
    pointers[memory] = &partial;
    const size_t n = std::min(block, x.size() - at);
    code->run(pointers, static_cast<int64_t>(n));
    reduction.join(total, partial);
  }
  float result[kUniformLanes];
  reduction.finish(total, result);
  return result[0];
}

float by_blocks(Op op, const std::vector<float>& x) {
  const ReduceOp reduction = find_reduction(op, Type::F32);
  Accumulator total;
  reduction.start(total);
  reduction.add({&total, x.data(), ~size_t{0}, x.size(), 0});
  float result[kUniformLanes];
  reduction.finish(total, result);
  return result[0];
}

void expect_reduced(Op op, const std::vector<float>& x, size_t block) {
  const float got = reduced(op, x, block), want = by_blocks(op, x);
  if (std::isnan(want)) {
    EXPECT_TRUE(std::isnan(got)) << got;
  } else if (op == Op::Sum && std::isfinite(want)) {
    double size = 0;
    for (float v : x) {
      size += std::abs(v);
    }
    EXPECT_NEAR(got, want, 1e-6 * size);
  } else {
    EXPECT_EQ(got, want);
  }
}

TEST(LoopReductions, GiveWhatBlocksGive) {
  ZMLX_NEEDS_LOOPS();
  for (Op op : kReductions) {
    for (size_t n : loop_lengths()) {
      SCOPED_TRACE(testing::Message() << lang::name_of(op) << " of " << n);
      const auto x = ordinary(static_cast<unsigned>(n), n);
      expect_reduced(op, x, 1000);
      expect_reduced(op, x, 23);
      for (float special : {kInf, -kInf, 0.0f, -0.0f}) {
        expect_reduced(op, std::vector<float>(n, special), 48);
      }
    }
  }
}

TEST(LoopReductions, NanAtEachPlace) {
  ZMLX_NEEDS_LOOPS();
  for (Op op : kReductions) {
    for (size_t n : {1, 5, 16, 17, 40, 63}) {
      for (size_t where = 0; where < n; ++where) {
        auto x = ordinary(3, n);
        x[where] = where % 2 ? kNan : -kNan;
        SCOPED_TRACE(testing::Message() << lang::name_of(op) << where);
        EXPECT_TRUE(std::isnan(reduced(op, x, 1000)));
        EXPECT_TRUE(std::isnan(reduced(op, x, 16))); // in one of the blocks
      }
    }
  }
}

TEST(LoopReductions, NothingBeyondTheEndCounts) {
  ZMLX_NEEDS_LOOPS();
  for (Op op : kReductions) {
    LoopMaker make;
    const int x = make.each(Type::F32);
    // Infinite, NaN or large where lanes that are not there hold zeros.
    const int log = make.operation(Op::Log, x);
    const int divided = make.operation(Op::Div, x, x);
    const int far = make.operation(Op::Sub, make.number(1e30), x);
    for (int value : {log, divided, far}) {
      LoopMaker one = make;
      one.reduce(op, value);
      for (size_t n : loop_lengths()) {
        Memories memories;
        memories.add(4 * 1000, 4);
        std::vector<float> numbers;
        for (float v : ordinary(5)) {
          numbers.push_back(1 + std::abs(v));
        }
        memories.fill(0, numbers);
        memories.add(sizeof(Partial));
        check_loop(one.loop, memories, n);
      }
    }
  }
}

TEST(LoopReductions, OfOneValueForAllPlacesAndOfWhatIsMade) {
  ZMLX_NEEDS_LOOPS();
  for (bool once : {false, true}) {
    LoopMaker make;
    const int x = make.each(Type::BF16);
    const int y = once ? make.once(Type::F32) : make.number(0.375);
    const int product = make.operation(Op::Mul, x, y);
    make.reduce(Op::Sum, y);
    make.reduce(Op::Sum, product);
    make.reduce(Op::MaxOf, y);
    make.reduce(Op::MinOf, product);
    make.store(make.operation(Op::Exp, x));
    Memories memories = floats(make.loop);
    memories.fill(0, ordinary(8));
    if (once) {
      memories.fill<float>(1, {-1.5f});
    }
    check_lengths(make.loop, memories);
  }
}

// The order of a sum does not depend on what else a loop does.
TEST(LoopReductions, SumsHaveOneOrder) {
  ZMLX_NEEDS_LOOPS();
  std::vector<std::vector<float>> lanes;
  for (int more : {0, 1, 5, 30}) {
    LoopMaker make;
    const int x = make.each(Type::F32);
    const int square = make.operation(Op::Mul, x, x);
    const int memory = make.reduce(Op::Sum, square);
    int last = square;
    for (int k = 0; k < more; ++k) {
      last = make.operation(k % 2 ? Op::Exp : Op::Neg, last);
      make.store(last);
    }
    if (more == 5) {
      make.reduce(Op::MaxOf, last);
      make.reduce(Op::Sum, last);
    }
    for (size_t n : {1, 31, 32, 999}) {
      Memories memories;
      for (int m = 0; m < make.loop.memories; ++m) {
        memories.add(4 * 1000);
      }
      memories.fill(0, ordinary(2));
      const auto code = assemble(make.loop);
      ASSERT_TRUE(code);
      code->run(memories.pointers().data(), static_cast<int64_t>(n));
      Partial part;
      std::memcpy(&part, memories.at<void>(memory), sizeof part);
      const float* sums = part.lanes;
      lanes.emplace_back(sums, sums + Partial::kLanes);
      ASSERT_EQ(lanes.back(), lanes[(lanes.size() - 1) % 4]) << more;
    }
  }
}

TEST(LoopSums, AreAddedToFloatsAndDoubles) {
  ZMLX_NEEDS_LOOPS();
  for (bool both : {false, true}) {
    for (bool floats : {false, true}) {
      for (int heavy : {0, 4}) {
        LoopMaker make;
        int x = make.each(Type::F32);
        for (int k = 0; k < heavy; ++k) {
          x = make.operation(Op::Tanh, x);
        }
        make.add_up(x, floats);
        make.add_up(make.operation(Op::Neg, x), !floats);
        if (both) {
          make.add_up(make.each(Type::F16), floats);
          make.add_up(make.number(0.1), floats);
          make.add_up(make.once(Type::F32), !floats);
          make.reduce(Op::Sum, x); // one vector per turn
        }
        Memories memories;
        for (int m = 0; m < make.loop.memories; ++m) {
          memories.add(8 * 1000, 8);
          std::vector<double> sums;
          for (float v : ordinary(static_cast<unsigned>(m))) {
            sums.push_back(v);
          }
          memories.fill(m, sums);
        }
        memories.fill(0, ordinary(40));
        for (const auto& value : make.loop.values) {
          if (value.kind == Loop::Value::Kind::Once) {
            memories.fill<float>(value.memory, {-0.7f});
          }
        }
        for (size_t n : loop_lengths()) {
          check_loop(make.loop, memories, n);
        }
      }
    }
  }
}

} // namespace
} // namespace zmlx::backend::cpu
