#include "zmlx/op/reference_stages.h"

#include <limits>

#include "zmlx/base/errors.h"
#include "zmlx/op/exact.h"
#include "zmlx/op/reference_reads.h"

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

// What the elements of a part stand for, in its own shape but for codes, which
// become numbers each.
mx::array values_of(
    const lang::FormatPart& part,
    const mx::array& stored,
    int bits,
    mx::Dtype compute,
    mx::Stream s) {
  const bool packed = part.use == lang::PartUse::Codes;
  const auto a = packed ? codes(stored, bits, s) : stored;
  if (part.value == nullptr) {
    return mx::astype(a, compute, s);
  }
  const int width =
      packed ? bits : 8 * static_cast<int>(lang::size_of(*part.type));
  if (width > 16) {
    throw internal_error("reference: a table of {} bits", width);
  }
  std::vector<double> table(size_t{1} << width);
  for (size_t i = 0; i < table.size(); ++i) {
    table[i] = part.value(static_cast<uint32_t>(i), bits);
  }
  const auto values = mx::astype(
      mx::array(table.begin(), {static_cast<int>(table.size())}, mx::float64),
      compute,
      mx::Device::cpu);
  return mx::take(values, mx::astype(a, mx::uint32, s), s);
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
  const auto numbers = lang::parts_of(weight);
  const auto in = [&](size_t part) { return inputs.at(numbers[part]); };
  if (weight.format == lang::WeightFormat::Affine && compute == mx::float32) {
    return mx::dequantize(
        in(0),
        mx::astype(in(1), compute, s),
        mx::astype(in(2), compute, s),
        weight.group_size,
        weight.bits,
        "affine",
        std::nullopt,
        std::nullopt,
        s);
  }
  auto all = mx::array(0.0, compute);
  for (size_t p = 0; p < numbers.size(); ++p) {
    const auto& part = lang::row_of(weight.format).parts[p];
    auto value = values_of(part, in(p), weight.bits, compute, s);
    if (part.use == lang::PartUse::Scales) {
      all = mx::multiply(all, mx::repeat(value, weight.group_size, -1, s), s);
    } else if (part.use == lang::PartUse::Biases) {
      all = mx::add(all, mx::repeat(value, weight.group_size, -1, s), s);
    } else {
      all = value;
    }
  }
  return all;
}

mx::array times_weight(
    const mx::array& row,
    const lang::Weight& weight,
    const std::vector<mx::array>& inputs,
    mx::Dtype compute,
    mx::Stream s) {
  const auto& codes = inputs.at(lang::parts_of(weight)[0]);
  if (codes.size() == 0) { // MLX's CUDA divides by zero where it unpacks none
    auto shape = row.shape();
    shape.back() = codes.shape(-2);
    return mx::zeros(shape, compute, s);
  }
  const auto w = mx::swapaxes(unpacked(weight, inputs, compute, s), -1, -2, s);
  if (weight.experts < 0) {
    return mx::matmul(row, w, s);
  }
  const int count = w.shape(0), width = w.shape(1), places = w.shape(2);
  auto shape = row.shape();
  shape.back() = places;
  const auto& experts = inputs.at(weight.experts);
  const auto at = row_numbers(mx::expand_dims(experts, -1, s), row.shape(), s);
  const auto inside = is_inside(at, count, s);
  const auto known = mx::where(inside, at, mx::array(0, at.dtype()), s);
  const auto rows = mx::reshape(row, {at.shape(0), 1, width}, s);
  const auto y = mx::matmul(rows, mx::take(w, known, 0, s), s);
  return mx::reshape(
      mx::where(
          mx::reshape(inside, {at.shape(0), 1, 1}, s),
          y,
          mx::array(0.0, compute),
          s),
      shape,
      s);
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
