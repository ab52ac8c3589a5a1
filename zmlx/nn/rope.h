#pragma once

#include <variant>
#include <vector>

#include "zmlx/nn/fast.h"

namespace zmlx::nn {

/// Positions are divided by `factor`.
struct LinearRopeScaling {
  float factor;
};

/// Llama 3: long wavelengths are stretched by `factor`, short ones kept, those
/// between blended. Wavelengths in tokens are original_context / *_freq_factor.
/// Source: https://github.com/meta-llama/llama-models, apply_scaling.
struct Llama3RopeScaling {
  double factor;
  double low_freq_factor = 1.0;
  double high_freq_factor = 4.0;
  double original_context = 8192;
};

/// The wavelength of pair i is stretched by factors[i] (dims / 2 of them), as
/// `rope_freqs.weight` of GGUF files gives them.
struct RopeFactors {
  std::vector<float> factors;
};

using RopeScaling = std::
    variant<std::monostate, LinearRopeScaling, Llama3RopeScaling, RopeFactors>;

/// Rotary position embedding over the first `dims` of the last axis: pairs are
/// (i, i + dims / 2), or (2i, 2i + 1) when `traditional`.
class ZMLX_API Rope {
 public:
  /// `dims` is even and positive, `base` positive. InternalError when the
  /// number of RopeFactors is not dims / 2.
  Rope(int dims, float base, bool traditional, const RopeScaling& scaling);

  /// x (B, H, L, D), whose first token stands at `offset`.
  mx::array operator()(const mx::array& x, const Position& offset) const;

 private:
  int dims_;
  bool traditional_;
  std::optional<float> base_;
  float scale_ = 1;
  std::optional<mx::array> freqs_;
};

} // namespace zmlx::nn
