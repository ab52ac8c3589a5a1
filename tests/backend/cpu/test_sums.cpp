// Outputs that are sums over places and rows.
#include <fmt/format.h>

#include "tests/backend/cpu/check_body.h"
#include "tests/backend/cpu/targets.h"
#include "zmlx/lang/derive.h"
#include "zmlx/lang/functions.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Body;
using lang::Output;
using lang::RowSum;

Output sum_like(int input, const Expr& value) {
  Output output{fmt::format("d{}", input), value, input};
  output.sum_like = input;
  return output;
}

Output into_rows(const Expr& value, const Expr& row, int like) {
  Output output{"rows", value, like};
  output.into = RowSum{row, like, 0};
  return output;
}

TEST(PlaceSums, EveryBroadcastOfAMap) {
  const Shape space{3, 4, 70};
  for (const Shape& shape :
       {Shape{70},
        Shape{1},
        Shape{},
        Shape{4, 70},
        Shape{4, 1},
        Shape{3, 1, 70},
        Shape{3, 1, 1},
        Shape{1, 4, 70},
        Shape{3, 4, 1},
        Shape{3, 4, 70},
        Shape{1, 1, 1}}) {
    for (Layout layout : {Layout::Plain, Layout::Strided, Layout::Transposed}) {
      check_body(
          {{{"x"}, {"w"}},
           {sum_like(1, in(0) * in(1)), sum_like(0, in(0) - in(1))}},
          {filled(Type::F32, space, 1), filled(Type::F32, shape, 2, layout)},
          space,
          layout,
          100);
    }
  }
}

TEST(PlaceSums, LongMapsAreCutIntoColumns) {
  for_each_target([] {
    for (const Shape& shape : {Shape{30000}, Shape{1}, Shape{2, 1}}) {
      check_body(
          {{{"x"}, {"w"}}, {sum_like(1, in(0) * in(1)), {"y", in(0) + in(1)}}},
          {filled(Type::F32, {2, 30000}, 1), filled(Type::F32, shape, 2)},
          {2, 30000},
          Layout::Plain,
          3000);
    }
  });
}

TEST(PlaceSums, RowsOfANormWithTheGradientOfItsWeight) {
  const Expr r = lang::rsqrt(lang::mean(in(0) * in(0)) + 1e-5);
  for (Type type : {Type::F32, Type::BF16, Type::F16, Type::F64}) {
    for (const Shape& space :
         {Shape{37, 300}, Shape{1, 1}, Shape{5, 3, 1100}}) {
      const Shape width{space.back()};
      check_body(
          {{{"x"}, {"w"}, {"d"}},
           {sum_like(0, in(2) * in(1) * r), sum_like(1, in(2) * in(0) * r)}},
          {filled(type, space, 1),
           filled(type, width, 2),
           filled(type, space, 3)},
          space,
          Layout::Plain,
          20);
    }
  }
}

TEST(PlaceSums, ManyRowsInChunks) {
  for (const Shape& shape :
       {Shape{64}, Shape{}, Shape{40, 1, 64}, Shape{40, 1, 1}, Shape{25, 64}}) {
    check_body(
        {{{"x"}, {"w"}},
         {sum_like(1, in(0) * lang::sum(in(0))),
          {"largest", lang::max_of(in(0))}}},
        {filled(Type::F32, {40, 25, 64}, 1), filled(Type::F32, shape, 2)},
        {40, 25, 64},
        Layout::Plain,
        30000);
  }
}

TEST(PlaceSums, IntoScalarsAndOneElementARow) {
  const Body body{
      {{"x"}, {"s", Role::Scalar}, {"e", Role::EachRow}},
      {sum_like(1, in(0) * in(2)),
       sum_like(1, lang::sum(in(0)) * in(2)),
       sum_like(2, lang::sum(in(0)))}};
  for (const Shape& rows : {Shape{6, 5}, Shape{5}, Shape{1, 5}, Shape{6, 1}}) {
    check_body(
        body,
        {filled(Type::F32, {6, 5, 90}, 1),
         filled(Type::F32, {}, 2),
         filled(Type::F32, rows, 3)},
        {6, 5, 90},
        Layout::Plain,
        1000);
  }
}

TEST(PlaceSums, IntegersAreSummedAsIntegers) {
  for (Type type : {Type::I32, Type::U32, Type::I64, Type::U64}) {
    check_body(
        {{{"x"}, {"w"}}, {sum_like(1, in(0) + in(1))}},
        {filled(type, {50, 33}, 1), filled(type, {33}, 2)},
        {50, 33});
  }
  // Beyond what float64 holds.
  Array x = with_values(Type::I64, {2, 1}, {0x1p53, 1});
  check_body(
      {{{"x"}, {"w"}},
       {sum_like(1, in(0) - lang::constant(0x1p53, Type::I32) + in(1))}},
      {x, with_values(Type::I64, {1}, {0})},
      {2, 1});
}

