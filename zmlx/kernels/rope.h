#pragma once

#include "zmlx/kernels/cases.h"
#include "zmlx/op/op.h"

/// Rotary position embeddings. The first R = `dims` elements of each row are
/// rotated in pairs, the others copied; dims = 0 is the whole row. Pairs are
/// (j, j + R/2), or (2j, 2j + 1) where `traditional`.
namespace zmlx::kernels {

namespace mx = mlx::core;

/// The partner of each place of a row, and where its angle stands.
struct RopePairs {
  lang::Expr rotated; // place < R
  lang::Expr partner;
  lang::Expr sign; // of the partner's term
  lang::Expr angle; // place in a table of R / 2
};

inline RopePairs rope_pairs(int dims, bool traditional) {
  using lang::Expr;
  const Expr i = lang::index();
  const Expr r = dims > 0 ? Expr(dims) : lang::width();
  const Expr half = dims > 0 ? Expr(dims / 2) : lang::width() / 2;
  const Expr last = lang::width() - 1;
  if (traditional) {
    return {
        i < r,
        lang::min(i ^ 1, last),
        lang::select((i & 1) == 0, -1.0, 1.0),
        lang::min(i / 2, half - 1)};
  }
  return {
      i < r,
      lang::min(lang::select(i < half, i + half, i - half), last),
      lang::select(i < half, -1.0, 1.0),
      i % half};
}

inline lang::Expr rotated(
    const RopePairs& pairs,
    const lang::Expr& x,
    const lang::Expr& cos,
    const lang::Expr& sin) {
  return lang::select(
      pairs.rotated,
      x * cos + pairs.sign * lang::pick(x, pairs.partner) * sin,
      x);
}

/// What a pair x[a], x[b] gives back to its entry of cos, or of sin: y[a] =
/// x[a] cos - x[b] sin and y[b] = x[b] cos + x[a] sin stand at a + shift and
/// b + shift of the row whose cotangent is given.
inline lang::Expr table_cotangent(
    const lang::Expr& x,
    const lang::Expr& cotangent,
    const lang::Expr& a,
    const lang::Expr& b,
    int shift,
    bool of_sin) {
  const auto xa = lang::pick(x, a), xb = lang::pick(x, b);
  const auto ya = lang::pick(cotangent, a + shift);
  const auto yb = lang::pick(cotangent, b + shift);
  return of_sin ? yb * xa - ya * xb : ya * xa + yb * xb;
}

/// Where pair j of a row of x stands.
struct PairPlaces {
  lang::Expr a, b;
  lang::Expr exists;
};

inline PairPlaces pair_places(
    const lang::Expr& j,
    const lang::Expr& x,
    int dims,
    bool traditional) {
  using lang::Expr;
  const Expr half = dims > 0 ? Expr(dims / 2) : lang::extent(x, -1) / 2;
  return {
      traditional ? 2 * j : j, traditional ? 2 * j + 1 : j + half, j < half};
}

/// The gradient of a table as a kernel of its own, whose places are the pairs:
/// a sum over all rows that an entry rotates.
inline lang::Kernel::Definition
table_gradient(int dims, bool traditional, bool of_sin) {
  return [=](lang::Define& g) {
    auto x = g.input("x", lang::Role::Row);
    auto cos = g.input("cos"), sin = g.input("sin");
    auto cotangent = g.input("d_out", lang::Role::Row);
    const auto pair = pair_places(lang::index(), x, dims, traditional);
    const auto value = table_cotangent(x, cotangent, pair.a, pair.b, 0, of_sin);
    g.output_sum_like(
        lang::select(pair.exists, value, 0.0), of_sin ? sin : cos);
  };
}

/// y = x rotated by tables, and its gradients: that of x is the rotation back.
inline void rotate_by_tables(
    lang::Define& k,
    const lang::Expr& x,
    const lang::Expr& cos,
    const lang::Expr& sin,
    bool traditional) {
  const int dims = k.attribute("dims", 0);
  const auto pairs = rope_pairs(dims, traditional);
  const auto c = lang::pick(cos, pairs.angle), s = lang::pick(sin, pairs.angle);
  k.output_like(rotated(pairs, x, c, s), x);
  k.gradient(x, rotated(pairs, k.cotangent(), c, -s));
  k.gradient(cos, table_gradient(dims, traditional, false));
  k.gradient(sin, table_gradient(dims, traditional, true));
  k.fill(cos, {{}, -1, 1});
  k.fill(sin, {{}, -1, 1});
}

/// The same rotation with MLX's operations; tables broadcast to (..., R / 2).
ZMLX_API mx::array rotated_with_mlx(
    const mx::array& x,
    const mx::array& cos,
    const mx::array& sin,
    bool traditional);

inline op::Op::Composition table_rope_with_mlx(bool traditional) {
  return [traditional](const std::vector<mx::array>& in, const auto&) {
    return std::vector<mx::array>{
        rotated_with_mlx(in[0], in[1], in[2], traditional)};
  };
}

/// The definition of a rotation by tables (S, R / 2), x (..., S, D).
inline lang::Kernel::Definition table_rope(bool traditional) {
  return [traditional](lang::Define& k) {
    auto x = k.input("x");
    auto cos = k.input("cos", lang::Role::Row);
    auto sin = k.input("sin", lang::Role::Row);
    rotate_by_tables(k, x, cos, sin, traditional);
    k.cases({
        {"(1, 2, 1, 8)", {{1, 2, 1, 8}, {1, 4}, {1, 4}}},
        {"(2, 3, 5, 64)", {{2, 3, 5, 64}, {5, 32}, {5, 32}}},
        {"(3, 7, 96), 64 rotated",
         {{3, 7, 96}, {7, 32}, {7, 32}},
         {{"dims", 64}}},
        {"(0, 4, 16)", {{0, 4, 16}, {4, 8}, {4, 8}}},
    });
  };
}

ZMLX_API inline const op::Op apply_rope{
    "apply_rope",
    "rotates the pairs (j, j + R/2) by tables cos and sin (S, R/2)",
    table_rope(false),
    table_rope_with_mlx(false)};

ZMLX_API inline const op::Op apply_rope_interleaved{
    "apply_rope_interleaved",
    "rotates the pairs (2j, 2j + 1) by tables cos and sin (S, R/2)",
    table_rope(true),
    table_rope_with_mlx(true)};

/// apply_rope where heads lie within positions: x (B, S, H, D). The kernel's
/// tables are (S, 1, R / 2); the function below takes (S, R / 2).
ZMLX_API inline const op::Op gqa_rope{
    "apply_gqa_rope",
    "rotates the pairs (j, j + R/2) of x (B, S, H, D) by tables (S, 1, R/2)",
    [](lang::Define& k) {
      auto x = k.input("x");
      auto cos = k.input("cos", lang::Role::Row);
      auto sin = k.input("sin", lang::Role::Row);
      // Refuses tables (S, R / 2), which would meet the heads.
      k.space({{x->input, 0}, {cos->input, -3}, {x->input, 2}, {x->input, 3}});
      rotate_by_tables(k, x, cos, sin, false);
      k.cases({
          {"(1, 1, 2, 8)", {{1, 1, 2, 8}, {1, 1, 4}, {1, 1, 4}}},
          {"(2, 5, 3, 64)", {{2, 5, 3, 64}, {5, 1, 32}, {5, 1, 32}}},
          {"(1, 7, 7, 96), 64 rotated",
           {{1, 7, 7, 96}, {7, 1, 32}, {7, 1, 32}},
           {{"dims", 64}}},
          {"(0, 4, 2, 16)", {{0, 4, 2, 16}, {4, 1, 8}, {4, 1, 8}}},
      });
    },
    table_rope_with_mlx(false)};

/// x (B, S, H, D), tables (S, R / 2), R = `dims` (0: D). UserError for tables
/// of other ranks.
ZMLX_API mx::array apply_gqa_rope(
    const mx::array& x,
    const mx::array& cos,
    const mx::array& sin,
    int dims = 0);

/// The gradient of inv_freq as a kernel of its own, see table_gradient.
inline lang::Kernel::Definition frequency_gradient(int dims, bool traditional) {
  return [=](lang::Define& g) {
    auto x = g.input("x", lang::Role::Row), position = g.input("position");
    auto inv_freq = g.input("inv_freq");
    auto scale = g.scalar("scale");
    auto cotangent = g.input("d_out", lang::Role::Row);
    const auto pair = pair_places(lang::index(), x, dims, traditional);
    const auto to = [&](bool of_sin) {
      return table_cotangent(x, cotangent, pair.a, pair.b, 0, of_sin);
    };
    const auto angle = position * scale * inv_freq;
    const auto of_angle =
        lang::cos(angle) * to(true) - lang::sin(angle) * to(false);
    g.output_sum_like(
        lang::select(pair.exists, of_angle * position * scale, 0.0), inv_freq);
  };
}

/// x (..., S, D); position a number, or (S, 1): the angle of pair j is
/// position scale inv_freq[j]; inv_freq (R / 2) float32.
ZMLX_API inline const op::Op rope{
    "rope",
    "rotates by the angles position scale inv_freq[j]",
    [](lang::Define& k) {
      auto x = k.input("x"), position = k.input("position");
      auto inv_freq = k.input("inv_freq", lang::Role::Row);
      auto scale = k.scalar("scale");
      const bool traditional = k.attribute("traditional", 0) != 0;
      const auto pairs = rope_pairs(k.attribute("dims", 0), traditional);
      auto angle = position * scale * lang::pick(inv_freq, pairs.angle);
      const auto c = lang::cos(angle), s = lang::sin(angle);
      k.output_like(rotated(pairs, x, c, s), x);
      k.gradient(x, rotated(pairs, k.cotangent(), c, -s));
      const int dims = k.attribute("dims", 0);
      k.gradient(inv_freq, frequency_gradient(dims, traditional));
      // Small angles: float32 rounds large ones by more than the result may
      // differ.
      k.fill(position, {lang::Type::I32, 0, 2});
      k.fill(inv_freq, {lang::Type::F32, 0, 1});
      k.fill(scale, {lang::Type::F32, 0.5, 1});
      std::vector<lang::Case> cases;
      for (double is_traditional : {0, 1}) {
        for (lang::Case c : std::vector<lang::Case>{
                 {"(1, 9, 1, 64)", {{1, 9, 1, 64}, {}, {32}, {}}},
                 {"(2, 3, 1, 80), 32 rotated",
                  {{2, 3, 1, 80}, {}, {16}, {}},
                  {{"dims", 32}}},
                 {"(2, 3, 5, 8), 5 positions", {{2, 3, 5, 8}, {5, 1}, {4}, {}}},
                 {"(0, 2, 1, 8)", {{0, 2, 1, 8}, {}, {4}, {}}},
             }) {
          c.attributes["traditional"] = is_traditional;
          c.name += is_traditional != 0 ? ", interleaved" : "";
          cases.push_back(c);
        }
      }
      k.cases(cases);
    },
    [](const std::vector<mx::array>& in, const lang::Attributes& attributes) {
      const auto angles = mx::multiply(mx::multiply(in[1], in[3]), in[2]);
      return std::vector<mx::array>{rotated_with_mlx(
          in[0],
          mx::cos(angles),
          mx::sin(angles),
          attributes.at("traditional") != 0)};
    }};

} // namespace zmlx::kernels
