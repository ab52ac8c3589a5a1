// sin and cos in loops whose registers are full, where the C library is called
// for lanes that are too far.
#include <vector>

#include "tests/backend/cpu/block_operations.h"
#include "tests/backend/cpu/loops.h"
#include "zmlx/backend/cpu/sine_table.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Op;
using lang::Type;

// Ordinary numbers, `in` that many lanes one that is too far.
std::vector<float> some_far(unsigned seed, unsigned in) {
  const float far[] = {
      3e5f, -3e5f, 1e20f, -3.4e38f, kInf, -kInf, kNan, 262144.03f};
  auto result = ordinary(seed);
  std::mt19937 random(seed);
  for (float& x : result) {
    if (random() % in == 0) {
      x = far[random() % std::size(far)];
    }
  }
  return result;
}

void check_far(const Loop& loop, std::initializer_list<int> memories) {
  for (unsigned in : {1u, 2u, 20u, 300u, 100000u}) {
    SCOPED_TRACE(in);
    Memories all = floats(loop);
    unsigned seed = 1;
    for (int memory : memories) {
      all.fill(memory, some_far(seed++, in));
    }
    check_lengths(loop, all);
  }
}

TEST(LoopSine, FarLanes) {
  ZMLX_NEEDS_LOOPS();
  for (Op op : {Op::Sin, Op::Cos}) {
    LoopMaker make; // two vectors a turn
    const int x = make.each(Type::F32);
    make.store(make.operation(op, x));
    make.store(x);
    check_far(make.loop, {0});
  }
}

TEST(LoopSine, BothOfOneValue) {
  ZMLX_NEEDS_LOOPS();
  LoopMaker make;
  const int x = make.each(Type::F32), y = make.each(Type::F32);
  const int angle = make.operation(Op::Mul, x, make.once(Type::F32));
  const int s = make.operation(Op::Sin, angle);
  const int c = make.operation(Op::Cos, angle);
  make.store(make.operation(Op::Mul, y, s));
  make.store(make.operation(Op::Mul, y, c), Type::BF16);
  check_far(make.loop, {0});
}

// Vectors, those on the stack and those that are kept, masks, sums, and all
// registers for where memories are.
TEST(LoopSine, CallsLeaveEverythingElse) {
  ZMLX_NEEDS_LOOPS();
  LoopMaker make;
  const int x = make.each(Type::F32), kept = make.once(Type::F32);
  std::vector<int> values, truths;
  for (int k = 0; k < 26; ++k) {
    const int y = make.each(Type::F32);
    values.push_back(make.operation(Op::Add, y, kept));
    if (k % 9 == 0) {
      truths.push_back(make.operation(Op::Less, y, values.back()));
    }
  }
  const int s = make.operation(Op::Sin, x), c = make.operation(Op::Cos, s);
  int sum = make.operation(Op::Sin, make.operation(Op::Mul, c, x));
  for (int value : values) {
    sum = make.operation(Op::Sub, value, sum);
  }
  for (int truth : truths) {
    sum = make.operation(Op::Select, truth, sum, make.number(3));
  }
  make.reduce(Op::Sum, values[3]);
  make.reduce(Op::MaxOf, values[4]);
  make.reduce(Op::MinOf, c);
  make.store(sum);
  make.store(s, Type::F16);
  make.add_up(c, true);
  for (int value : values) {
    make.store(value);
  }
  check_far(make.loop, {0});
}

// Lanes beyond the end may hold anything.
TEST(LoopSine, LanesBeyondTheEnd) {
  ZMLX_NEEDS_LOOPS();
  LoopMaker make;
  const int one = make.number(1), x = make.each(Type::F32);
  const int quotient = make.operation(Op::Div, one, x); // infinite there
  make.store(make.operation(Op::Cos, quotient));
  Memories memories = floats(make.loop);
  check_lengths(make.loop, memories);
}

} // namespace
} // namespace zmlx::backend::cpu
