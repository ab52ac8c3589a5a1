#pragma once

#include <limits>

#include "zmlx/kernels/cases.h"
#include "zmlx/kernels/compositions.h"
#include "zmlx/lang/functions.h"
#include "zmlx/op/op.h"

/// Losses and what is done to rewards.
namespace zmlx::kernels {

/// The attribute ignore_index of a loss that ignores nothing.
inline constexpr int kNoIndex = -std::numeric_limits<int>::max();

/// The cross entropy of one row, label_smoothing = e spreads the share e of the
/// target evenly over all classes:
///   logsumexp(logits) - (1 - e) logits[target] - e mean(logits).
inline lang::Expr cross_entropy(
    const lang::Expr& logits,
    const lang::Expr& target_logit,
    double label_smoothing) {
  // Of differences to the maximum, so that large logits cancel exactly.
  auto m = lang::finite_max(logits);
  auto likelihood = target_logit - m;
  if (label_smoothing != 0) {
    likelihood = (1 - label_smoothing) * likelihood +
        label_smoothing * lang::mean(logits - m);
  }
  return lang::log(lang::sum(lang::exp(logits - m))) - likelihood;
}

/// Logits (..., V) and targets (...), and the same with attributes.
ZMLX_API std::vector<lang::Case> cross_entropy_cases();

/// The same in MLX's own operations.
ZMLX_API in_mlx::Arrays cross_entropy_in_mlx(
    const in_mlx::Arrays& in,
    const lang::Attributes& attributes);

/// logits (..., V), targets (...) integer give (...) float32, one loss a row.
/// Attributes: ignore_index, targets whose rows have the loss 0 and no gradient
/// (none unless given); label_smoothing. Other targets outside 0 .. V - 1 are
/// an error on the CPU.
ZMLX_API inline const op::Op softmax_cross_entropy{
    "softmax_cross_entropy",
    "logsumexp - logit of the target, float32; attributes ignore_index, "
    "label_smoothing",
    [](lang::Define& k) {
      auto logits = k.input("logits");
      auto targets = k.input("targets", lang::Role::EachRow);
      const int ignored = k.attribute("ignore_index", kNoIndex);
      const double smoothing = k.number("label_smoothing", 0);
      k.cases(cross_entropy_cases());
      if (ignored == kNoIndex) {
        auto logit = lang::pick(logits, targets);
        k.output(cross_entropy(logits, logit, smoothing), lang::Type::F32);
        return;
      }
      // Also where an ignored row holds NaN or nothing but -inf.
      auto counts = targets != ignored;
      auto row = lang::select(counts, logits, 0.0);
      auto logit = lang::select(
          counts, lang::pick(logits, lang::select(counts, targets, 0)), 0.0);
      k.output(
          lang::select(counts, cross_entropy(row, logit, smoothing), 0.0),
          lang::Type::F32);
    },
    cross_entropy_in_mlx};

/// r (..., D): the rewards of a group are a row.
ZMLX_API inline const op::Op grpo_advantage_norm{
    "grpo_advantage_norm",
    "(r - mean) / sqrt(var + eps) of each row",
    [](lang::Define& k) {
      auto r = k.input("r"), eps = k.scalar("eps");
      k.output_like(lang::layer_norm(r, eps), r);
      k.fill(eps, {lang::Type::F32, 1e-6, 1e-4});
      k.cases(row_cases(1, 0, 1));
    },
    [](const in_mlx::Arrays& in, const lang::Attributes&) {
      return in_mlx::Arrays{mlx::core::fast::layer_norm(
          in[0], std::nullopt, std::nullopt, in_mlx::number(in[1]))};
    }};

} // namespace zmlx::kernels
