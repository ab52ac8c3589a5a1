// Rotations by tables, against loops in double and MLX's derivatives.

#include "zmlx/kernels/rope.h"

#include "tests/kernels/against.h"
#include "zmlx/base/errors.h"

namespace zmlx::kernels {

namespace {

using namespace test;

mx::array table(const mx::Shape& shape, uint64_t seed) {
  return mx::random::uniform(
      -1., 1., shape, mx::float32, mx::random::key(seed));
}

// Rows of D, each rotated by row `row_of(row)` of tables with `half` columns.
template <typename RowOf>
std::vector<double> rotated_rows(
    std::vector<double> x,
    const std::vector<double>& cos,
    const std::vector<double>& sin,
    size_t width,
    size_t half,
    bool traditional,
    RowOf row_of) {
  for (size_t row = 0; row * width < x.size(); ++row) {
    double* y = x.data() + row * width;
    for (size_t j = 0; j < half; ++j) {
      double& a = y[traditional ? 2 * j : j];
      double& b = y[traditional ? 2 * j + 1 : j + half];
      const double c = cos[row_of(row) * half + j];
      const double s = sin[row_of(row) * half + j];
      std::tie(a, b) = std::pair{a * c - b * s, b * c + a * s};
    }
  }
  return x;
}

class TableRope : public testing::TestWithParam<std::tuple<int, bool>> {};

TEST_P(TableRope, ValuesAndGradientsOfXAndBothTables) {
  const auto [half, traditional] = GetParam();
  const auto& op = traditional ? apply_rope_interleaved : apply_rope;
  const auto rope = op.with({{"dims", 2 * half}});
  const bool interleaved = traditional;
  const auto x = normal({2, 3, 5, 32}, 1);
  const auto cos = table({5, half}, 2), sin = table({5, half}, 3);
  const auto want = rotated_rows(
      values(x),
      values(cos),
      values(sin),
      32,
      half,
      traditional,
      [](size_t row) { return row % 5; });
  expect_near(
      rope(x, cos, sin),
      mx::array(want.data(), {2, 3, 5, 32}, mx::float64),
      1e-6);
  expect_values_and_gradients(
      [&](const Arrays& in) { return Arrays{rope(in[0], in[1], in[2])}; },
      [&](const Arrays& in) {
        return Arrays{rotated_with_mlx(in[0], in[1], in[2], interleaved)};
      },
      {x, cos, sin});
  EXPECT_EQ(gradient_fallbacks(op.name()), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Pairs,
    TableRope,
    testing::Combine(testing::Values(16, 12, 1), testing::Bool()));

TEST(GqaRope, PositionsAreTheSecondAxis) {
  // As many positions as heads: a table that met the heads would go unseen.
  const auto x = normal({2, 5, 5, 16}, 1);
  const auto cos = table({5, 8}, 2), sin = table({5, 8}, 3);
  const auto want = rotated_rows(
      values(x), values(cos), values(sin), 16, 8, false, [](size_t row) {
        return row / 5 % 5;
      });
  expect_near(
      apply_gqa_rope(x, cos, sin),
      mx::array(want.data(), {2, 5, 5, 16}, mx::float64),
      1e-6);
}

TEST(GqaRope, ValuesAndGradients) {
  expect_values_and_gradients(
      [](const Arrays& in) {
        return Arrays{apply_gqa_rope(in[0], in[1], in[2], 8)};
      },
      [](const Arrays& in) {
        return Arrays{rotated_with_mlx(
            in[0],
            mx::expand_dims(in[1], 1),
            mx::expand_dims(in[2], 1),
            false)};
      },
      {normal({2, 3, 4, 12}, 1), table({3, 4}, 2), table({3, 4}, 3)});
  EXPECT_EQ(gradient_fallbacks("apply_gqa_rope"), 0);
}

TEST(GqaRope, TablesOfOtherRanksAreRefused) {
  const auto x = mx::zeros({1, 2, 2, 8}), table = mx::zeros({2, 4});
  EXPECT_THROW(gqa_rope(x, table, table), UserError);
  try {
    apply_gqa_rope(x, mx::expand_dims(table, 0), table);
    FAIL();
  } catch (const UserError& error) {
    EXPECT_EQ(
        std::string(error.what()),
        "apply_gqa_rope: cos: expected a table (S, R / 2), got shape (1, 2, "
        "4)");
  }
}

TEST(RopeByAngles, GradientsOfEveryInput) {
  const auto inv_freq = mx::exp(
      mx::multiply(mx::arange(0, 12, 1, mx::float32), mx::array(-0.5f)));
  const mx::array position({0.f, 1.f, 2.5f}, {3, 1});
  for (int traditional : {0, 1}) {
    const auto kernel = rope.with({{"dims", 24}, {"traditional", traditional}});
    const Arrays in{
        normal({2, 3, 32}, 1), position, inv_freq, mx::array(0.75f)};
    const Arrays c{normal({2, 3, 32}, 2)};
    const auto ours = gradients(
        [&](const Arrays& a) { return Arrays{kernel(a[0], a[1], a[2], a[3])}; },
        in,
        c);
    const auto native = gradients(
        [&](const Arrays& a) {
          const auto angles = mx::multiply(mx::multiply(a[1], a[3]), a[2]);
          return Arrays{rotated_with_mlx(
              a[0], mx::cos(angles), mx::sin(angles), traditional != 0)};
        },
        in,
        c);
    ASSERT_EQ(ours.size(), 4u);
    for (int i = 0; i < 4; ++i) {
      SCOPED_TRACE(i);
      expect_near(ours[i], native[i], 1e-5);
    }
  }
  EXPECT_EQ(gradient_fallbacks("rope"), 0);
}

} // namespace

} // namespace zmlx::kernels
