#pragma once

#include <limits>

#include "zmlx/kernels/cases.h"
#include "zmlx/kernels/compositions.h"
#include "zmlx/lang/functions.h"
#include "zmlx/op/op.h"

/// Softmax and its relatives on the last axis, with the maximum taken off. The
/// results do not depend on what is taken off, so it is a constant to
/// derivatives, which else were what rounding leaves of sums that cancel.
namespace zmlx::kernels {

/// x, then a mask that broadcasts with it, then `scalars` numbers.
ZMLX_API std::vector<lang::Case> masked_cases(int scalars = 0);

/// Softmax of x over the places where the mask is true, 0 elsewhere; what x is
/// there has no part in values and gradients. 0 where the mask is false for all
/// of the row.
inline lang::Expr softmax_where(const lang::Expr& mask, const lang::Expr& x) {
  const lang::Expr none = -std::numeric_limits<double>::infinity();
  auto any = lang::max_of(lang::select(mask, 1.0, 0.0)) > 0;
  auto largest = lang::max_of(lang::select(mask, x, none));
  auto m = lang::stop_gradient(lang::select(any, largest, 0.0));
  auto e = lang::exp(lang::select(mask, x - m, none));
  return lang::select(mask, e / lang::select(any, lang::sum(e), 1.0), 0.0);
}

/// The same in MLX's own operations.
inline mlx::core::array softmax_where_in_mlx(
    const mlx::core::array& mask,
    const mlx::core::array& x) {
  namespace mx = mlx::core;
  const auto least = in_mlx::like(x, mx::finfo(x.dtype()).min);
  return mx::where(
      mask, mx::softmax(mx::where(mask, x, least), -1), in_mlx::like(x, 0));
}

ZMLX_API inline const op::Op softmax_lastdim{
    "softmax_lastdim",
    "exp(x - max) / sum of it; a row of -inf gives NaN",
    [](lang::Define& k) {
      k.output(lang::softmax(k.input("x")));
      k.cases(row_cases(1));
    },
    [](const in_mlx::Arrays& in, const lang::Attributes&) {
      return in_mlx::Arrays{mlx::core::softmax(in[0], -1)};
    }};

ZMLX_API inline const op::Op log_softmax_lastdim{
    "log_softmax_lastdim",
    "x - max - log(sum exp(x - max))",
    [](lang::Define& k) {
      k.output(lang::log_softmax(k.input("x")));
      k.cases(row_cases(1));
    },
    [](const in_mlx::Arrays& in, const lang::Attributes&) {
      return in_mlx::Arrays{in[0] - mlx::core::logsumexp(in[0], -1, true)};
    }};

ZMLX_API inline const op::Op logsumexp_lastdim{
    "logsumexp_lastdim",
    "log(sum exp x), (..., D) -> (...)",
    [](lang::Define& k) {
      k.output(lang::logsumexp(k.input("x")));
      k.cases(row_cases(1));
    },
    [](const in_mlx::Arrays& in, const lang::Attributes&) {
      return in_mlx::Arrays{mlx::core::logsumexp(in[0], -1)};
    }};

/// masked_softmax(x, mask): the mask is bool and broadcasts with x.
ZMLX_API inline const op::Op masked_softmax{
    "masked_softmax",
    "softmax of x over the true places of mask, 0 elsewhere",
    [](lang::Define& k) {
      auto x = k.input("x"), mask = k.input("mask");
      k.output_like(softmax_where(mask, x), x);
      k.fill(mask, {lang::Type::Bool, 0, 1});
      k.cases(masked_cases());
    },
    [](const in_mlx::Arrays& in, const lang::Attributes&) {
      return in_mlx::Arrays{softmax_where_in_mlx(in[1], in[0])};
    }};

/// scale_mask_softmax(x, mask, scale).
ZMLX_API inline const op::Op scale_mask_softmax{
    "scale_mask_softmax",
    "softmax of x scale over the true places of mask, 0 elsewhere",
    [](lang::Define& k) {
      auto x = k.input("x"), mask = k.input("mask"), scale = k.scalar("scale");
      // Chosen before it is scaled, so that the gradient of scale does not see
      // what is masked.
      auto scaled = lang::select(mask, x, 0.0) * scale;
      k.output_like(softmax_where(mask, scaled), x);
      k.fill(mask, {lang::Type::Bool, 0, 1});
      k.fill(scale, {lang::Type::F32, 0.1, 1});
      k.cases(masked_cases(1));
    },
    [](const in_mlx::Arrays& in, const lang::Attributes&) {
      return in_mlx::Arrays{softmax_where_in_mlx(
          in[1], in[0] * in_mlx::to_type_of(in[0], in[2]))};
    }};

} // namespace zmlx::kernels
