#include "zmlx/backend/cpu/access.h"

#include "zmlx/base/errors.h"

namespace zmlx::backend::cpu {

Access::Access(const View& view, const lang::Shape& space, const char* who)
    : MergedAxes(view, space, who),
      data_(pointer<char>(view.data)),
      type_(view.type),
      size_(static_cast<int64_t>(lang::size_of(view.type))),
      at_(pointer<const int32_t>(view.at)),
      at_stride_(view.at_stride),
      last_(std::max<int64_t>(view.places - 1, 0)),
      extent_(extent_of(view)) {
  if (!data_ && !empty()) {
    throw internal_error("{}: no memory", who);
  }
}

View adjacent_view(Address data, lang::Type type, const lang::Shape& shape) {
  lang::Strides strides(shape.size(), 1);
  for (size_t axis = shape.size(); axis-- > 1;) {
    strides[axis - 1] = strides[axis] * shape[axis];
  }
  return {data, type, shape, std::move(strides)};
}

} // namespace zmlx::backend::cpu
