// The functions of a vector, as vector_math-inl.h has them: what a loop gives
// does not depend on whether it was assembled.
#include "zmlx/backend/cpu/loop/loop.h"

#if ZMLX_ASSEMBLES
#include <bit>
#include <cmath>

#include "zmlx/backend/cpu/erf_table.h"
#include "zmlx/backend/cpu/loop/assembler.h"

namespace zmlx::backend::cpu {

namespace {

constexpr float kLog2High = 0.693145752f; // 15 bits
constexpr float kLog2Low = 1.42860677e-06f;
constexpr float kPerLog2 = 1.44269504f;

// Added to this number, the last bits are the nearest integer.
constexpr float kShift = 0x1.8p23f;

// (exp(r) - 1 - r) / r^2 for |r| <= log(2) / 2.
constexpr float kExp[] =
    {0.00138145965f, 0.00836871751f, 0.0416683890f, 0.166665211f, 0.499999940f};

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

// x = n log(2) / parts + r for an integer n. `r` may be `x`.
void LoopAssembler::reduce_by_log2(
    const Zmm& n,
    const Zmm& r,
    const Zmm& x,
    float parts) {
  vmulps(n, x, number(kPerLog2 * parts));
  vrndscaleps(n, n, kToNearest);
  if (r != x) {
    vmovaps(r, x);
  }
  vfnmadd231ps(r, n, number(kLog2High / parts));
  vfnmadd231ps(r, n, number(kLog2Low / parts));
}

void LoopAssembler::polynomial(
    const Zmm& p,
    const Zmm& x,
    std::initializer_list<float> coefficients) {
  const float* c = coefficients.begin();
  vbroadcastss(p, word(*c));
  while (++c != coefficients.end()) {
    vfmadd213ps(p, x, number(*c));
  }
}

void LoopAssembler::exp(const Zmm& to, const Zmm& x) {
  const Temp r(*this), n(*this);
  clamp(r, x, -104.0f, 104.0f);
  reduce_by_log2(n, r, r, 1);
  polynomial(to, r, {kExp[0], kExp[1], kExp[2], kExp[3], kExp[4]});
  const Temp square(*this);
  vmulps(square, r, r);
  vfmadd213ps(to, square, r);
  vaddps(to, to, number(1.0f));
  vscalefps(to, to, n);
}

// As reduce_by_log2, and s = 2^n, or 2^-126 where that is less: by additions to
// the bits, for which other units have more time than for vscalefps.
void LoopAssembler::reduce_to_power(
    const Zmm& n,
    const Zmm& s,
    const Zmm& r,
    float parts) {
  constexpr int kOneBits = 127, kLeast = 1;
  const auto shift_bits = std::bit_cast<int32_t>(kShift);
  vbroadcastss(s, word(kShift));
  vfmadd231ps(s, r, number(kPerLog2 * parts));
  vsubps(n, s, number(kShift));
  vpaddd(s, s, number(static_cast<uint32_t>(kOneBits - shift_bits)));
  vpmaxsd(s, s, number(uint32_t{kLeast}));
  vpslld(s, s, 23);
  vfnmadd231ps(r, n, number(kLog2High / parts));
  vfnmadd231ps(r, n, number(kLog2Low / parts));
}

void LoopAssembler::sigmoid(const Zmm& to, const Zmm& x) {
  const Temp r(*this), n(*this), s(*this);
  clamp(r, x, -104.0f, 21.0f);
  reduce_to_power(n, s, r, 1);
  polynomial(to, r, {kExp[0], -kExp[1], kExp[2], -kExp[3], kExp[4]});
  const Temp square(*this);
  vmulps(square, r, r);
  vfmsub213ps(to, square, r);
  vaddps(to, to, number(1.0f));
  vaddps(s, s, to);
  vrcp14ps(to, s); // and one step of Newton's
  vbroadcastss(r, word(1.0f));
  vfnmadd231ps(r, s, to);
  vfmadd213ps(to, r, to);
  vscalefps(to, to, n);
}

void LoopAssembler::tanh(const Zmm& to, const Zmm& x) {
  const Temp h(*this), n(*this), s(*this);
  clamp(h, x, -10.0f, 10.0f);
  reduce_to_power(n, s, h, 2);
  polynomial(
      to,
      h,
      {kExp[0] * 32, kExp[1] * 16, kExp[2] * 8, kExp[3] * 4, kExp[4] * 2});
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
  polynomial(
      to,
      m,
      {-0.0450747807f,
       0.104630205f,
       -0.131611937f,
       0.144783953f,
       -0.166473122f,
       0.199908612f,
       -0.250000958f,
       0.333334491f,
       -0.5f});
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