TEST(PlaceSums, WithoutPlacesAreZero) {
  for (const Shape& space : {Shape{0, 7}, Shape{3, 0}, Shape{0, 0}}) {
    for (const Shape& shape : {Shape{space.back()}, Shape{1}, Shape{}}) {
      check_body(
          {{{"x"}, {"w"}}, {sum_like(1, in(0) * in(1))}},
          {filled(Type::F32, space, 1), filled(Type::F32, shape, 2)},
          space);
      check_body(
          {{{"x"}, {"w"}}, {sum_like(1, in(0) * lang::sum(in(1) * in(0)))}},
          {filled(Type::F32, space, 1), filled(Type::F32, shape, 2)},
          space);
    }
  }
}

TEST(PlaceSums, OfAUniformValueCountEveryPlace) {
  check_body(
      {{{"x"}, {"w"}}, {sum_like(1, lang::sum(in(0)) + in(1) * 0)}},
      {filled(Type::F32, {9, 1100}, 1), filled(Type::F32, {9, 1}, 2)},
      {9, 1100},
      Layout::Plain,
      1e5);
}

TEST(PlaceSums, SmallTermsBesideLargeOnes) {
  std::vector<double> values(5000, 1);
  values[0] = 1e8;
  check_body(
      {{{"x"}, {"w"}}, {sum_like(1, in(0) * in(1))}},
      {with_values(Type::F32, {5000, 1}, values),
       with_values(Type::F32, {1}, {1})},
      {5000, 1});
}

TEST(RowSums, AddToNamedRowsInOrder) {
  for (Type type : {Type::F32, Type::BF16, Type::F64, Type::I32}) {
    for (int64_t width : {1, 3, 300}) {
      for (Layout layout : {Layout::Plain, Layout::Strided}) {
        check_body(
            {{{"x"}, {"i", Role::EachRow}, {"t", Role::Table}},
             {into_rows(in(0) * 2, in(1), 2)}},
            {filled(type, {8, width}, 1),
             with_values(Type::I32, {8}, {3, 0, 3, 5, -1, 3, 4, 0}),
             filled(type, {5, width}, 3, layout)},
            {8, width},
            layout,
            30);
      }
    }
  }
}

TEST(RowSums, OfRowsWithReductionsBesidePlainOutputs) {
  const Expr soft = lang::softmax(in(0));
  check_body(
      {{{"x"}, {"i", Role::EachRow}, {"t", Role::Table}, {"w"}},
       {into_rows(soft, in(1), 2),
        {"y", soft * in(3)},
        sum_like(3, soft),
        into_rows(in(0), 5 - in(1), 2)}},
      {filled(Type::F32, {6, 5, 200}, 1),
       filled(Type::I32, {6, 5}, 7),
       filled(Type::F32, {2, 10, 200}, 3),
       filled(Type::F32, {200}, 4)},
      {6, 5, 200},
      Layout::Plain,
      10);
}

TEST(RowSums, IntoOneColumnAndWithoutRows) {
  check_body(
      {{{"x"}, {"i", Role::EachRow}, {"t", Role::Table}},
       {into_rows(in(0), in(1), 2)}},
      {filled(Type::F32, {8, 100}, 1),
       with_values(Type::I64, {8}, {1, 1, 0, 2, 1, 0, 0, 1}),
       filled(Type::F32, {3, 1}, 3)},
      {8, 100},
      Layout::Plain,
      100);
  check_body(
      {{{"x"}, {"i", Role::EachRow}, {"t", Role::Table}},
       {into_rows(in(0), in(1), 2)}},
      {filled(Type::F32, {0, 70}, 1),
       filled(Type::I32, {0}, 2),
       filled(Type::F32, {3, 70}, 3)},
      {0, 70});
}

TEST(Sums, GradientsOfKernelsRunAsOneProgram) {
  const Body norm{
      {{"x"}, {"w"}, {"b"}},
      {{"out", lang::layer_norm(in(0), in(1), in(2), 1e-5)}}};
  std::string why;
  const auto body = lang::derive(norm, {0, 1, 2}, &why);
  ASSERT_TRUE(body) << why;
  for (const Shape& space : {Shape{2, 9, 500}, Shape{70, 1100}}) {
    const Shape width{space.back()};
    check_body(
        *body,
        {filled(Type::F32, space, 1),
         filled(Type::F32, width, 2),
         filled(Type::F32, width, 3),
         filled(Type::F32, space, 4)},
        space,
        Layout::Plain,
        30);
  }
}

} // namespace
} // namespace zmlx::backend::cpu
