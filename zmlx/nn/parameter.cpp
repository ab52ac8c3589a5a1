#include "zmlx/nn/parameter.h"

#include <fmt/format.h>

namespace zmlx::nn {

namespace {

const char* dtype_name(mx::Dtype type) {
  switch (type.val()) {
    case mx::Dtype::Val::float16:
      return "float16";
    case mx::Dtype::Val::bfloat16:
      return "bfloat16";
    case mx::Dtype::Val::float64:
      return "float64";
    default:
      return "float32";
  }
}

} // namespace

Parameter::Parameter(mx::array stored, mx::Dtype compute)
    : stored_(std::move(stored)),
      cast_(
          mx::issubdtype(stored_.dtype(), mx::floating)
              ? mx::astype(stored_, compute)
              : stored_) {
  mx::eval({stored_, cast_});
}

void Parameter::collect(const std::string& name, NamedArrays& out) const {
  out.emplace_back(name, stored_);
  if (cast_.id() != stored_.id()) {
    out.emplace_back(
        fmt::format("{}:{}", name, dtype_name(cast_.dtype())), cast_);
  }
}

mx::Dtype compute_dtype(mx::Dtype stored) {
  return mx::default_device() == mx::Device::cpu ? mx::float32 : stored;
}

} // namespace zmlx::nn
