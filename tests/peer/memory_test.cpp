#include <cstring>

#include <gtest/gtest.h>

#include "tests/peer/memory.h"
#include "tests/peer/peer.h"
#include "zmlx/base/errors.h"

namespace zmlx::test_peer {
namespace {

namespace mx = mlx::core;

std::vector<float> read_back(backend::Address from, size_t count) {
  std::vector<float> values(count);
  instance().queue()->copy_out(values.data(), from, count * sizeof(float));
  return values;
}

TEST(Memory, IsZeroedAndFoundByThePeerAlone) {
  const auto memory = instance().allocate(16);
  EXPECT_EQ(read_back(memory.address, 4), std::vector<float>(4));
  EXPECT_THROW(reach(memory.address + 8, 9), InternalError);
  EXPECT_EQ(reach(memory.address + 8, 8), reach(memory.address, 16) + 8);
}

TEST(Memory, ImportsElementsInRowMajorOrder) {
  auto a = mx::transpose(mx::reshape(mx::arange(6, mx::float32), {2, 3}));
  a.eval();
  const auto memory = instance().import(a);
  EXPECT_EQ(
      read_back(memory.address, 6), (std::vector<float>{0, 3, 1, 4, 2, 5}));
}

// What host code would do that takes an address for a pointer.
TEST(MemoryDeathTest, AHostReadDies) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto memory = instance().allocate(64);
  EXPECT_DEATH(
      {
        volatile const auto* host =
            reinterpret_cast<const volatile float*>(memory.address.value());
        std::exit(host[0] == 0 ? 0 : 1);
      },
      "");
}

TEST(Queue, BytesAreHandedOverWhenItIsWaitedFor) {
  const auto memory = instance().allocate(4);
  const auto queue = instance().queue();
  float told = -1, given = 5;
  queue->copy_in(memory.address, &given, 4);
  given = 6; // was read
  const auto mark = queue->begin_copy_out(&told, memory.address, 4);
  EXPECT_EQ(told, -1);
  queue->wait_for(mark);
  EXPECT_EQ(told, 5);
}

} // namespace
} // namespace zmlx::test_peer
