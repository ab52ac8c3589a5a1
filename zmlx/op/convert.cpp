#include "zmlx/op/convert.h"

#include <limits>

#include "zmlx/base/errors.h"

namespace zmlx::op {

using lang::Type;

std::optional<Type> find_type(mx::Dtype dtype) {
  switch (dtype.val()) {
    case mx::Dtype::Val::bool_:
      return Type::Bool;
    case mx::Dtype::Val::uint8:
      return Type::U8;
    case mx::Dtype::Val::uint16:
      return Type::U16;
    case mx::Dtype::Val::uint32:
      return Type::U32;
    case mx::Dtype::Val::uint64:
      return Type::U64;
    case mx::Dtype::Val::int8:
      return Type::I8;
    case mx::Dtype::Val::int16:
      return Type::I16;
    case mx::Dtype::Val::int32:
      return Type::I32;
    case mx::Dtype::Val::int64:
      return Type::I64;
    case mx::Dtype::Val::float16:
      return Type::F16;
    case mx::Dtype::Val::bfloat16:
      return Type::BF16;
    case mx::Dtype::Val::float32:
      return Type::F32;
    case mx::Dtype::Val::float64:
      return Type::F64;
    case mx::Dtype::Val::complex64:
      return std::nullopt;
  }
  return std::nullopt;
}

Type to_lang(mx::Dtype dtype) {
  if (auto type = find_type(dtype)) {
    return *type;
  }
  throw user_error(
      "kernels take real numbers, integers and booleans, got an array of "
      "complex64");
}

mx::Dtype to_mlx(Type type) {
  switch (type) {
    case Type::Bool:
      return mx::bool_;
    case Type::U8:
      return mx::uint8;
    case Type::I8:
      return mx::int8;
    case Type::U16:
      return mx::uint16;
    case Type::I16:
      return mx::int16;
    case Type::U32:
      return mx::uint32;
    case Type::I32:
      return mx::int32;
    case Type::U64:
      return mx::uint64;
    case Type::I64:
      return mx::int64;
    case Type::F16:
      return mx::float16;
    case Type::BF16:
      return mx::bfloat16;
    case Type::F32:
      return mx::float32;
    case Type::F64:
      return mx::float64;
  }
  throw internal_error("to_mlx: no type number {}", static_cast<int>(type));
}

lang::Shape to_lang(const mx::Shape& shape) {
  return {shape.begin(), shape.end()};
}

mx::Shape to_mlx(const lang::Shape& shape) {
  mx::Shape out;
  for (int64_t length : shape) {
    if (length > std::numeric_limits<mx::ShapeElem>::max()) {
      throw user_error(
          "an axis of {} elements is longer than MLX can hold", length);
    }
    out.push_back(static_cast<mx::ShapeElem>(length));
  }
  return out;
}

std::vector<Type> types_of(const std::vector<mx::array>& arrays) {
  std::vector<Type> types;
  types.reserve(arrays.size());
  for (const auto& a : arrays) {
    types.push_back(type_of(a));
  }
  return types;
}

std::vector<lang::Shape> shapes_of(const std::vector<mx::array>& arrays) {
  std::vector<lang::Shape> shapes;
  shapes.reserve(arrays.size());
  for (const auto& a : arrays) {
    shapes.push_back(shape_of(a));
  }
  return shapes;
}

} // namespace zmlx::op
