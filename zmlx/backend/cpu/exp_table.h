#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace zmlx::backend::cpu {

/// exp(x) = 2^k T[j] exp(r), where k + j / 16 is the multiple of 1/16 nearest
/// to x / log(2), T[j] = 2^(j / 16) and |r| <= log(2) / 32. For these r,
/// exp(r) = 1 + r + r^2 (kExpSquare + kExpCube r) with a relative error of
/// 1.6e-9, the least there is.
inline constexpr float kExpSquare = 0.500016153f;
inline constexpr float kExpCube = 0.166667223f;

alignas(64) inline constexpr float kExpPowers[16] = {
    1.0f,
    1.04427373f,
    1.09050775f,
    1.13878858f,
    1.18920708f,
    1.24185777f,
    1.29683959f,
    1.35425556f,
    1.41421354f,
    1.47682619f,
    1.54221082f,
    1.61049032f,
    1.68179286f,
    1.75625217f,
    1.8340081f,
    1.91520655f};

/// log(2) in two parts, the first of 15 bits, so that n times it is exact.
inline constexpr float kPerLog2 = 1.44269504f;
inline constexpr float kLog2High = 0.693145752f;
inline constexpr float kLog2Low = 1.42860677e-06f;

/// (exp(2 h) - 1) / 2 = h + h^2 (the sum of kTanh[4 - i] h^i) where |h| <=
/// log(2) / 4, fitted for the least relative error of exp (3e-9).
inline constexpr float kTanh[5] = {
    0.00138145965f * 32,
    0.00836871751f * 16,
    0.0416683890f * 8,
    0.166665211f * 4,
    0.499999940f * 2};

/// log(1 + z) = z + z^2 (the sum of kLog[8 - i] z^i) where -1/4 <= z < 1/2,
/// with kLog[8] exact and the others fitted for the least relative error
/// (5e-9).
inline constexpr float kLog[9] = {
    -0.0450747807f,
    0.104630205f,
    -0.131611937f,
    0.144783953f,
    -0.166473122f,
    0.199908612f,
    -0.250000958f,
    0.333334491f,
    -0.5f};

/// Added to this number, the last four bits are j, those before them k.
inline constexpr float kExpShift = 0x1.8p19f;
/// By so many bits to the left, k stands where a float has its exponent.
inline constexpr int kExpExponent = 19;

/// T[j] as numbers to which j, k and what lies before them are added so, for
/// the bits of 2^k T[j]; k has at most seven bits.
alignas(64) inline constexpr std::array<float, 16> kExpBits = [] {
  std::array<float, 16> bits{};
  for (uint32_t j = 0; j < bits.size(); ++j) {
    bits[j] = std::bit_cast<float>(
        std::bit_cast<uint32_t>(kExpPowers[j]) - (j << kExpExponent));
  }
  return bits;
}();

} // namespace zmlx::backend::cpu
