#pragma once

#include "zmlx/kernels/cases.h"
#include "zmlx/kernels/compositions.h"
#include "zmlx/kernels/norms.h"
#include "zmlx/lang/functions.h"
#include "zmlx/op/op.h"

/// Dropout: a share p of the elements becomes 0, the others are divided by
/// 1 - p. Which ones depends on the seed, an integer, and on the number of the
/// element alone: one mask on every device, for every layout, and in the
/// gradient.
namespace zmlx::kernels {

/// x with the dropout of scalars "p" and "seed", which this defines.
inline lang::Expr dropped(lang::Define& k, const lang::Expr& x) {
  auto p = k.scalar("p"), seed = k.scalar("seed");
  k.fill(p, {lang::Type::F32, 0.1, 0.6});
  k.fill(seed, {lang::Type::U64, 0, 1e6});
  // All is dropped where p = 1: there is nothing to divide then.
  auto kept = lang::select(p < 1, 1 - p, 1.0);
  return lang::select(lang::uniform(seed) >= p, x / kept, 0.0);
}

ZMLX_API inline const op::Op dropout{
    "dropout",
    "x / (1 - p), or 0 for a share p of the elements that the seed chooses",
    [](lang::Define& k) {
      auto x = k.input("x");
      k.output_like(dropped(k, x), x);
      k.cases(map_cases(1, 2));
    },
    [](const in_mlx::Arrays& in, const lang::Attributes&) {
      return in_mlx::Arrays{in_mlx::dropout(in[0], in[1], in[2])};
    }};

/// rms_norm_dropout(x, w, eps, p, seed).
ZMLX_API inline const op::Op rms_norm_dropout{
    "rms_norm_dropout",
    "dropout of rmsnorm(x) w",
    [](lang::Define& k) {
      auto x = k.input("x"), w = k.input("w");
      auto normed = lang::rms_norm(x, w, epsilon(k));
      k.output_like(dropped(k, normed), x);
      k.cases(row_cases(1, 1, 3));
    },
    [](const in_mlx::Arrays& in, const lang::Attributes&) {
      const auto normed =
          mlx::core::fast::rms_norm(in[0], in[1], in_mlx::number(in[2]));
      return in_mlx::Arrays{in_mlx::dropout(normed, in[3], in[4])};
    }};

/// layer_norm_dropout(x, gamma, beta, eps, p, seed).
ZMLX_API inline const op::Op layer_norm_dropout{
    "layer_norm_dropout",
    "dropout of layernorm(x)",
    [](lang::Define& k) {
      auto x = k.input("x"), gamma = k.input("gamma"), beta = k.input("beta");
      auto normed = lang::layer_norm(x, gamma, beta, epsilon(k));
      k.output_like(dropped(k, normed), x);
      k.cases(row_cases(1, 2, 3));
    },
    [](const in_mlx::Arrays& in, const lang::Attributes&) {
      const auto normed = mlx::core::fast::layer_norm(
          in[0], in[1], in[2], in_mlx::number(in[3]));
      return in_mlx::Arrays{in_mlx::dropout(normed, in[4], in[5])};
    }};

} // namespace zmlx::kernels
