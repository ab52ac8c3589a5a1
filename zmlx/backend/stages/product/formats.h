#pragma once

#include <cstddef>
#include <cstdint>

#include "zmlx/lang/expr.h"

namespace zmlx::backend::stages {

/// How the numbers of a weight are stored: what a decoder is chosen by.
struct Format {
  lang::WeightFormat format = lang::WeightFormat::Dense;
  /// Dense: the type of the weights. Affine: the type of scales and biases.
  lang::Type type = lang::Type::F32;
  int bits = 0; // Affine
  int group_size = 0; // Affine
  bool operator==(const Format&) const = default;
};

/// A weight (rows, width) in memory, its numbers along a row adjacent. A row of
/// an affine weight is width * bits / 32 little-endian uint32, the first number
/// in the lowest bits; number k is scale * q + bias of group k / group_size.
struct Matrix {
  Format format;
  int64_t rows = 0; // M
  int64_t width = 0; // K
  const std::byte* w = nullptr;
  const std::byte* scales = nullptr;
  const std::byte* biases = nullptr;
  int64_t w_stride = 0; // bytes from row to row
  int64_t scales_stride = 0;
  int64_t biases_stride = 0;

  /// Bytes read for one row.
  int64_t row_bytes() const {
    int64_t type = static_cast<int64_t>(lang::size_of(format.type));
    if (format.format == lang::WeightFormat::Dense) {
      return width * type;
    }
    return width * format.bits / 8 + 2 * type * (width / format.group_size);
  }
};

} // namespace zmlx::backend::stages
