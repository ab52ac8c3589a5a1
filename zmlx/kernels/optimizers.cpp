#include "zmlx/kernels/optimizers.h"

namespace zmlx::kernels {

AdamwNumbers::AdamwNumbers(lang::Define& k)
    : lr(k.scalar("lr")),
      step(k.scalar("step")),
      beta1(k.scalar("beta1")),
      beta2(k.scalar("beta2")),
      eps(k.scalar("eps")),
      wd(k.scalar("wd")) {
  using lang::Type;
  k.fill(lr, {Type::F32, 1e-3, 1e-1});
  k.fill(step, {Type::I32, 1, 50});
  k.fill(beta1, {Type::F32, 0.85, 0.95});
  k.fill(beta2, {Type::F32, 0.98, 0.999});
  k.fill(eps, {Type::F32, 1e-8, 1e-6});
  k.fill(wd, {Type::F32, 0, 0.1});
}

} // namespace zmlx::kernels
