#pragma once

#include "zmlx/kernels/cases.h"
#include "zmlx/op/op.h"

/// Reductions on the last axis, (..., D) -> (...). The order of a sum depends
/// on D alone.
namespace zmlx::kernels {

/// The definition of y = f(row of x).
template <typename Function>
lang::Kernel::Definition reduction(Function f, lang::Fill fill = {}) {
  return [f, fill](lang::Define& k) {
    auto x = k.input("x");
    k.output(f(x));
    k.fill(x, fill);
    k.cases(row_cases(1));
  };
}

/// The definition of a place in a row, uint32; ties give the lowest.
template <typename Function>
lang::Kernel::Definition place(Function f) {
  return [f](lang::Define& k) {
    k.output(f(k.input("x")), lang::Type::U32);
    k.cases(row_cases(1));
  };
}

ZMLX_API inline const op::Op sum_lastdim{
    "sum_lastdim",
    "sum of each row",
    reduction(lang::sum)};

ZMLX_API inline const op::Op mean_lastdim{
    "mean_lastdim",
    "mean of each row",
    reduction(lang::mean)};

ZMLX_API inline const op::Op max_lastdim{
    "max_lastdim",
    "largest of each row; NaN where the row has one",
    reduction(lang::max_of)};

ZMLX_API inline const op::Op min_lastdim{
    "min_lastdim",
    "smallest of each row; NaN where the row has one",
    reduction(lang::min_of)};

ZMLX_API inline const op::Op prod_lastdim{
    "prod_lastdim",
    "product of each row",
    reduction(lang::prod, {{}, 0.98, 1.02})};

ZMLX_API inline const op::Op var_lastdim{
    "var_lastdim",
    "mean of (x - mean)^2 of each row",
    reduction([](const lang::Expr& x) {
      auto centred = x - lang::mean(x);
      return lang::mean(centred * centred);
    })};

ZMLX_API inline const op::Op argmax_lastdim{
    "argmax_lastdim",
    "place of the largest of each row, uint32; NaN counts as the largest",
    place(lang::argmax)};

ZMLX_API inline const op::Op argmin_lastdim{
    "argmin_lastdim",
    "place of the smallest of each row, uint32",
    place(lang::argmin)};

} // namespace zmlx::kernels
