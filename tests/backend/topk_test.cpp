// Stage::TopK against a stable sort.
#include <algorithm>
#include <limits>
#include <numeric>
#include <random>

#include "tests/backend/cpu/check_body.h"
#include "tests/backend/cpu/targets.h"
#include "zmlx/lang/functions.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Body;

/// Places of a row by the order that the stage promises.
std::vector<int64_t> sorted(const double* row, int64_t width) {
  std::vector<int64_t> places(static_cast<size_t>(width));
  std::iota(places.begin(), places.end(), 0);
  std::stable_sort(places.begin(), places.end(), [row](int64_t a, int64_t b) {
    const bool nan_a = row[a] != row[a], nan_b = row[b] != row[b];
    return nan_a || nan_b ? nan_a && !nan_b : row[a] > row[b];
  });
  return places;
}

void check(const Array& x, int k, Layout layout = Layout::Plain) {
  const Body body{
      {{"x"}},
      {{"values", lang::top_values(in(0), k)},
       {"places", lang::top_places(in(0), k), -1, Type::U32}}};
  std::string why;
  const auto program = lang::lower(body, {x.type}, &why);
  ASSERT_TRUE(program) << why;
  ASSERT_EQ(program->stage, lang::Stage::TopK);
  ASSERT_EQ(instance().unsupported(*program), std::nullopt);
  Shape shape = x.shape;
  shape.back() = k;
  Array values(x.type, shape, layout), places(Type::U32, shape, layout);
  const View outputs[] = {values.view, places.view};
  const auto launch = compile(*program)->bind({&x.view, 1}, outputs);
  for (int part : {2, 0, 1}) {
    launch->run(part, 3);
  }
  const int64_t width = x.shape.back();
  for (int64_t row = 0; row < count(x.shape) / width; ++row) {
    const double* from = x.values.data() + row * width;
    const auto want = sorted(from, width);
    for (int64_t i = 0; i < k; ++i) {
      ASSERT_EQ(places.read(row * k + i), want[i]) << "row " << row;
      const double got = values.read(row * k + i);
      if (from[want[i]] != from[want[i]]) {
        ASSERT_NE(got, got);
      } else {
        ASSERT_EQ(got, from[want[i]]);
      }
    }
  }
}

Array random_rows(Type type, const Shape& shape, Layout layout, int distinct) {
  Array x(type, shape, layout);
  std::mt19937 random(5);
  for (int64_t i = 0; i < count(shape); ++i) {
    x.write(i, static_cast<int>(random() % distinct) - distinct / 2);
  }
  return x;
}

TEST(TopK, OfEveryLengthAndCount) {
  for_each_target([] {
    for (int64_t width : {1, 2, 7, 255, 256, 257, 3000}) {
      for (int k : {1, 2, 7, 50, 256, 257, 3000}) {
        if (k <= width) {
          check(random_rows(Type::F32, {4, width}, Layout::Plain, 1000000), k);
          check(random_rows(Type::F32, {3, width}, Layout::Plain, 5), k);
        }
      }
    }
  });
}

TEST(TopK, OfEveryTypeAndLayout) {
  for (Layout layout :
       {Layout::Plain,
        Layout::Strided,
        Layout::Negative,
        Layout::Transposed,
        Layout::Offset}) {
    for (Type type : {Type::F32, Type::F16, Type::BF16}) {
      check(random_rows(type, {2, 3, 700}, layout, 100), 9, layout);
    }
  }
}

TEST(TopK, NanIsTheLargestAndTheLowestPlaceComesFirst) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  for_each_target([&] {
    for (int k : {1, 3, 10, 300}) {
      Array x = random_rows(Type::F32, {3, 1200}, Layout::Plain, 50);
      for (int64_t at : {5, 300, 301, 1199}) {
        x.write(at, nan);
      }
      for (int64_t at : {1205, 1800, 2399}) {
        x.write(at, inf);
      }
      for (int64_t at = 2400; at < 3600; ++at) {
        x.write(at, at % 2 ? 0.0 : -0.0);
      }
      check(x, k);
      for (int64_t at = 2400; at < 3600; ++at) {
        x.write(at, at % 3 ? -inf : static_cast<double>(at));
      }
      check(x, k);
    }
  });
}

TEST(TopK, OfARowProgram) {
  const Body body{
      {{"x"}, {"bias"}},
      {{"places",
        lang::top_places(lang::softmax(in(0)) + in(1), 2),
        -1,
        Type::U32}}};
  std::string why;
  const auto program = lang::lower(body, {Type::F32, Type::F32}, &why);
  ASSERT_TRUE(program) << why;
  const Array x = with_values(Type::F32, {2, 4}, {1, 2, 3, 4, 4, 3, 2, 1});
  const Array bias = with_values(Type::F32, {4}, {0, 5, 0, 0});
  const Array places(Type::U32, {2, 2}, Layout::Plain);
  const View inputs[] = {x.view, bias.view};
  compile(*program)->bind(inputs, {&places.view, 1})->run(0, 1);
  EXPECT_EQ(places.read(0), 1);
  EXPECT_EQ(places.read(1), 3);
  EXPECT_EQ(places.read(2), 1);
  EXPECT_EQ(places.read(3), 0);
}

TEST(TopK, WithoutRows) {
  check(Array(Type::F32, {0, 9}, Layout::Plain), 3);
}

} // namespace
} // namespace zmlx::backend::cpu
