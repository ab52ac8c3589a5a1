// What stands around a rotation when a model decodes.

#include "zmlx/kernels/rope_cache.h"

#include "tests/kernels/against.h"
#include "zmlx/base/errors.h"

namespace zmlx::kernels {

namespace {

using namespace test;

// Gradients of tables are added up from those of several kernels, each rounded:
// narrow types would show that, not these kernels.
const std::vector<mx::Dtype> kWide{mx::float32, mx::float64};

mx::array at_positions(const mx::array& table, const mx::array& position) {
  return mx::expand_dims(mx::take(table, position, 0), 1);
}

// A cache (B, S, H, D) with `token` (B, H, D) at position[b], by comparison.
mx::array written(
    const mx::array& cache,
    const mx::array& token,
    const mx::array& position) {
  const auto here = mx::equal(
      mx::arange(0, cache.shape(1), 1, mx::int32),
      mx::expand_dims(position, 1));
  return mx::where(
      mx::reshape(here, {cache.shape(0), cache.shape(1), 1, 1}),
      mx::expand_dims(token, 1),
      cache);
}

TEST(RopeAndCacheUpdate, ValuesAndGradients) {
  const mx::array position({4, 0, 2});
  expect_values_and_gradients(
      [&](const Arrays& in) {
        return rope_and_cache_update(
            in[0], in[1], in[2], in[3], in[4], in[5], in[6], position);
      },
      [&](const Arrays& in) {
        const auto c = at_positions(in[3], position);
        const auto s = at_positions(in[4], position);
        return Arrays{
            rotated_with_mlx(in[0], c, s, false),
            written(in[5], rotated_with_mlx(in[1], c, s, false), position),
            written(in[6], in[2], position)};
      },
      {normal({3, 4, 8}, 1),
       normal({3, 2, 8}, 2),
       normal({3, 2, 8}, 3),
       normal({5, 3}, 4), // the last two elements stay
       normal({5, 3}, 5),
       normal({3, 5, 2, 8}, 6),
       normal({3, 5, 2, 8}, 7)},
      measure::OpClass::row,
      kWide);
  for (const char* kernel : {"apply_rope", "cache_update"}) {
    EXPECT_EQ(gradient_fallbacks(kernel), 0) << kernel;
  }
}

TEST(RopeAndCacheUpdate, OutsideTheCacheNothingChanges) {
  const auto q = normal({1, 2, 4}, 1), k = normal({1, 2, 4}, 2);
  const auto table = normal({3, 2}, 3), cache = normal({1, 3, 2, 4}, 4);
  for (int offset : {-1, 3, 1 << 20}) {
    const auto out =
        rope_and_cache_update(q, k, k, table, table, cache, cache, offset);
    expect_same_bits(out[1], cache);
    expect_same_bits(out[2], cache);
  }
}

TEST(RopeAndCacheUpdate, WrongRanksAndOffsetsAreNamed) {
  const auto q = mx::zeros({2, 1, 4}), table = mx::zeros({3, 2});
  const auto cache = mx::zeros({2, 3, 1, 4});
  EXPECT_THROW(
      rope_and_cache_update(q, q, q, table, table, q, cache, 0), UserError);
  try {
    rope_and_cache_update(
        q, q, q, table, table, cache, cache, mx::array({0, 1, 2}));
    FAIL();
  } catch (const UserError& error) {
    EXPECT_EQ(
        std::string(error.what()),
        "rope_and_cache_update: offset: expected an integer or 2 of them, got "
        "shape (3)");
  }
}

TEST(PagedRopeAndCacheUpdate, ValuesAndGradients) {
  const mx::array position({5, 0, 3}); // blocks of 4
  const mx::array block_table({6, 2, 0, 4, 3, 1}, {3, 2});
  // The places that these are: 2 * 4 + 1, 0 * 4 + 0, 3 * 4 + 3.
  const mx::array place({9, 0, 15});
  const auto into = [&](const mx::array& cache, const mx::array& token) {
    auto flat = mx::reshape(cache, {1, 28, 2, 8});
    for (int b = 0; b < 3; ++b) {
      flat = written(
          flat,
          mx::slice(token, {b, 0, 0}, {b + 1, 2, 8}),
          mx::slice(place, {b}, {b + 1}));
    }
    return mx::reshape(flat, cache.shape());
  };
  expect_values_and_gradients(
      [&](const Arrays& in) {
        return paged_rope_and_cache_update(
            in[0],
            in[1],
            in[2],
            in[3],
            in[4],
            in[5],
            in[6],
            position,
            block_table);
      },
      [&](const Arrays& in) {
        const auto c = at_positions(in[3], position);
        const auto s = at_positions(in[4], position);
        return Arrays{
            rotated_with_mlx(in[0], c, s, false),
            into(in[5], rotated_with_mlx(in[1], c, s, false)),
            into(in[6], in[2])};
      },
      {normal({3, 4, 8}, 1),
       normal({3, 2, 8}, 2),
       normal({3, 2, 8}, 3),
       normal({8, 4}, 4),
       normal({8, 4}, 5),
       normal({7, 4, 2, 8}, 6),
       normal({7, 4, 2, 8}, 7)},
      measure::OpClass::row,
      kWide);
  EXPECT_EQ(gradient_fallbacks("paged_cache_update"), 0);
}

TEST(PagedRopeAndCacheUpdate, WithoutTokensNothingChanges) {
  const auto none = mx::zeros({0, 2, 4}), table = normal({3, 2}, 1);
  const auto cache = normal({3, 4, 2, 4}, 2);
  const auto out = paged_rope_and_cache_update(
      none,
      none,
      none,
      table,
      table,
      cache,
      cache,
      mx::zeros({0}, mx::int32),
      mx::zeros({0, 1}, mx::int32));
  EXPECT_EQ(out[0].shape(), none.shape());
  expect_same_bits(out[1], cache);
}

TEST(RopeConcat, ValuesAndGradients) {
  const mx::array position({2, 0});
  expect_values_and_gradients(
      [&](const Arrays& in) {
        return rope_concat_qk_decode(
            in[0], in[1], in[2], in[3], in[4], in[5], position);
      },
      [&](const Arrays& in) {
        const auto c = mx::expand_dims(at_positions(in[4], position), 1);
        const auto s = mx::expand_dims(at_positions(in[5], position), 1);
        return Arrays{
            mx::concatenate({in[0], rotated_with_mlx(in[1], c, s, true)}, -1),
            mx::concatenate({in[2], rotated_with_mlx(in[3], c, s, true)}, -1)};
      },
      {normal({2, 3, 1, 7}, 1),
       normal({2, 3, 1, 6}, 2),
       normal({2, 1, 1, 7}, 3),
       normal({2, 1, 1, 6}, 4),
       normal({4, 3}, 5),
       normal({4, 3}, 6)},
      measure::OpClass::row,
      kWide);
  EXPECT_EQ(gradient_fallbacks("rope_concat"), 0);
}

TEST(RopeConcat, OneOffsetForAllTokens) {
  const auto q = normal({2, 3, 1, 4}, 1), table = normal({9, 2}, 2);
  const auto one = rope_concat_qk_decode(q, q, q, q, table, table, 7);
  const auto each =
      rope_concat_qk_decode(q, q, q, q, table, table, mx::array({7, 7}));
  expect_same_bits(one[0], each[0]);
  expect_same_bits(one[1], each[1]);
}

} // namespace

} // namespace zmlx::kernels
