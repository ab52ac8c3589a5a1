#pragma once

#include "zmlx/kernels/cases.h"
#include "zmlx/op/op.h"

/// Rotary position embeddings. The first R = `dims` elements of each row are
/// rotated in pairs, the others copied; dims = 0 is the whole row. Pairs are
/// (j, j + R/2), or (2j, 2j + 1) where `traditional`.
namespace zmlx::kernels {

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

/// The definition of a rotation by tables (S, R / 2), x (..., S, D).
inline lang::Kernel::Definition table_rope(bool traditional) {
  return [traditional](lang::Define& k) {
    auto x = k.input("x");
    auto cos = k.input("cos", lang::Role::Row);
    auto sin = k.input("sin", lang::Role::Row);
    const auto pairs = rope_pairs(k.attribute("dims", 0), traditional);
    k.output_like(
        rotated(
            pairs,
            x,
            lang::pick(cos, pairs.angle),
            lang::pick(sin, pairs.angle)),
        x);
    k.fill(cos, {{}, -1, 1});
    k.fill(sin, {{}, -1, 1});
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
    table_rope(false)};

ZMLX_API inline const op::Op apply_rope_interleaved{
    "apply_rope_interleaved",
    "rotates the pairs (2j, 2j + 1) by tables cos and sin (S, R/2)",
    table_rope(true)};

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
      k.output_like(rotated(pairs, x, lang::cos(angle), lang::sin(angle)), x);
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
    }};

} // namespace zmlx::kernels
