#pragma once

#include "zmlx/kernels/cases.h"
#include "zmlx/kernels/compositions.h"
#include "zmlx/lang/functions.h"
#include "zmlx/op/op.h"

/// Steps of optimizers.
namespace zmlx::kernels {

/// The numbers of a step of AdamW, which this defines: lr, step (from 1),
/// beta1, beta2, eps, wd.
struct ZMLX_API AdamwNumbers {
  explicit AdamwNumbers(lang::Define& k);
  lang::Expr lr, step, beta1, beta2, eps, wd;
};

/// adamw_step.all({p, g, m, v, lr, step, beta1, beta2, eps, wd}) is {p, m, v}
/// after step number `step`, each in the type it has: m and v may be float32
/// beside parameters of 16 bits. Decay is decoupled, moments are corrected for
/// their start at 0. Source: Loshchilov and Hutter, "Decoupled weight decay
/// regularization", 2019.
ZMLX_API inline const op::Op adamw_step{
    "adamw_step",
    "(p - lr (m' / (sqrt(v') + eps) + wd p), m, v), m' and v' without bias",
    [](lang::Define& k) {
      auto p = k.input("p"), g = k.input("g");
      auto m = k.input("m"), v = k.input("v");
      const AdamwNumbers n(k);
      auto m_new = n.beta1 * m + (1 - n.beta1) * g;
      auto v_new = n.beta2 * v + (1 - n.beta2) * lang::square(g);
      // 1 - beta^step, also exact for a beta near 1 and few steps.
      const auto moments_seen = [&](const lang::Expr& beta) {
        return -lang::expm1(n.step * lang::log(beta));
      };
      auto mean = m_new / moments_seen(n.beta1);
      auto deviation = lang::sqrt(v_new / moments_seen(n.beta2));
      auto update = mean / (deviation + n.eps) + n.wd * p;
      k.output_like(p - n.lr * update, p, "p_new");
      k.output_like(m_new, m, "m_new");
      k.output_like(v_new, v, "v_new");
      k.fill(v, {{}, 0.1, 3});
      k.cases(map_cases(4, 6));
    },
    [](const in_mlx::Arrays& in, const lang::Attributes&) {
      namespace mx = mlx::core;
      const auto &p = in[0], &g = in[1];
      const auto n = [&](int i) { return in_mlx::to_type_of(in[3], in[i]); };
      const auto one = in_mlx::like(in[3], 1);
      const auto step = n(5), beta1 = n(6), beta2 = n(7);
      const auto m = beta1 * in[2] + (one - beta1) * g;
      const auto v = beta2 * in[3] + (one - beta2) * mx::square(g);
      const auto mean = m / (one - mx::power(beta1, step));
      const auto deviation = mx::sqrt(v / (one - mx::power(beta2, step)));
      const auto update = mean / (deviation + n(8)) + n(9) * p;
      return in_mlx::Arrays{
          mx::astype(p - n(4) * update, p.dtype()),
          mx::astype(m, in[2].dtype()),
          v};
    }};

} // namespace zmlx::kernels
