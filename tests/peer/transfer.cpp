#include "tests/peer/transfer.h"

#include <array>

#include "zmlx/base/errors.h"
#include "zmlx/lang/space.h"

namespace zmlx::test_peer {

namespace mx = backend::mx;
using lang::Type;

Type type_of(const mx::array& a) {
  static const std::array<std::pair<mx::Dtype, Type>, 13> kTypes{
      {{mx::bool_, Type::Bool},
       {mx::uint8, Type::U8},
       {mx::int8, Type::I8},
       {mx::uint16, Type::U16},
       {mx::int16, Type::I16},
       {mx::uint32, Type::U32},
       {mx::int32, Type::I32},
       {mx::uint64, Type::U64},
       {mx::int64, Type::I64},
       {mx::float16, Type::F16},
       {mx::bfloat16, Type::BF16},
       {mx::float32, Type::F32},
       {mx::float64, Type::F64}}};
  for (const auto& [dtype, type] : kTypes) {
    if (dtype == a.dtype()) {
      return type;
    }
  }
  throw internal_error("test peer: an array of complex numbers");
}

Array host_array(const mx::array& a) {
  Array array{nullptr, type_of(a), {}, {}};
  for (int axis = 0; axis < static_cast<int>(a.ndim()); ++axis) {
    const int64_t stride = a.strides(axis);
    array.strides.push_back(stride);
    array.shape.push_back(stride == 0 && a.shape(axis) > 1 ? 1 : a.shape(axis));
  }
  if (a.size() > 0) {
    array.data =
        reinterpret_cast<std::byte*>(const_cast<char*>(a.data<char>()));
  }
  return array;
}

std::vector<std::byte> gather(const Array& array) {
  const int64_t count = lang::count(array.shape);
  const auto item = static_cast<size_t>(array.item());
  std::vector<std::byte> bytes(static_cast<size_t>(count) * item);
  if (count > 0 && array.strides == row_major(array.shape)) {
    std::memcpy(bytes.data(), array.data, bytes.size());
    return bytes;
  }
  const Walk walk(array, array.shape);
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(bytes.data() + static_cast<size_t>(i) * item, walk.at(i), item);
  }
  return bytes;
}

backend::View
dense_view(backend::Address data, Type type, const lang::Shape& shape) {
  backend::View view;
  view.data = data;
  view.type = type;
  view.shape = shape;
  view.strides = row_major(shape);
  return view;
}

backend::View broadcast_view(
    const backend::View& dense,
    const lang::Shape& shape) {
  backend::View view = dense;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (view.shape[axis] == 1) {
      view.strides[axis] = 0;
    }
  }
  view.shape = shape;
  return view;
}

} // namespace zmlx::test_peer
