#pragma once

#include "zmlx/kernels/cases.h"
#include "zmlx/op/op.h"

/// Softmax and its relatives on the last axis, with the maximum taken off.
namespace zmlx::kernels {

/// The maximum of the row where it is finite, else 0, so that a row of -inf
/// has the sum 0 and one with +inf the sum inf.
inline lang::Expr finite_max(const lang::Expr& x) {
  auto m = lang::max_of(x);
  return lang::select(m - m == 0, m, 0.0);
}

ZMLX_API inline const op::Op softmax_lastdim{
    "softmax_lastdim",
    "exp(x - max) / sum of it; a row of -inf gives NaN",
    [](lang::Define& k) {
      auto x = k.input("x");
      auto e = lang::exp(x - lang::max_of(x));
      k.output(e / lang::sum(e));
      k.cases(row_cases(1));
    }};

ZMLX_API inline const op::Op log_softmax_lastdim{
    "log_softmax_lastdim",
    "x - max - log(sum exp(x - max))",
    [](lang::Define& k) {
      auto x = k.input("x");
      auto shifted = x - lang::max_of(x);
      k.output(shifted - lang::log(lang::sum(lang::exp(shifted))));
      k.cases(row_cases(1));
    }};

ZMLX_API inline const op::Op logsumexp_lastdim{
    "logsumexp_lastdim",
    "log(sum exp x), (..., D) -> (...)",
    [](lang::Define& k) {
      auto x = k.input("x");
      auto m = finite_max(x);
      k.output(m + lang::log(lang::sum(lang::exp(x - m))));
      k.cases(row_cases(1));
    }};

} // namespace zmlx::kernels
