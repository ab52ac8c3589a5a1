#pragma once

#include "zmlx/nn/fast.h"
#include "zmlx/nn/parameter.h"

namespace zmlx::nn {

/// x / sqrt(mean(x^2) + eps) * weight over the last axis.
class RMSNorm {
 public:
  RMSNorm(Parameter weight, float eps)
      : weight_(std::move(weight)), eps_(eps) {}

  mx::array operator()(const mx::array& x) const {
    return fast().rms_norm(x, weight_.get(), eps_);
  }

  void collect(const std::string& name, NamedArrays& out) const {
    weight_.collect(name + ".weight", out);
  }

 private:
  Parameter weight_;
  float eps_;
};

} // namespace zmlx::nn
