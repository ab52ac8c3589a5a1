#include "zmlx/op/reference_values.h"

#include "zmlx/op/convert.h"

namespace zmlx::op {

mx::Dtype Conversions::compute(lang::Type type) const {
  type = lang::compute_type(type);
  if (precise() && lang::is_float(type)) {
    return mx::float64;
  }
  return to_mlx(type);
}

mx::Dtype Conversions::own_type(const Value& v) const {
  if (v.constant) {
    return v.constant->integer ? mx::int32 : wide_ ? mx::float64 : float_type();
  }
  return v.a.dtype();
}

mx::array Conversions::array_of(const Value& v, std::optional<mx::Dtype> type)
    const {
  const auto want = type.value_or(own_type(v));
  if (!v.constant) {
    return converted(v.a, want);
  }
  const double value = v.constant->value;
  return value < 0 && want == mx::uint64 // all bits of -1, as in C
      ? mx::array(static_cast<int64_t>(value), want)
      : mx::array(value, want);
}

mx::array Conversions::floating(const Value& v) const {
  const auto type = own_type(v);
  return array_of(v, mx::issubdtype(type, mx::floating) ? type : float_type());
}

mx::array Conversions::real(const Value& v) const {
  const auto type = own_type(v);
  const bool is_float = mx::issubdtype(type, mx::floating);
  return array_of(v, is_float ? type : wide_ ? mx::float64 : float_type());
}

mx::array Conversions::truth(const Value& v) const {
  const auto a = array_of(v);
  return mx::not_equal(a, mx::array(0, a.dtype()), s_);
}

// Integers made of floats are constants to derivatives: MLX would go on, and
// derives integer operations as if they were of floats.
Value Conversions::from_truth(const mx::array& b) const {
  return {mx::stop_gradient(mx::astype(b, mx::int32, s_), s_), {}};
}

mx::array Conversions::converted(const mx::array& x, mx::Dtype type) const {
  const bool steps = mx::issubdtype(x.dtype(), mx::floating) !=
      mx::issubdtype(type, mx::floating);
  return mx::astype(steps ? mx::stop_gradient(x, s_) : x, type, s_);
}

// A float of Precision::Double goes to a 16-bit one by way of float32, as
// everywhere else.
mx::array Conversions::stored(const mx::array& x, lang::Type type) const {
  const bool narrow = type == lang::Type::F16 || type == lang::Type::BF16;
  return converted(narrow ? mx::astype(x, mx::float32, s_) : x, to_mlx(type));
}

} // namespace zmlx::op
