// What becomes of the values of a pass.
#include "tests/peer/passes.h"
#include "zmlx/base/errors.h"
#include "zmlx/lang/space.h"

namespace zmlx::test_peer {

void PassRunner::store(
    const lang::Store& store,
    const Register& value,
    int64_t row) {
  Array to = bound_.outputs[store.output];
  const auto set = [&](int64_t place, std::byte* at) {
    with_register_type(value.type(), [&](auto zero) {
      write(to.type, value.get<decltype(zero)>(place), at);
    });
  };
  if (!store.one_per_row) {
    const Walk walk(to, space_);
    for (int64_t place = 0; place < width(); ++place) {
      set(place, walk.at(row, place));
    }
    return;
  }
  if (to.shape.size() == space_.size()) { // (rows..., 1)
    to.shape.pop_back();
    to.strides.pop_back();
  }
  set(0, Walk(to, row_space()).at(row));
}

std::optional<int64_t> PassRunner::target_of(
    const lang::Store& store,
    const Register& name,
    bool given) {
  const auto target = name.as<int64_t>(0);
  const auto& shape = bound_.outputs[store.output].shape;
  const int64_t rows = lang::count({shape.data(), shape.size() - 1});
  if (target >= 0 && target < rows) {
    return target;
  }
  if (given) {
    record({target, rows, true, true, store.output});
  }
  return std::nullopt;
}

/// Adds a row's values to the elements of an output that they are broadcast
/// from: those of row `target` where there is one.
void PassRunner::add(
    const lang::Store& store,
    const Register& value,
    int64_t row,
    std::optional<int64_t> target) {
  const Array& to = bound_.outputs[store.output];
  Array sums{nullptr, to.type, to.shape, row_major(to.shape)};
  int64_t first = 0;
  if (target) {
    first = *target * to.shape.back();
    sums.shape = {to.shape.back()};
    sums.strides = {1};
  }
  auto& [real, whole] = sums_[store.output];
  const auto count = static_cast<size_t>(lang::count(to.shape));
  const bool floats = lang::is_float(value.type());
  real.resize(floats ? count : 0);
  whole.resize(floats ? 0 : count);
  const auto put = [&](int64_t place, int64_t element) {
    if (floats) {
      real.at(element) += value.as<double>(place);
    } else {
      with_register_type(value.type(), [&](auto zero) {
        whole.at(element) +=
            static_cast<uint64_t>(value.get<decltype(zero)>(place));
      });
    }
  };
  if (store.one_per_row) {
    return put(0, Walk(sums, row_space()).offset(row));
  }
  const Walk walk(sums, space_);
  for (int64_t place = 0; place < width(); ++place) {
    put(place, first + walk.offset(row, place));
  }
}

void PassRunner::finish() {
  for (const auto& pass : bound_.program.row.passes) {
    for (const auto& store : pass.stores) {
      if (store.into == lang::Into::Place) {
        continue;
      }
      const Array& to = bound_.outputs[store.output];
      const Walk walk(to, to.shape);
      const auto type = pass.code[store.value].type;
      const bool wraps_unsigned =
          type == lang::Type::U32 || type == lang::Type::U64;
      const auto& [real, whole] = sums_[store.output];
      for (int64_t i = 0; i < lang::count(to.shape); ++i) {
        const auto at = static_cast<size_t>(i);
        if (lang::is_float(type)) {
          write(to.type, real.empty() ? 0.0 : real[at], walk.at(i));
          continue;
        }
        const uint64_t sum = whole.empty() ? 0 : whole[at];
        if (wraps_unsigned) {
          write(to.type, sum, walk.at(i));
        } else {
          write(to.type, static_cast<int64_t>(sum), walk.at(i));
        }
      }
    }
  }
}

} // namespace zmlx::test_peer
