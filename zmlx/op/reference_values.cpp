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

mx::Dtype Conversions::common(const Value& a, const Value& b) const {
  const auto ta = own_type(a), tb = own_type(b);
  if (a.constant && !b.constant &&
      (a.constant->integer || mx::issubdtype(tb, mx::floating))) {
    return tb;
  }
  if (b.constant && !a.constant &&
      (b.constant->integer || mx::issubdtype(ta, mx::floating))) {
    return ta;
  }
  return compute(lang::promote(to_lang(ta), to_lang(tb)));
}

mx::array Conversions::array_of(const Value& v, std::optional<mx::Dtype> type)
    const {
  const auto want = type.value_or(own_type(v));
  return v.constant ? mx::array(v.constant->value, want) : converted(v.a, want);
}

mx::array Conversions::floating(const Value& v) const {
  const auto type = own_type(v);
  return array_of(v, mx::issubdtype(type, mx::floating) ? type : float_type());
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
