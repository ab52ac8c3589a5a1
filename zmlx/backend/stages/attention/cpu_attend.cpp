#include "zmlx/backend/stages/attention/cpu_attend.h"

#include <algorithm>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "zmlx/backend/stages/attention/cpu_attend.cpp"
#include "zmlx/backend/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

#include "zmlx/backend/stages/cpu_load-inl.h"

HWY_BEFORE_NAMESPACE();
namespace zmlx::backend::stages::HWY_NAMESPACE {

// Keys whose values stay in L1 while all heads read them.
inline constexpr int64_t kTileKeys = 64;

constexpr float kNegativeInfinity = -std::numeric_limits<float>::infinity();

HWY_INLINE V exp_of(F d, V x) {
  // Highway's Exp makes 0 of NaN.
  return hn::IfThenElse(hn::IsNaN(x), x, hn::Exp(d, x));
}

/// exp(from - base), where a maximum of nothing (-inf) weighs nothing.
HWY_INLINE float weight_of(float most, float base) {
  const F d;
  return hn::GetLane(exp_of(d, hn::Set(d, most - base)));
}

/// What exponents are taken relative to: the maximum where there is one.
HWY_INLINE float base_of(float most) {
  return most == kNegativeInfinity ? 0.f : most;
}

template <typename T>
HWY_INLINE const T* row_of(const std::byte* rows, int64_t stride, int64_t j) {
  return reinterpret_cast<const T*>(rows + j * stride);
}

/// Dot products of a query with J keys.
template <typename T, int J>
HWY_INLINE void score_keys(
    const Keys& keys,
    int64_t first,
    const float* query,
    int64_t dim,
    float* scores) {
  const F d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const T* k[J];
  V sum[J];
  for (int j = 0; j < J; ++j) {
    k[j] = row_of<T>(keys.k, keys.k_stride, first + j);
    sum[j] = hn::Zero(d);
  }
  int64_t i = 0;
  for (; i + lanes <= dim; i += lanes) {
    const V q = hn::Load(d, query + i);
    for (int j = 0; j < J; ++j) {
      sum[j] = hn::MulAdd(q, load(d, k[j] + i), sum[j]);
    }
  }
  if (i < dim) {
    const V q = hn::Load(d, query + i);
    for (int j = 0; j < J; ++j) {
      const V last = load_first(d, k[j] + i, static_cast<size_t>(dim - i));
      sum[j] = hn::MulAdd(q, last, sum[j]);
    }
  }
  for (int j = 0; j < J; ++j) {
    scores[j] = hn::GetLane(hn::SumOfLanes(d, sum[j]));
  }
}

/// Adds the weighted values of a tile to S vectors of the accumulator.
template <typename T, int S>
HWY_INLINE void add_values(
    const Keys& keys,
    int64_t first,
    int64_t count,
    const float* weights,
    float rescale,
    int64_t at,
    size_t valid, // lanes; fewer than a vector only where S is 1
    float* accumulator) {
  const F d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  V sum[S];
  for (int s = 0; s < S; ++s) {
    sum[s] =
        hn::Mul(hn::Load(d, accumulator + at + s * lanes), hn::Set(d, rescale));
  }
  for (int64_t j = 0; j < count; ++j) {
    const T* v = row_of<T>(keys.v, keys.v_stride, first + j) + at;
    const V weight = hn::Set(d, weights[j]);
    for (int s = 0; s < S; ++s) {
      const V value = S > 1 || valid == hn::Lanes(d) ? load(d, v + s * lanes)
                                                     : load_first(d, v, valid);
      sum[s] = hn::MulAdd(weight, value, sum[s]);
    }
  }
  for (int s = 0; s < S; ++s) {
    hn::Store(sum[s], d, accumulator + at + s * lanes);
  }
}

/// Turns the scores of a tile into weights; returns their maximum with `most`
/// and adds the weights to `total`, rescaled.
HWY_INLINE float soften(
    float* scores, // kTileKeys, -inf from the count on
    float most,
    float& rescale,
    float& total) {
  const F d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  V largest = hn::Set(d, most);
  for (int64_t j = 0; j < kTileKeys; j += lanes) {
    largest = hn::Max(largest, hn::Load(d, scores + j));
  }
  const float now = hn::GetLane(hn::MaxOfLanes(d, largest));
  const float base = base_of(now);
  V sum = hn::Zero(d);
  for (int64_t j = 0; j < kTileKeys; j += lanes) {
    const V weight =
        exp_of(d, hn::Sub(hn::Load(d, scores + j), hn::Set(d, base)));
    hn::Store(weight, d, scores + j);
    sum = hn::Add(sum, weight);
  }
  rescale = weight_of(most, base);
  total = total * rescale + hn::GetLane(hn::SumOfLanes(d, sum));
  return now;
}

/// One tile of keys for one query.
template <typename T>
void attend_tile(
    const Keys& keys,
    int64_t first,
    int64_t count,
    const float* query,
    int64_t dim,
    float* partial) {
  HWY_ALIGN float scores[kTileKeys];
  std::fill(scores + count, scores + kTileKeys, kNegativeInfinity);
  int64_t j = 0;
  for (; j + 4 <= count; j += 4) {
    score_keys<T, 4>(keys, first + j, query, dim, scores + j);
  }
  for (; j < count; ++j) {
    score_keys<T, 1>(keys, first + j, query, dim, scores + j);
  }
  float& most = partial[padded_dim(dim)];
  float& total = partial[padded_dim(dim) + 1];
  float rescale;
  most = soften(scores, most, rescale, total);
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(F()));
  int64_t i = 0;
  for (; i + 4 * lanes <= dim; i += 4 * lanes) {
    add_values<T, 4>(keys, first, count, scores, rescale, i, lanes, partial);
  }
  for (; i < dim; i += lanes) {
    add_values<T, 1>(
        keys,
        first,
        count,
        scores,
        rescale,
        i,
        static_cast<size_t>(std::min(lanes, dim - i)),
        partial);
  }
}

