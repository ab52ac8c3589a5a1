#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/peer/values.h"
#include "zmlx/lang/program.h"

namespace zmlx::test_peer {

/// The value of an instruction along one row: an element a place, or one for
/// all places.
class Register {
 public:
  Register() = default;
  Register(lang::Type type, bool uniform, int64_t width)
      : type_(type),
        uniform_(uniform),
        bytes_(static_cast<size_t>(uniform ? 1 : width) * 8) {}

  lang::Type type() const {
    return type_;
  }
  bool uniform() const {
    return uniform_;
  }
  /// How many values there are: 1 where it is uniform.
  int64_t count() const {
    return static_cast<int64_t>(bytes_.size() / 8);
  }

  template <typename T>
  T get(int64_t place) const {
    T value;
    std::memcpy(&value, &bytes_[index(place)], sizeof(value));
    return value;
  }
  template <typename T>
  void set(int64_t place, T value) {
    std::memcpy(&bytes_[index(place)], &value, sizeof(value));
  }

  /// As a number of another type.
  template <typename To>
  To as(int64_t place) const {
    return with_register_type(type_, [&](auto zero) {
      return convert<To>(get<decltype(zero)>(place));
    });
  }

 private:
  size_t index(int64_t place) const {
    return uniform_ ? 0 : static_cast<size_t>(place) * 8;
  }

  lang::Type type_ = lang::Type::F32;
  bool uniform_ = true;
  std::vector<std::byte> bytes_;
};

/// What an instruction makes of its operands, place by place: every operation
/// that needs nothing but values (lang::OpKind::Map).
void compute(
    const lang::Instruction& instruction,
    const Register* const* operands,
    Register& result);

/// A reduction over `width` places; a uniform value counts at each of them.
Register reduce(lang::Op op, const Register& value, int64_t width);

/// A running sum, in float64 where the values are floats.
void scan(lang::ScanOrder order, const Register& value, Register& result);

} // namespace zmlx::test_peer
