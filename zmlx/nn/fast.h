#pragma once

#include <functional>
#include <optional>
#include <string>
#include <variant>

#include <mlx/mlx.h>

#include "zmlx/export.h"

namespace zmlx::nn {

namespace mx = mlx::core;

/// Where the next token stands: a number, or a 0-d int32 array while a step is
/// captured (plan/step.h).
using Position = std::variant<int, mx::array>;

/// The operations that MLX gives as `mx.fast` and that expand into many
/// primitives on some devices. Layers call them through fast(), so that capture
/// can put one node of ours in the place of each expansion.
/// Arguments and meaning are those of mx::fast.
struct FastOps {
  std::function<mx::array(
      const mx::array& x,
      const std::optional<mx::array>& weight,
      float eps)>
      rms_norm;
  std::function<mx::array(
      const mx::array& x,
      const std::optional<mx::array>& weight,
      const std::optional<mx::array>& bias,
      float eps)>
      layer_norm;
  /// x (B, H, L, D); rotates the first `dims` of D. `freqs` (dims / 2), where
  /// given instead of `base`, are the divisors of the position.
  std::function<mx::array(
      const mx::array& x,
      int dims,
      bool traditional,
      std::optional<float> base,
      float scale,
      const Position& offset,
      const std::optional<mx::array>& freqs)>
      rope;
  /// q (B, H, L, D), k and v (B, H_kv, S, D); mask_mode "" or "causal".
  std::function<mx::array(
      const mx::array& q,
      const mx::array& k,
      const mx::array& v,
      float scale,
      const std::string& mask_mode,
      const std::optional<mx::array>& mask)>
      attention;
  std::function<mx::array(
      const mx::array& w,
      const mx::array& scales,
      const std::optional<mx::array>& biases,
      int group_size,
      int bits,
      const std::string& mode)>
      dequantize;
};

/// The operations in force on this thread: MLX's own unless a ScopedFastOps
/// lives.
ZMLX_API const FastOps& fast();

/// Puts `ops` in force on this thread until it is destroyed.
class ZMLX_API ScopedFastOps {
 public:
  explicit ScopedFastOps(FastOps ops);
  ~ScopedFastOps();
  ScopedFastOps(const ScopedFastOps&) = delete;
  ScopedFastOps& operator=(const ScopedFastOps&) = delete;

 private:
  FastOps ops_;
  const FastOps* previous_;
};

} // namespace zmlx::nn
