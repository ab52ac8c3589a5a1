#include "zmlx/backend/stages/product/cpu_experts.h"

#include <cstring>
#include <limits>
#include <utility>

#include "zmlx/base/errors.h"

namespace zmlx::backend::stages {
namespace {

lang::Shape rows_of(lang::Shape space) {
  space.back() = 1;
  return space;
}

/// As it meets the space: (..., 1).
View one_per_row(View view) {
  view.shape.push_back(1);
  view.strides.push_back(0);
  return view;
}

template <typename T>
int64_t load(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  // What int64 cannot hold is out of range in any case.
  return std::in_range<int64_t>(value) ? static_cast<int64_t>(value)
                                       : std::numeric_limits<int64_t>::max();
}

int64_t load(lang::Type type, const char* from) {
  switch (type) {
    case lang::Type::U8:
      return load<uint8_t>(from);
    case lang::Type::I8:
      return load<int8_t>(from);
    case lang::Type::U16:
      return load<uint16_t>(from);
    case lang::Type::I16:
      return load<int16_t>(from);
    case lang::Type::U32:
      return load<uint32_t>(from);
    case lang::Type::I32:
      return load<int32_t>(from);
    case lang::Type::U64:
      return load<uint64_t>(from);
    default:
      return load<int64_t>(from);
  }
}

} // namespace

Experts::Experts(
    const View& view,
    const lang::Shape& space,
    int matrices,
    int64_t count)
    : rows_(one_per_row(view), rows_of(space), "product: which matrix"),
      matrices_(matrices),
      count_(count) {
  if (!lang::is_integer(view.type)) {
    throw internal_error(
        "product: which matrix is a number of type {}",
        lang::name_of(view.type));
  }
}

std::optional<int64_t> Experts::of(int64_t row, cpu::FaultCell& faults)
    const noexcept {
  const int64_t number = load(rows_.type(), rows_.at(row));
  if (number >= 0 && number < count_) {
    return number;
  }
  faults.record({number, count_, true, false, matrices_});
  return {};
}

} // namespace zmlx::backend::stages
