#pragma once

#include <string>
#include <utility>
#include <vector>

#include <mlx/mlx.h>

#include "zmlx/export.h"
#include "zmlx/nn/fast.h"

namespace zmlx::nn {

/// Weight arrays with their names in the model's file.
using NamedArrays = std::vector<std::pair<std::string, mx::array>>;

/// One weight array: as the file stores it, and cast once to the type that the
/// layers compute in. Both are evaluated when it is made, in the thread that
/// makes it; they are one array where the types agree.
class ZMLX_API Parameter {
 public:
  /// Floating arrays are cast to `compute`; packed integers stay as they are.
  Parameter(mx::array stored, mx::Dtype compute);

  /// What layers use: the cast array, or the stored one while
  /// fast().stored_weights.
  const mx::array& get() const {
    return fast().stored_weights ? stored_ : cast_;
  }
  const mx::array& stored() const {
    return stored_;
  }
  mx::Dtype compute_dtype() const {
    return cast_.dtype();
  }

  /// Appends the stored array as `name` and, where it is another, the cast one
  /// as "name:float32".
  void collect(const std::string& name, NamedArrays& out) const;

 private:
  mx::array stored_;
  mx::array cast_;
};

/// The type that layers compute in for weights of type `stored`: float32 on the
/// CPU, where MLX's 16-bit kernels are ten times slower, else `stored` itself.
ZMLX_API mx::Dtype compute_dtype(mx::Dtype stored);

} // namespace zmlx::nn
