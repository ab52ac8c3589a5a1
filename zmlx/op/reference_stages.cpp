#include "zmlx/op/reference_stages.h"

#include <limits>

#include "zmlx/base/errors.h"
#include "zmlx/op/exact.h"

namespace zmlx::op {

namespace {

// The codes of an affine packing, a little-endian stream of `bits` bits each,
// read by arithmetic alone so that it is no copy of anyone's kernel.
mx::array codes(const mx::array& w, int bits, mx::Stream s) {
  const int words = w.shape(-1);
  const int count = static_cast<int>(int64_t{words} * 32 / bits);
  std::vector<int32_t> word(count), next(count);
  std::vector<uint64_t> shift(count);
  for (int64_t i = 0; i < count; ++i) {
    word[i] = static_cast<int32_t>(i * bits / 32);
    next[i] = std::min(word[i] + 1, words - 1);
    shift[i] = static_cast<uint64_t>(i * bits % 32);
  }
  auto wide = mx::astype(w, mx::uint64, s);
  auto low = mx::take(wide, mx::array(word.data(), {count}), -1, s);
  auto high = mx::take(wide, mx::array(next.data(), {count}), -1, s);
  auto pair =
      mx::bitwise_or(low, mx::left_shift(high, mx::array(uint64_t{32}), s), s);
  auto shifted =
      mx::right_shift(pair, mx::array(shift.data(), {count}, mx::uint64), s);
  return mx::bitwise_and(shifted, mx::array((uint64_t{1} << bits) - 1), s);
}

mx::array exponential(const mx::array& x, mx::Stream s) {
  return x.dtype() == mx::float64 ? exact(lang::Op::Exp, x, s) : mx::exp(x, s);
}

} // namespace

mx::array unpacked(
    const lang::Weight& weight,
    const std::vector<mx::array>& inputs,
    mx::Dtype compute,
    mx::Stream s) {
  const auto& w = inputs.at(weight.w);
  if (weight.format == lang::WeightFormat::Dense) {
    return mx::astype(w, compute, s);
  }
  auto scales = mx::astype(inputs.at(weight.scales), compute, s);
  auto biases = mx::astype(inputs.at(weight.biases), compute, s);
  if (compute == mx::float32) {
    return mx::dequantize(
        w,
        scales,
        biases,
        weight.group_size,
        weight.bits,
        "affine",
        std::nullopt,
        std::nullopt,
        s);
  }
  auto q = mx::astype(codes(w, weight.bits, s), compute, s);
  auto a = mx::repeat(scales, weight.group_size, -1, s);
  auto b = mx::repeat(biases, weight.group_size, -1, s);
  return mx::add(mx::multiply(q, a, s), b, s);
}

mx::array attend(
    const mx::array& q,
    const mx::array& k,
    const mx::array& v,
    const mx::array& length,
    double scale,
    mx::Dtype compute,
    mx::Stream s) {
  const int batch = q.shape(0), heads = q.shape(1), dim = q.shape(3);
  const int kv_heads = k.shape(1), capacity = k.shape(2);
  auto queries = mx::reshape(
      mx::astype(q, compute, s), {batch, kv_heads, heads / kv_heads, dim}, s);
  auto there = mx::less(
      mx::arange(0, capacity, 1, mx::int32, s),
      mx::astype(length, mx::int32, s),
      s);
  auto scores = mx::multiply(
      mx::matmul(
          queries, mx::swapaxes(mx::astype(k, compute, s), -1, -2, s), s),
      mx::array(scale, compute),
      s);
  scores = mx::where(
      there,
      scores,
      mx::array(-std::numeric_limits<double>::infinity(), compute),
      s);
  auto weights = exponential(
      mx::subtract(
          scores, mx::stop_gradient(mx::max(scores, -1, true, s), s), s),
      s);
  weights = mx::divide(weights, mx::sum(weights, -1, true, s), s);
  // What lies beyond `length` is never read, not even times zero.
  auto values = mx::where(
      mx::reshape(there, {capacity, 1}, s),
      mx::astype(v, compute, s),
      mx::array(0.0, compute),
      s);
  return mx::reshape(
      mx::matmul(weights, values, s), {batch, heads, 1, v.shape(3)}, s);
}

} // namespace zmlx::op
