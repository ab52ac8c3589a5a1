#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "zmlx/export.h"

namespace zmlx::lang {

/// Types of stored values. Arithmetic is done in compute_type(T).
enum class Type : uint8_t {
  Bool,
  U8,
  I8,
  U16,
  I16,
  U32,
  I32,
  U64,
  I64,
  F16,
  BF16,
  F32,
  F64,
};

using Shape = std::vector<int64_t>;
using Strides = std::vector<int64_t>; // in elements

ZMLX_API size_t size_of(Type type); // bytes
ZMLX_API std::string_view name_of(Type type); // "float32", as MLX spells it
ZMLX_API bool is_float(Type type);

/// float32 for f16, bf16 and f32, float64 for f64; int32 for bool and
/// integers of up to 32 bits except U32, which stays; int64 and uint64 stay.
ZMLX_API Type compute_type(Type type);

ZMLX_API bool is_integer(Type type); // not Bool
ZMLX_API bool is_signed(Type type); // an integer that may be negative

/// The compute type of an operation on values of two compute types: the wider
/// float, else float over integer, else the wider integer; int32 with uint32
/// gives int64, int64 with uint64 gives uint64.
ZMLX_API Type promote(Type a, Type b);

/// The type that MLX stores the result of an operation on arrays of these two
/// types in: float16 with bfloat16 gives float32, a float keeps its type beside
/// integers, int8 with uint8 gives int16.
ZMLX_API Type promote_stored(Type a, Type b);

} // namespace zmlx::lang
