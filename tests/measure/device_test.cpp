#include "zmlx/measure/device.h"

#include <fstream>
#include <numeric>
#include <sstream>
#include <vector>

#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include "zmlx/base/errors.h"
#include "zmlx/measure/bandwidth_loops.h"

namespace zmlx::measure {
namespace {

std::string cpuinfo() {
  std::ifstream file("/proc/cpuinfo");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(Device, FactsAreThoseOfTheSystem) {
  auto facts = device_facts();
  auto info = cpuinfo();
  EXPECT_NE(info.find("model name"), std::string::npos);
  EXPECT_NE(info.find(facts.cpu), std::string::npos);
  EXPECT_GE(facts.cpus, 1);
  EXPECT_GT(facts.memory_bytes, std::size_t{1} << 28);
  EXPECT_EQ(facts.system.substr(0, 6), "Linux ");
  EXPECT_EQ(facts.mlx_version, mlx::core::version());
  EXPECT_EQ(facts.simd == "AVX-512", info.find("avx512f") != info.npos);
}

// The loops must do the work whose rate is claimed.
TEST(Bandwidth, ReadingDependsOnEveryFloat) {
  constexpr std::size_t count = 2 * bandwidth_block;
  auto memory = std::unique_ptr<float, decltype(&std::free)>(
      static_cast<float*>(std::aligned_alloc(4096, count * sizeof(float))),
      &std::free);
  std::fill(memory.get(), memory.get() + count, 1.0f);
  for (auto read : {read_forward, read_four}) {
    auto before = read(memory.get(), count);
    for (std::size_t i = 0; i < count; ++i) {
      memory.get()[i] = 1.5f;
      EXPECT_NE(read(memory.get(), count), before) << i;
      memory.get()[i] = 1.0f;
    }
  }
}

TEST(Bandwidth, MeasuresWithAnyNumberOfThreads) {
  for (int threads : {1, 2, 3, 7}) {
    BandwidthOptions options{
        .threads = threads, .repeats = 3, .bytes = 1 << 20};
    for (auto measured : {read_bandwidth(options), triad_bandwidth(options)}) {
      EXPECT_EQ(measured.threads, threads);
      EXPECT_GT(measured.bytes, 900u << 10);
      EXPECT_LE(measured.bytes, 1u << 20);
      EXPECT_GT(measured.bytes_per_second.min, 0);
      EXPECT_GE(
          measured.bytes_per_second.max, measured.bytes_per_second.median);
    }
  }
}

TEST(Bandwidth, RefusesWhatCannotBe) {
  EXPECT_THROW(read_bandwidth({.threads = 0}), UserError);
  EXPECT_THROW(triad_bandwidth({.threads = 1025}), UserError);
  EXPECT_THROW(read_bandwidth({.threads = 1, .repeats = 0}), UserError);
  EXPECT_THROW(
      read_bandwidth({.threads = 1, .bytes = std::size_t{1} << 60}),
      EnvironmentError);
}

} // namespace
} // namespace zmlx::measure
