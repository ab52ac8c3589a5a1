// sin and cos of a vector, as vector_math-inl.h has them, and the call of the C
// library for lanes that are too far.
#include "zmlx/backend/cpu/loop/loop.h"

#if ZMLX_ASSEMBLES
#include <array>
#include <bit>
#include <cmath>

#include "zmlx/backend/cpu/loop/assembler.h"
#include "zmlx/backend/cpu/sine_table.h"

namespace zmlx::backend::cpu {

namespace {

// kSine by the last bits of the number of quarters.
struct ByQuarter {
  float coefficients[4][16];
};

constexpr ByQuarter by_quarter() {
  ByQuarter result{};
  for (int k = 0; k < 4; ++k) {
    for (int quarter = 0; quarter < 16; ++quarter) {
      result.coefficients[k][quarter] = kSine[k][quarter % 2];
    }
  }
  return result;
}

constexpr ByQuarter kByQuarter = by_quarter();

template <float (*kFunction)(float)>
void repair(float* to, const float* x, uint32_t lanes) noexcept {
  for (; lanes != 0; lanes &= lanes - 1) {
    const int lane = std::countr_zero(lanes);
    to[lane] = kFunction(x[lane]);
  }
}

constexpr int kVectors = 32, kMasks = 8;

// What a call for some lanes finds on the stack, in bytes.
constexpr int kToAt = 0, kXAt = 64, kLanesAt = 128, kFrame = 192;

} // namespace

void LoopAssembler::sine(const Zmm& to, const Zmm& x, uint32_t quarters) {
  constexpr float kShift = 0x1.8p23f; // the last bits are the nearest integer
  constexpr uint32_t kSign = 0x80000000;
  constexpr uint8_t kFlip = 0x78, kSet = 0xF8; // a ^ (b & c), a | (b & c)
  const auto& coefficients = kByQuarter.coefficients;
  const Temp r(*this), s(*this), turn(*this), c(*this);
  vbroadcastss(turn, word(kShift));
  vfmadd231ps(turn, x, number(kPerQuarter));
  vsubps(s, turn, number(kShift));
  vmovaps(r, x);
  for (const float part : kQuarter) {
    vfnmadd231ps(r, s, number(part));
  }
  if (quarters != 0) {
    vpaddd(turn, turn, number(quarters));
  }
  vmulps(s, r, r);
  vpermps(to, turn, table(coefficients[3]));
  for (int k = 2; k >= 0; --k) {
    vpermps(c, turn, table(coefficients[k]));
    vfmadd213ps(to, s, c);
  }
  const TempMask own(*this);
  const Mask mask = own;
  vptestmd(mask, turn, number(uint32_t{1}));
  vbroadcastss(Zmm(r) | mask, word(1.0f));
  vpslld(turn, turn, 30);
  vpternlogd(r, turn, number(kSign), kFlip);
  vmulps(s, s, r);
  vfmadd213ps(to, s, r);
  vpternlogd(to, r, number(kSign), kSet); // -0 too
  vandps(r, x, number(~kSign));
  vcmpps(masked_ ? mask | k1 : mask, r, number(kSineLimit), kNotLessEqual);
  repair_if_any(
      mask, to, x, quarters == 0 ? &repair<std::sin> : &repair<std::cos>);
}

void LoopAssembler::repair_if_any(
    const Mask& lanes,
    const Zmm& to,
    const Zmm& x,
    Repair function) {
  jump_if_any(lanes, [=, this] {
    sub(rsp, kFrame);
    vmovups(ptr[rsp + kToAt], to);
    vmovups(ptr[rsp + kXAt], x);
    kmovw(r11d, lanes);
    mov(ptr[rsp + kLanesAt], r11d);
    mov(r11, reinterpret_cast<size_t>(function));
    call(repairs_);
    vmovups(to, ptr[rsp + kToAt]);
    add(rsp, kFrame);
    calls_repairs_ = true;
  });
}

// Calls the function at r11 for the frame above, and leaves all else that a
// loop has in registers as it is.
void LoopAssembler::write_repairs() {
  if (!calls_repairs_) {
    return;
  }
  const std::array saved = {rax, rcx, rdx, rsi, rdi, r8, r9, r10};
  // With what is pushed, whole vectors, so that the stack stays aligned.
  constexpr int kPushed = (1 + 8) * 8;
  constexpr int kMasksAt = kVectors * kVectorBytes;
  constexpr int kBelow = kMasksAt + 3 * kVectorBytes - kPushed;
  static_assert(saved.size() == 8 && kBelow - kMasksAt >= kMasks * 8);
  L(repairs_);
  for (const auto& reg : saved) {
    push(reg);
  }
  sub(rsp, kBelow);
  for (int v = 0; v < kVectors; ++v) {
    vmovups(ptr[rsp + v * kVectorBytes], Zmm(v));
  }
  for (int m = 0; m < kMasks; ++m) {
    kmovq(ptr[rsp + kMasksAt + m * 8], Mask(m));
  }
  lea(rdi, ptr[rsp + kBelow + kPushed + kToAt]);
  lea(rsi, ptr[rsp + kBelow + kPushed + kXAt]);
  mov(edx, ptr[rsp + kBelow + kPushed + kLanesAt]);
  vzeroupper();
  call(r11);
  for (int v = 0; v < kVectors; ++v) {
    vmovups(Zmm(v), ptr[rsp + v * kVectorBytes]);
  }
  for (int m = 0; m < kMasks; ++m) {
    kmovq(Mask(m), ptr[rsp + kMasksAt + m * 8]);
  }
  add(rsp, kBelow);
  for (auto reg = saved.rbegin(); reg != saved.rend(); ++reg) {
    pop(*reg);
  }
  ret();
}

} // namespace zmlx::backend::cpu

#endif // ZMLX_ASSEMBLES
