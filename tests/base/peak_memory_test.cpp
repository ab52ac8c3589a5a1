#include "zmlx/base/peak_memory.h"

#include <cstring>

#include <gtest/gtest.h>
#include <sys/mman.h>

namespace zmlx {
namespace {

constexpr size_t size = 256 << 20;

// Pages that no allocator counts, given back at once.
void touch() {
  void* pages = mmap(
      nullptr,
      size,
      PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANONYMOUS,
      -1,
      0);
  ASSERT_NE(pages, MAP_FAILED);
  std::memset(pages, 1, size);
  munmap(pages, size);
}

TEST(PeakMemory, CountsWhatWasHeldMeanwhileAndNothingBefore) {
  touch();
  const PeakMemory before;
  const auto quiet = before.bytes();
  if (!quiet) {
    GTEST_SKIP() << "this system does not let a process reset its peak";
  }
  EXPECT_GT(*quiet, 0u);
  EXPECT_LT(*quiet, size); // what was touched before is forgotten
  const PeakMemory peak;
  touch();
  EXPECT_GE(*peak.bytes(), size);
  EXPECT_LT(*peak.bytes(), size + *quiet + (16 << 20));
  EXPECT_EQ(peak.bytes(), peak_memory());
}

} // namespace
} // namespace zmlx
