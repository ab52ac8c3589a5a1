// The functions of a vector, as vector_math-inl.h has them: what a loop gives
// does not depend on whether it was assembled.
#include "zmlx/backend/cpu/loop/loop.h"

#if ZMLX_ASSEMBLES
#include <array>
#include <bit>

#include "zmlx/backend/cpu/erf_table.h"
#include "zmlx/backend/cpu/exp_table.h"
#include "zmlx/backend/cpu/loop/assembler.h"

namespace zmlx::backend::cpu {

namespace {

// Added to this number, the last bits are the nearest integer.
constexpr float kShift = 0x1.8p23f;

} // namespace

// NaN stays: the machine gives the second operand where one is NaN.
void LoopAssembler::clamp(
    const Zmm& to,
    const Zmm& x,
    float least,
    float most) {
  with_constant(most, [&](const Zmm& c) { vminps(to, c, x); });
  with_constant(least, [&](const Zmm& c) { vmaxps(to, c, to); });
}

void LoopAssembler::polynomial(
    const Zmm& p,
    const Zmm& x,
    std::span<const float> c) {
  vbroadcastss(p, word(c[0]));
  for (const float next : c.subspan(1)) {
    vfmadd213ps(p, x, number(next));
  }
}

// What exp_table.h says of `r`, which becomes its own remainder: p = exp(r) -
// 1, n = k + j / 16, and the bits of it at the end of `shifted`.
void LoopAssembler::exp_parts(
    const Zmm& p,
    const Zmm& shifted,
    const Zmm& n,
    const Zmm& r) {
  vbroadcastss(shifted, word(kExpShift));
  vfmadd231ps(shifted, r, number(kPerLog2));
  vsubps(n, shifted, number(kExpShift));
  vfnmadd231ps(r, n, number(kLog2High));
  vfnmadd231ps(r, n, number(kLog2Low));
  polynomial(p, r, std::array{kExpCube, kExpSquare});
  vmulps(p, p, r);
  vfmadd213ps(p, r, r);
}

// exp of `r`, for -104 <= r <= 104 or NaN; all others are overwritten.
void LoopAssembler::exp_within(
    const Zmm& to,
    const Zmm& r,
    const Zmm& n,
    const Zmm& shifted) {
  exp_parts(to, shifted, n, r);
  vpermps(shifted, shifted, table(kExpPowers)); // by the last four bits
  vfmadd213ps(to, shifted, shifted);
  vscalefps(to, to, n);
}

void LoopAssembler::exp(const Zmm& to, const Zmm& x) {
  const Temp r(*this), n(*this), shifted(*this);
  clamp(r, x, -104.0f, 104.0f);
  exp_within(to, r, n, shifted);
}

void LoopAssembler::sigmoid(const Zmm& to, const Zmm& x) {
  const Temp own_r(*this), own_n(*this), own_s(*this);
  const Zmm r = own_r, n = own_n, s = own_s;
  const TempMask own(*this);
  const Mask small = own;
  clamp(r, x, -87.0f, 87.0f);
  vxorps(r, r, number(uint32_t{0x80000000}));
  exp_parts(to, s, n, r);
  vpermps(n, s, table(kExpBits.data()));
  vpslld(s, s, kExpExponent);
  vpaddd(s, s, n);
  vfmadd213ps(to, s, s); // exp(-x)
  with_constant(1.0f, [&](const Zmm& one) {
    vaddps(s, to, one);
    vrcp14ps(to, s); // and one step of Newton's
    vfnmadd213ps(s, to, one);
  });
  vfmadd213ps(to, s, to);
  with_constant(
      -87.0f, [&](const Zmm& least) { vcmpps(small, x, least, kLess); });
  jump_if_any(small, [=, this] {
    const auto kept = ptr[rsp + kStack * kVectorBytes];
    vmovups(kept, to);
    vmaxps(r, x, number(-104.0f));
    exp_within(to, r, n, s);
    vmovaps(r, to);
    vmovups(to, kept);
    vmovaps(to | small, r);
  });
}

void LoopAssembler::tanh(const Zmm& to, const Zmm& x) {
  const Temp h(*this), n(*this), s(*this);
  clamp(h, x, -10.0f, 10.0f);
  // 2^n by additions to the bits, for which other units have more time than for
  // vscalefps.
  constexpr uint32_t kOne = 127;
  vbroadcastss(s, word(kShift));
  vfmadd231ps(s, h, number(kPerLog2 * 2));
  vsubps(n, s, number(kShift));
  vpaddd(s, s, number(kOne - std::bit_cast<uint32_t>(kShift)));
  vpslld(s, s, 23);
  vfnmadd231ps(h, n, number(kLog2High / 2));
  vfnmadd231ps(h, n, number(kLog2Low / 2));
  polynomial(to, h, kTanh);
  vmulps(n, h, h);
  vfmadd213ps(to, n, h); // g
  with_constant(0.5f, [&](const Zmm& half) {
    vmovaps(n, s);
    vfmsub213ps(n, half, half);
  });
  vfmadd213ps(to, s, n); // e
  vaddps(n, to, number(1.0f)); // b
  vrcp14ps(s, n);
  vmulps(h, to, s); // q, near e / b
  vfnmadd231ps(to, h, n);
  vfmadd213ps(to, s, h);
  vandps(n, x, number(uint32_t{0x80000000}));
  vandps(to, to, number(uint32_t{0x7FFFFFFF}));
  vorps(to, to, n); // -0 too
}

void LoopAssembler::log(const Zmm& to, const Zmm& x) {
  constexpr int kFrom075To15 = 3 | 2 << 2; // NaN for numbers below zero
  const Temp m(*this), e(*this), s(*this);
  vgetmantps(m, x, kFrom075To15);
  vgetexpps(e, x);
  vgetexpps(s, m);
  vsubps(e, e, s);
  vsubps(m, m, number(1.0f));
  vmulps(s, m, m);
  polynomial(to, m, kLog);
  const Temp low(*this);
  vmulps(low, e, number(kLog2Low));
  vfmadd213ps(to, s, low);
  vaddps(to, m, to);
  vfmadd231ps(to, e, number(kLog2High));
}

void LoopAssembler::erf(const Zmm& to, const Zmm& x) {
  const Temp size(*this), u(*this), part(*this), c(*this);
  vandps(size, x, number(uint32_t{0x7FFFFFFF}));
  with_constant(3.98f, [&](const Zmm& most) { vminps(u, most, size); });
  vbroadcastss(part, word(kShift));
  vfmadd231ps(part, u, number(1 / kErfStep));
  vsubps(c, part, number(kShift));
  vfnmadd231ps(u, c, number(kErfStep));
  vpermps(to, part, table(kErf[5])); // by the last four bits
  for (int k = 4; k >= 0; --k) {
    vpermps(c, part, table(kErf[k]));
    vfmadd213ps(to, u, c);
  }
  vmulps(to, to, size);
  with_constant(1.0f, [&](const Zmm& one) { vminps(to, one, to); });
  vandps(c, x, number(uint32_t{0x80000000}));
  vorps(to, to, c);
}

} // namespace zmlx::backend::cpu

#endif // ZMLX_ASSEMBLES
