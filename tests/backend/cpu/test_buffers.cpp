#include "zmlx/backend/cpu/buffers.h"

#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "zmlx/backend/bounds.h"
#include "zmlx/backend/stages/scratch.h"
#include "zmlx/base/errors.h"

namespace zmlx::backend::cpu {
namespace {

TEST(Buffers, AreAlignedAndAsLargeAsAsked) {
  for (size_t bytes :
       {size_t{0},
        size_t{1},
        size_t{64},
        size_t{65},
        size_t{4097},
        size_t{5} << 20}) {
    void* p = allocate(bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % 64, 0u) << bytes;
    const size_t size = static_cast<size_t*>(p)[-1];
    EXPECT_GE(size, bytes);
    EXPECT_LE(size, bytes + bytes / 4 + 64);
#if defined(__SANITIZE_ADDRESS__)
    std::memset(p, 0xAB, bytes);
#else
    std::memset(p, 0xAB, size);
#endif
    release(p);
  }
}

#if defined(__SANITIZE_ADDRESS__)
TEST(Buffers, AddressSanitizerSeesWhatWasNotAskedFor) {
  drop_kept();
  auto* p = static_cast<char*>(allocate(1021));
  EXPECT_FALSE(__asan_address_is_poisoned(p + 1020));
  EXPECT_TRUE(__asan_address_is_poisoned(p + 1021));
  release(p);
  EXPECT_TRUE(__asan_address_is_poisoned(p)); // kept
  auto* q = static_cast<char*>(allocate(1000)); // the same again
  EXPECT_EQ(q, p);
  EXPECT_FALSE(__asan_address_is_poisoned(q + 999));
  EXPECT_TRUE(__asan_address_is_poisoned(q + 1000));
  release(q);
  drop_kept();
}

TEST(Buffers, AddressSanitizerSeesWhatAThreadDidNotAskFor) {
  auto* p = stages::thread_scratch(5000);
  EXPECT_FALSE(__asan_address_is_poisoned(p + 4999));
  EXPECT_TRUE(__asan_address_is_poisoned(p + 5000));
  p = stages::thread_scratch(100);
  EXPECT_FALSE(__asan_address_is_poisoned(p + 99));
  EXPECT_TRUE(__asan_address_is_poisoned(p + 100));
}
#endif

TEST(Buffers, AreUsedAgain) {
  drop_kept();
  EXPECT_EQ(kept_bytes(), 0u);
  void* p = allocate(1 << 20);
  release(p);
  EXPECT_EQ(kept_bytes(), size_t{1} << 20);
  // Any request of the class: (0.875 MiB, 1 MiB].
  void* q = allocate((1 << 20) - 1000);
  EXPECT_EQ(q, p);
  EXPECT_EQ(kept_bytes(), 0u);
  release(q);
  drop_kept();
  EXPECT_EQ(kept_bytes(), 0u);
}

TEST(Buffers, GiveAnErrorWhereThereIsNoMemory) {
  EXPECT_THROW(allocate(SIZE_MAX), EnvironmentError);
  EXPECT_THROW(allocate(size_t{1} << 60), EnvironmentError);
  release(nullptr);
}

TEST(Buffers, MayBeReleasedByAnotherThread) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (size_t i = 1; i < 400; ++i) {
        auto* p = static_cast<unsigned char*>(allocate(i * 37));
        std::memset(p, t, i * 37);
        std::thread([p, t] {
          EXPECT_EQ(p[0], t);
          release(p);
        }).join();
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  drop_kept();
}

} // namespace
} // namespace zmlx::backend::cpu
