#pragma once

#include <cstdint>

#include "zmlx/backend/cpu/access.h"
#include "zmlx/backend/cpu/vector.h"

namespace zmlx::backend::cpu {

/// Adjacent 8-byte sums (doubles, or int64_t and uint64_t for integers) that
/// become elements of an output.
class SumOutput {
 public:
  /// `from`: the type of the values that were added.
  SumOutput(const View& output, lang::Type from)
      : access_(output, output.shape, "vector program: sums"),
        store_(find_store(sum_type(from), output.type, false)) {
    for (int64_t extent : output.shape) {
      size_ *= extent;
    }
  }

  int64_t size() const {
    return size_;
  }

  /// Elements first .. first + n, in row-major order.
  void store(int64_t first, int64_t n, const void* sums) const noexcept {
    const auto* from = static_cast<const char*>(sums);
    access_.for_runs(first, n, [&](char* to, int64_t run) {
      const auto count = static_cast<size_t>(run);
      store_({to, access_.stride(), from, ~size_t{0}, count});
      from += run * 8;
    });
  }

 private:
  static lang::Type sum_type(lang::Type from) {
    using lang::Type;
    const Type type = register_type(from);
    return lang::is_float(type)                  ? Type::F64
        : type == Type::U32 || type == Type::U64 ? Type::U64
                                                 : Type::I64;
  }

  Access access_;
  StoreOp store_;
  int64_t size_ = 1;
};

} // namespace zmlx::backend::cpu
