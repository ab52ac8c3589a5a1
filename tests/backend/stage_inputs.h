#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include "zmlx/backend/cpu/cpu.h"
#include "zmlx/backend/cpu/half.h"

/// What tests of the stages share: memory that faults where it ends, random
/// arrays with their values as doubles, and every instruction set in turn.
namespace zmlx::backend::testing {

/// Memory whose last byte is the last of a mapped page.
class Guarded {
 public:
  explicit Guarded(size_t bytes) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    mapped_ = (bytes + page - 1) / page * page + page;
    void* base = mmap(
        nullptr,
        mapped_,
        PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS,
        -1,
        0);
    base_ = static_cast<std::byte*>(base);
    mprotect(base_ + mapped_ - page, page, PROT_NONE);
    data_ = base_ + mapped_ - page - bytes;
  }
  ~Guarded() {
    munmap(base_, mapped_);
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  std::byte* data() const {
    return data_;
  }

 private:
  size_t mapped_;
  std::byte* base_;
  std::byte* data_;
};

inline void write(lang::Type type, float value, std::byte* at) {
  if (type == lang::Type::F32) {
    std::memcpy(at, &value, 4);
  } else {
    const uint16_t bits = type == lang::Type::F16 ? cpu::to_float16(value)
                                                  : cpu::to_bfloat16(value);
    std::memcpy(at, &bits, 2);
  }
}

inline float read(lang::Type type, const std::byte* at) {
  float value = 0;
  uint16_t bits = 0;
  if (type == lang::Type::F32) {
    std::memcpy(&value, at, 4);
    return value;
  }
  std::memcpy(&bits, at, 2);
  return type == lang::Type::F16 ? cpu::from_float16(bits)
                                 : cpu::from_bfloat16(bits);
}

inline std::vector<float>
normal(std::mt19937& random, int64_t count, float scale = 1) {
  std::normal_distribution<float> distribution(0, scale);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) {
    value = distribution(random);
  }
  return values;
}

inline lang::Strides dense_strides(const lang::Shape& shape) {
  lang::Strides strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) {
    strides[i - 1] = strides[i] * shape[i];
  }
  return strides;
}

inline View view_of(std::vector<float>& values, lang::Shape shape) {
  lang::Strides strides = dense_strides(shape);
  return {values.data(), lang::Type::F32, std::move(shape), std::move(strides)};
}

/// Calls test() once for every instruction set of this machine that the
/// project compiles for.
template <typename Test>
void on_every_target(Test test) {
  const int64_t all = hwy::SupportedTargets();
  int tested = 0;
  for (const int64_t target :
       {HWY_AVX3, HWY_AVX2, HWY_SSE4, HWY_NEON, HWY_EMU128, HWY_SCALAR}) {
    if ((all & target) == 0) {
      continue;
    }
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    test(hwy::TargetName(target));
    ++tested;
  }
  EXPECT_GT(tested, 0);
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

} // namespace zmlx::backend::testing
