#pragma once

#include "tests/peer/values.h"
#include "zmlx/backend/backend.h"

namespace zmlx::test_peer {

/// A view whose memory the peer has found. `data` is element 0.
struct Array {
  std::byte* data = nullptr;
  lang::Type type = lang::Type::F32;
  lang::Shape shape;
  lang::Strides strides; // in elements

  int64_t item() const {
    return static_cast<int64_t>(lang::size_of(type));
  }
};

/// Finds a view's memory, where its `at` says now.
Array find_array(const backend::View& view);

/// Elements of an array seen from a space of places to which it broadcasts
/// (axes right-aligned, as MLX does).
class Walk {
 public:
  /// InternalError where the shape does not broadcast to the space.
  Walk(const Array& array, const lang::Shape& space);

  /// Elements from element 0 to that of a place, by row-major number.
  int64_t offset(int64_t place) const;
  std::byte* at(int64_t place) const {
    return data_ + offset(place) * item_;
  }
  /// The same of a place of a row, also where rows have no places.
  int64_t offset(int64_t row, int64_t place) const;
  std::byte* at(int64_t row, int64_t place) const {
    return data_ + offset(row, place) * item_;
  }
  lang::Type type() const {
    return type_;
  }

 private:
  std::byte* data_;
  lang::Type type_;
  int64_t item_;
  lang::Shape space_;
  lang::Strides strides_;
};

lang::Strides row_major(const lang::Shape& shape);

} // namespace zmlx::test_peer
