#pragma once

#include <optional>
#include <vector>

#include "tests/fuzz/whole.h"
#include "zmlx/lang/kernel.h"

namespace zmlx::fuzz {

/// The places at which a body is evaluated, row-major, its last axis the row,
/// and which element of an input each of them reads.
class Places {
 public:
  /// InternalError where the inputs do not broadcast.
  Places(const lang::Body& body, std::vector<lang::Shape> inputs);

  size_t count() const {
    return count_;
  }
  size_t width() const {
    return width_;
  }
  size_t rows() const {
    return width_ == 0 ? 0 : count_ / width_;
  }

  /// The element of an input that broadcasts, one per place; of an input with
  /// rows of its own (a Row, a Table) the first of its row.
  const std::vector<size_t>& of_input(int input) const {
    return elements_.at(input);
  }
  /// Element `at` of the input's own row here; nothing outside.
  std::optional<size_t> of_row(int input, size_t place, Wide at) const;
  /// The element at this place in row `row` of a table; nothing outside.
  std::optional<size_t> of_table(int input, size_t place, Wide row) const;

  int64_t extent(int input, int axis) const;

 private:
  std::vector<size_t> elements_of(lang::Shape shape, bool row_starts) const;

  std::vector<lang::Shape> inputs_;
  lang::Shape space_;
  size_t count_ = 1;
  size_t width_ = 1;
  std::vector<std::vector<size_t>> elements_;
  std::vector<std::vector<size_t>> row_starts_;
};

} // namespace zmlx::fuzz