template <typename T>
void attend_type(
    const Keys& keys,
    const float* queries,
    int64_t heads,
    int64_t dim,
    float* partials) {
  for (int64_t h = 0; h < heads; ++h) {
    float* partial = partials + h * partial_size(dim);
    std::fill_n(partial, partial_size(dim), 0.f);
    partial[padded_dim(dim)] = kNegativeInfinity;
  }
  for (int64_t first = 0; first < keys.count; first += kTileKeys) {
    for (int64_t h = 0; h < heads; ++h) {
      attend_tile<T>(
          keys,
          first,
          std::min(kTileKeys, keys.count - first),
          queries + h * padded_dim(dim),
          dim,
          partials + h * partial_size(dim));
    }
  }
}

void Attend(
    const Keys& keys,
    const float* queries,
    int64_t heads,
    int64_t dim,
    float* partials) {
  if (keys.type == lang::Type::F32) {
    attend_type<float>(keys, queries, heads, dim, partials);
  } else if (keys.type == lang::Type::F16) {
    attend_type<hwy::float16_t>(keys, queries, heads, dim, partials);
  } else {
    attend_type<hwy::bfloat16_t>(keys, queries, heads, dim, partials);
  }
}

void JoinPartials(
    const float* partials,
    int64_t count,
    int64_t stride,
    int64_t dim,
    float* out) {
  float most = kNegativeInfinity;
  for (int64_t c = 0; c < count; ++c) {
    most = std::max(most, partials[c * stride + padded_dim(dim)]);
  }
  float total = 0;
  std::fill_n(out, dim, 0.f);
  for (int64_t c = 0; c < count; ++c) {
    const float* partial = partials + c * stride;
    const float weight = weight_of(partial[padded_dim(dim)], base_of(most));
    total += weight * partial[padded_dim(dim) + 1];
    for (int64_t i = 0; i < dim; ++i) {
      out[i] += weight * partial[i];
    }
  }
  for (int64_t i = 0; i < dim; ++i) {
    out[i] /= total;
  }
}

} // namespace zmlx::backend::stages::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zmlx::backend::stages {

HWY_EXPORT(Attend);
HWY_EXPORT(JoinPartials);

void attend(
    const Keys& keys,
    const float* queries,
    int64_t heads,
    int64_t dim,
    float* partials) {
  HWY_DYNAMIC_DISPATCH(Attend)(keys, queries, heads, dim, partials);
}

void join_partials(
    const float* partials,
    int64_t count,
    int64_t stride,
    int64_t dim,
    float* out) {
  HWY_DYNAMIC_DISPATCH(JoinPartials)(partials, count, stride, dim, out);
}

} // namespace zmlx::backend::stages
#endif
