#include "zmlx/nn/parameter.h"

namespace zmlx::nn {

Parameter::Parameter(const mx::array& stored, mx::Dtype compute)
    : value_(
          mx::issubdtype(stored.dtype(), mx::floating)
              ? mx::astype(stored, compute)
              : stored) {
  value_.eval();
}

mx::Dtype compute_dtype(mx::Dtype stored) {
  return mx::default_device() == mx::Device::cpu ? mx::float32 : stored;
}

} // namespace zmlx::nn
