#include "zmlx/nn/cache.h"

#include "zmlx/base/errors.h"

namespace zmlx::nn {

namespace {

mx::array first_positions(const mx::array& a, int n) {
  return mx::slice(a, {0, 0, 0, 0}, {a.shape(0), a.shape(1), n, a.shape(3)});
}

mx::array zero_blocks(const mx::array& like, int step) {
  const int blocks = (like.shape(2) + step - 1) / step;
  return mx::zeros(
      {like.shape(0), like.shape(1), blocks * step, like.shape(3)},
      like.dtype());
}

// The old array must have no other owner when the graph runs, so that the
// update happens in its buffer: hence the move out of `held`.
void write(std::optional<mx::array>& held, const mx::array& update, int at) {
  mx::array old = std::move(*held);
  held.reset();
  const mx::Shape start{0, 0, at, 0};
  const mx::Shape stop{
      old.shape(0), old.shape(1), at + update.shape(2), old.shape(3)};
  held = mx::slice_update(old, update, start, stop);
}

} // namespace

Position GrowingKVCache::offset() const {
  return offset_;
}

void GrowingKVCache::grow(const mx::array& keys, const mx::array& values) {
  auto more_keys = zero_blocks(keys, step);
  auto more_values = zero_blocks(values, step);
  if (!keys_) {
    keys_ = more_keys;
    values_ = more_values;
    return;
  }
  if (offset_ % step != 0) {
    keys_ = first_positions(*keys_, offset_);
    values_ = first_positions(*values_, offset_);
  }
  keys_ = mx::concatenate({*keys_, more_keys}, 2);
  values_ = mx::concatenate({*values_, more_values}, 2);
}

std::pair<mx::array, mx::array> GrowingKVCache::update_and_fetch(
    const mx::array& keys,
    const mx::array& values) {
  const int count = keys.shape(2);
  if (!keys_ || offset_ + count > keys_->shape(2)) {
    grow(keys, values);
  }
  write(keys_, keys, offset_);
  write(values_, values, offset_);
  offset_ += count;
  return {first_positions(*keys_, offset_), first_positions(*values_, offset_)};
}

void GrowingKVCache::trim(int n) {
  if (n < 0 || n > offset_) {
    throw user_error(
        "trim: cannot forget {} tokens of a cache that holds {}", n, offset_);
  }
  offset_ -= n;
}

std::vector<mx::array> GrowingKVCache::arrays() const {
  if (!keys_) {
    return {};
  }
  return {*keys_, *values_};
}

} // namespace zmlx::nn
