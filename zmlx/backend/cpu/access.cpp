#include "zmlx/backend/cpu/access.h"

#include "zmlx/base/errors.h"

namespace zmlx::backend::cpu {

Access::Access(const View& view, const lang::Shape& space, const char* who)
    : MergedAxes(view, space, who),
      data_(pointer<char>(view.data)),
      type_(view.type),
      size_(static_cast<int64_t>(lang::size_of(view.type))),
      at_(pointer<const int32_t>(view.at)),
      at_stride_(view.at_stride) {
  if (!data_ && !empty()) {
    throw internal_error("{}: no memory", who);
  }
  low_ = data_ + lowest() * size_;
  high_ = data_ + (highest() + 1) * size_;
  if (at_) { // anywhere
    low_ = nullptr;
    high_ = reinterpret_cast<const char*>(UINTPTR_MAX);
  }
}

} // namespace zmlx::backend::cpu
