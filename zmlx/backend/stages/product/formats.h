#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "zmlx/lang/expr.h"

namespace zmlx::backend::stages {

/// How the numbers of a weight are stored: what a decoder is chosen by.
struct Format {
  lang::WeightFormat format = lang::WeightFormat::Dense;
  lang::Type type = lang::Type::F32; // of the parts that are floats
  int bits = 0; // as lang::Weight
  int group_size = 0;
  bool operator==(const Format&) const = default;

  /// A weight of which nothing but the format is known.
  lang::Weight weight() const {
    return {format, bits, group_size};
  }
  lang::Type type_of(size_t part) const {
    return lang::row_of(format).parts[part].type.value_or(type);
  }
};

/// A part of a weight in memory, the elements of a row adjacent.
struct MatrixPart {
  const std::byte* data = nullptr;
  int64_t stride = 0; // bytes from row to row
  int64_t expert_stride = 0; // bytes from matrix to matrix
};

/// A weight (rows, width) in memory.
struct Matrix {
  Format format;
  int64_t rows = 0; // M
  int64_t width = 0; // K
  std::array<MatrixPart, lang::kMostParts> parts; // in the format's order

  /// Bytes read for one row.
  int64_t row_bytes() const {
    int64_t bytes = 0;
    for (size_t p = 0; p < lang::row_of(format.format).parts.size(); ++p) {
      bytes += lang::columns(format.weight(), p, width) *
          static_cast<int64_t>(lang::size_of(format.type_of(p)));
    }
    return bytes;
  }
  /// One of several matrices.
  Matrix expert(int64_t number) const {
    Matrix one = *this;
    for (MatrixPart& part : one.parts) {
      part.data += number * part.expert_stride;
    }
    return one;
  }
};

} // namespace zmlx::backend::stages
