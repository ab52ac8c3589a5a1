#pragma once

#include <cstddef>
#include <cstdint>

#include "zmlx/lang/type.h"

namespace zmlx::backend::stages {

// The raw attention of a chunk of keys on the CPU; the instruction set is
// chosen at run time.

/// Length in floats of a query and of an accumulator: `dim` rounded up to whole
/// vectors of any target.
inline int64_t padded_dim(int64_t dim) {
  return (dim + 15) / 16 * 16;
}

/// The softmax of some keys for one query, not yet divided by its sum:
/// sum_j exp(s_j - most) v_j in the first `dim` floats, then, from padded_dim
/// on, `most` and sum_j exp(s_j - most).
inline int64_t partial_size(int64_t dim) {
  return padded_dim(dim) + 16;
}

/// Adjacent keys of one key head and their values.
struct Keys {
  lang::Type type; // f32, f16 or bf16
  const std::byte* k;
  const std::byte* v;
  int64_t k_stride; // bytes from key to key
  int64_t v_stride;
  int64_t count;
};

/// For each of `heads` queries (heads, padded_dim), scaled, zero-padded and
/// 64-byte aligned, the partial result over these keys: (heads, partial_size),
/// aligned likewise.
void attend(
    const Keys& keys,
    const float* queries,
    int64_t heads,
    int64_t dim,
    float* partials);

/// Joins `count` partial results, `stride` floats apart, in their order, and
/// divides: out (dim).
void join_partials(
    const float* partials,
    int64_t count,
    int64_t stride,
    int64_t dim,
    float* out);

} // namespace zmlx::backend::stages
