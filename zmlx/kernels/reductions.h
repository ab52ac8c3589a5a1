#pragma once

#include "zmlx/kernels/cases.h"
#include "zmlx/lang/functions.h"
#include "zmlx/op/op.h"

/// Reductions on the last axis, (..., D) -> (...). The order of a sum depends
/// on D alone. Gradients of max and min go to the lowest of equal places.
namespace zmlx::kernels {

namespace mx = mlx::core;

/// MLX's own reduction of the last axis.
inline op::Op::Composition last_axis(
    mx::array (*f)(const mx::array&, int, bool, mx::StreamOrDevice)) {
  return [f](const std::vector<mx::array>& in, const lang::Attributes&) {
    return std::vector<mx::array>{f(in[0], -1, false, {})};
  };
}

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
    reduction(lang::sum),
    last_axis(mx::sum)};

ZMLX_API inline const op::Op mean_lastdim{
    "mean_lastdim",
    "mean of each row",
    reduction(lang::mean),
    last_axis(mx::mean)};

ZMLX_API inline const op::Op max_lastdim{
    "max_lastdim",
    "largest of each row; NaN where the row has one",
    reduction(lang::max_of),
    last_axis(mx::max)};

ZMLX_API inline const op::Op min_lastdim{
    "min_lastdim",
    "smallest of each row; NaN where the row has one",
    reduction(lang::min_of),
    last_axis(mx::min)};

ZMLX_API inline const op::Op prod_lastdim{
    "prod_lastdim",
    "product of each row",
    reduction(lang::prod, {{}, 0.98, 1.02}),
    last_axis(mx::prod)};

ZMLX_API inline const op::Op var_lastdim{
    "var_lastdim",
    "mean of (x - mean)^2 of each row",
    reduction(lang::var),
    [](const std::vector<mx::array>& in, const lang::Attributes&) {
      return std::vector<mx::array>{mx::var(in[0], -1)};
    }};

/// eps is a number at run time.
ZMLX_API inline const op::Op std_lastdim{
    "std_lastdim",
    "sqrt(mean of (x - mean)^2 + eps) of each row",
    [](lang::Define& k) {
      auto x = k.input("x"), eps = k.scalar("eps");
      k.output(lang::sqrt(lang::var(x) + eps));
      k.fill(eps, {lang::Type::F32, 1e-3, 1e-2});
      k.cases(row_cases(1, 0, 1));
    },
    [](const std::vector<mx::array>& in, const lang::Attributes&) {
      return std::vector<mx::array>{mx::sqrt(
          mx::add(mx::var(in[0], -1), mx::astype(in[1], in[0].dtype())))};
    }};

ZMLX_API inline const op::Op argmax_lastdim{
    "argmax_lastdim",
    "place of the largest of each row, uint32; NaN counts as the largest",
    place(lang::argmax),
    last_axis(mx::argmax)};

ZMLX_API inline const op::Op argmin_lastdim{
    "argmin_lastdim",
    "place of the smallest of each row, uint32",
    place(lang::argmin),
    last_axis(mx::argmin)};

/// Each place gets the cotangent of the value that was taken there.
inline lang::Kernel::Definition top_gradient(int count) {
  return [count](lang::Define& g) {
    auto x = g.input("x");
    auto cotangent = g.input("d_values", lang::Role::Row);
    g.input("d_indices", lang::Role::Row);
    g.input("values", lang::Role::Row);
    auto places = g.input("indices", lang::Role::Row);
    lang::Expr given = 0.0;
    for (int i = 0; i < count; ++i) {
      const auto here =
          lang::cast(lang::Type::I32, lang::pick(places, i)) == lang::index();
      given = lang::select(here, lang::pick(cotangent, i), given);
    }
    g.output_like(given, x);
  };
}

/// (..., D) -> values (..., k) descending and their places, uint32; 1 <= k <=
/// D. NaN counts as the largest; equal values in the order of their places.
ZMLX_API inline const op::Op topk_lastdim{
    "topk_lastdim",
    "the k largest of each row, descending, and their places; attribute k",
    [](lang::Define& k) {
      auto x = k.input("x");
      const int count = k.attribute("k", 1);
      k.output(lang::top_values(x, count), "values");
      k.output(lang::top_places(x, count), lang::Type::U32, "indices");
      k.gradient(x, top_gradient(count));
      k.cases({
          {"(1, 1), k = 1", {{1, 1}}, {{"k", 1}}},
          {"(7), k = 7", {{7}}, {{"k", 7}}},
          {"(0, 5), k = 2", {{0, 5}}, {{"k", 2}}},
          {"(2, 3, 64), k = 6", {{2, 3, 64}}, {{"k", 6}}},
          {"(4, 1, 257), k = 8", {{4, 1, 257}}, {{"k", 8}}},
          {"(3, 4099), k = 50", {{3, 4099}}, {{"k", 50}}},
      });
    },
    [](const std::vector<mx::array>& in, const lang::Attributes& attributes) {
      const int k = static_cast<int>(attributes.at("k"));
      mx::Shape start(in[0].ndim(), 0), stop = in[0].shape();
      stop.back() = k;
      const auto places =
          mx::slice(mx::argsort(mx::negative(in[0]), -1), start, stop);
      return std::vector<mx::array>{
          mx::take_along_axis(in[0], places, -1), places};
    }};

} // namespace zmlx::kernels
