#pragma once

#include <optional>

#include <mlx/mlx.h>

#include "zmlx/export.h"
#include "zmlx/lang/type.h"

/// Types, shapes and memory between MLX and the language.
namespace zmlx::op {

namespace mx = mlx::core;

/// Nothing for complex64, which the language does not have.
ZMLX_API std::optional<lang::Type> find_type(mx::Dtype dtype);
/// UserError for complex64.
ZMLX_API lang::Type to_lang(mx::Dtype dtype);
ZMLX_API mx::Dtype to_mlx(lang::Type type);

ZMLX_API lang::Shape to_lang(const mx::Shape& shape);
/// UserError for a length past 2^31 - 1.
ZMLX_API mx::Shape to_mlx(const lang::Shape& shape);

inline lang::Type type_of(const mx::array& a) {
  return to_lang(a.dtype());
}
inline lang::Shape shape_of(const mx::array& a) {
  return to_lang(a.shape());
}
ZMLX_API std::vector<lang::Type> types_of(const std::vector<mx::array>& arrays);
ZMLX_API std::vector<lang::Shape> shapes_of(
    const std::vector<mx::array>& arrays);

} // namespace zmlx::op
