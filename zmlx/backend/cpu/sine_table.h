#pragma once

namespace zmlx::backend::cpu {

/// sin and cos of x = n pi / 2 + r, with n the integer nearest to x
/// kPerQuarter, are +-sin r or +-cos r. With k = 0 for the sine of r and 1 for
/// its cosine, and s = r^2, these are
///
///   b + b s (the sum of kSine[i][k] s^i), b = r or 1,
///
/// fitted for the least relative error (2e-10, and the rounding of the
/// coefficients) where |r| <= 0.796: somewhat more than pi / 4, as kPerQuarter
/// is rounded. Of all floats within the limit, sin is at most 1.58 and cos at
/// most 1.75 units of the last place off, one of 900 by more than 1. cos(0) is
/// 1, and nothing is beyond 1.
inline constexpr float kSineLimit = 0x1p18f;
inline constexpr float kPerQuarter = 0.636619747f;
inline constexpr float kSine[4][2] = {
    {-0.166666672f, -0.5f},
    {0.00833337847f, 0.0416666456f},
    {-0.000198525231f, -0.00138872932f},
    {2.82556198e-06f, 2.44291914e-05f},
};

/// pi / 2 in parts of 24 bits, for products that are rounded together with a
/// sum: x less n of the first is exact, what follows is rounded twice. For
/// numbers beyond the limit that is too much where little is left. The parts
/// are cut off, not rounded, so that none is negative: n of it taken from -0
/// leaves -0.
inline constexpr float kQuarter[3] = {
    0x1.921fb4p0f,
    0x1.4442d0p-24f,
    0x1.846988p-48f};

} // namespace zmlx::backend::cpu
