#include "zmlx/lang/type.h"

#include <algorithm>

#include "zmlx/base/errors.h"

namespace zmlx::lang {

size_t size_of(Type type) {
  switch (type) {
    case Type::Bool:
    case Type::U8:
    case Type::I8:
      return 1;
    case Type::U16:
    case Type::I16:
    case Type::F16:
    case Type::BF16:
      return 2;
    case Type::U32:
    case Type::I32:
    case Type::F32:
      return 4;
    case Type::U64:
    case Type::I64:
    case Type::F64:
      return 8;
  }
  throw internal_error("size_of: no type {}", static_cast<int>(type));
}

std::string_view name_of(Type type) {
  switch (type) {
    case Type::Bool:
      return "bool";
    case Type::U8:
      return "uint8";
    case Type::I8:
      return "int8";
    case Type::U16:
      return "uint16";
    case Type::I16:
      return "int16";
    case Type::U32:
      return "uint32";
    case Type::I32:
      return "int32";
    case Type::U64:
      return "uint64";
    case Type::I64:
      return "int64";
    case Type::F16:
      return "float16";
    case Type::BF16:
      return "bfloat16";
    case Type::F32:
      return "float32";
    case Type::F64:
      return "float64";
  }
  throw internal_error("name_of: no type {}", static_cast<int>(type));
}

bool is_float(Type type) {
  return type >= Type::F16;
}

bool is_integer(Type type) {
  return type != Type::Bool && !is_float(type);
}

bool is_signed(Type type) {
  return type == Type::I8 || type == Type::I16 || type == Type::I32 ||
      type == Type::I64;
}

Type compute_type(Type type) {
  switch (type) {
    case Type::F16:
    case Type::BF16:
    case Type::F32:
      return Type::F32;
    case Type::F64:
    case Type::U32:
    case Type::I64:
    case Type::U64:
      return type;
    default:
      return Type::I32;
  }
}

Type promote(Type a, Type b) {
  a = compute_type(a);
  b = compute_type(b);
  if (a == b) {
    return a;
  }
  if (is_float(a) || is_float(b)) {
    return a == Type::F64 || b == Type::F64 ? Type::F64 : Type::F32;
  }
  if (a == Type::U64 || b == Type::U64) {
    return Type::U64;
  }
  return Type::I64; // two different ones of int32, uint32, int64
}

namespace {

Type signed_of_size(size_t bytes) {
  switch (bytes) {
    case 1:
      return Type::I8;
    case 2:
      return Type::I16;
    case 4:
      return Type::I32;
    default:
      return Type::I64;
  }
}

Type promote_floats(Type a, Type b) {
  if (a == Type::F64 || b == Type::F64) {
    return Type::F64;
  }
  return a == b ? a : Type::F32; // the 16-bit floats do not hold each other
}

} // namespace

Type promote_stored(Type a, Type b) {
  if (a == b || b == Type::Bool) {
    return a;
  }
  if (a == Type::Bool) {
    return b;
  }
  if (is_float(a) && is_float(b)) {
    return promote_floats(a, b);
  }
  if (is_float(a) || is_float(b)) {
    return is_float(a) ? a : b;
  }
  if (is_signed(a) == is_signed(b)) {
    return size_of(a) >= size_of(b) ? a : b;
  }
  Type with_sign = is_signed(a) ? a : b;
  Type without = is_signed(a) ? b : a;
  if (without == Type::U64) {
    return Type::F32; // no integer holds both
  }
  return signed_of_size(std::max(size_of(with_sign), 2 * size_of(without)));
}

} // namespace zmlx::lang
