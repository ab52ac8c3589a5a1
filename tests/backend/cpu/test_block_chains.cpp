// Chains of block operations against one place at a time.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "tests/backend/cpu/block_operations.h"
#include "tests/backend/cpu/targets.h"

namespace zmlx::backend::cpu {
namespace {

// What a chain gives, one place at a time.
float follow(const Chain& chain, const std::array<float, 3>& memory) {
  volatile float values[2] = {0, 0}; // each operation rounds
  for (size_t n = 0; n < chain.size; ++n) {
    const Link& link = chain.links[n];
    const float x = values[link.second], y = values[!link.second];
    const float m = memory[link.operand];
    values[link.second] = [&]() -> float {
      switch (link.act) {
        case Link::Act::Load:
          return m;
        case Link::Act::Add:
          return x + m;
        case Link::Act::Sub:
          return x - m;
        case Link::Act::SubFrom:
          return m - x;
        case Link::Act::Mul:
          return x * m;
        case Link::Act::Div:
          return x / m;
        case Link::Act::Square:
          return x * x;
        case Link::Act::AddOther:
          return x + y;
        case Link::Act::SubOther:
          return x - y;
        case Link::Act::SubFromOther:
          return y - x;
        case Link::Act::MulOther:
          return x * y;
      }
      return 0;
    }();
  }
  return values[0];
}

TEST(BlockOperations, ChainsRoundEachOperation) {
  const auto a = numbers(-100, 100);
  std::vector<float> b(a.rbegin(), a.rend()), c(a.size());
  for (size_t i = 0; i < c.size(); ++i) {
    c[i] = -a[i] * b[i] * 1.0001f; // what is left shows the first rounding
  }
  using Act = Link::Act;
  const Act from_memory[] = {
      Act::Load, Act::Add, Act::Sub, Act::SubFrom, Act::Mul, Act::Div};
  const Act others[] = {
      Act::AddOther, Act::SubOther, Act::SubFromOther, Act::MulOther};
  const size_t all = ~size_t{0};
  const auto check = [&](const Chain& chain, size_t last_mask) {
    std::vector<float> out(a.size());
    alignas(64) float number[kUniformLanes];
    std::fill_n(number, kUniformLanes, c[3]);
    const void* last = last_mask ? static_cast<const void*>(c.data()) : number;
    find_chain(chain)(
        {.out = out.data(),
         .in = {a.data(), b.data(), last},
         .mask = {all, all, last_mask},
         .n = a.size(),
         .chain = &chain});
    for (size_t i = 0; i < a.size(); ++i) {
      const float want = follow(chain, {a[i], b[i], last_mask ? c[i] : c[3]});
      // Only a number divides by its reciprocal.
      const double most = last_mask == 0 && std::abs(want) < 1.2e-38f ? 1 : 0;
      ASSERT_LE(ulps(out[i], want), most) << a[i] << " " << b[i] << " " << c[i];
    }
  };
  for_each_target([&] {
    for (size_t mask : {all, size_t{0}}) {
      for (Act first : from_memory) {
        for (Act second : from_memory) {
          check(
              {{{{Act::Load}, {first, false, 1}, {second, false, 2}}}, 3},
              mask);
        }
        for (Act other : others) {
          check(
              {{{{Act::Load, true, 2},
                 {Act::Load},
                 {first, true, 1},
                 {Act::Square, true},
                 {other}}},
               5},
              mask);
        }
      }
    }
  });
}

TEST(BlockOperations, ChainsAreSummed) {
  std::vector<float> a(1003);
  for (size_t i = 0; i < a.size(); ++i) {
    a[i] = static_cast<float>(i % 16); // all sums are exact
  }
  const Chain square{{{{Link::Act::Load}, {Link::Act::Square}}}, 2};
  for_each_target([&] {
    for (size_t n : {size_t{0}, size_t{7}, size_t{16}, a.size()}) {
      Accumulator sum;
      std::vector<double> sums(n + 1, 1), each(n + 1, 1);
      std::vector<float> floats(n + 1, 1);
      BlockArgs args{.in = {a.data()}, .mask = {~size_t{0}}, .n = n};
      args.chain = &square;
      args.out = &sum;
      find_chain_sum(square)(args);
      args.out = sums.data();
      find_chain_accumulate(square)(args);
      args.out = floats.data();
      find_chain_accumulate_floats(square)(args);
      double total = 0;
      for (size_t i = 0; i < n; ++i) {
        each[i] += a[i] * a[i];
        total += a[i] * a[i];
      }
      EXPECT_EQ(sum.real, total);
      EXPECT_EQ(sums, each);
      EXPECT_EQ(std::vector<double>(floats.begin(), floats.end()), each);
    }
  });
}

} // namespace
} // namespace zmlx::backend::cpu
