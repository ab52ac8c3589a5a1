// Inputs with one element per row, tables, places and extents, running sums.
#include "tests/backend/cpu/check_body.h"
#include "tests/backend/cpu/targets.h"
#include "zmlx/backend/cpu/vector.h"
#include "zmlx/lang/functions.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Body;
using lang::ScanOrder;

TEST(RowReads, OneElementARowMeetsRows) {
  for (Layout layout : kLayouts) {
    for (int64_t width : {1, 2, 33, 1500}) {
      const Body body{
          {{"x"}, {"e", Role::EachRow}}, {{"out", in(0) * in(1) + in(1)}}};
      check_body(
          body,
          {filled(Type::F32, {3, 4, width}, 1, layout),
           filled(Type::F32, {3, 4}, 2, layout)},
          {3, 4, width},
          layout);
      check_body( // broadcast over the rows
          body,
          {filled(Type::BF16, {3, 4, width}, 1, layout),
           filled(Type::F32, {4}, 2)},
          {3, 4, width},
          layout,
          4);
    }
  }
}

TEST(RowReads, OneElementARowAloneGivesOneARow) {
  Body body{{{"e", Role::EachRow}}, {{"out", in(0) * 2 + 1}}};
  check_body(body, {filled(Type::F32, {3, 5}, 1)}, {3, 5, 1});
  check_body(body, {filled(Type::F32, {}, 1)}, {1});
  body.inputs.push_back({"x"});
  body.outputs.push_back({"sum", lang::sum(in(1)) * in(0)});
  check_body(
      body,
      {filled(Type::F32, {3, 5}, 1), filled(Type::F32, {3, 5, 7}, 2)},
      {3, 5, 7},
      Layout::Plain,
      20);
}

TEST(RowReads, PlacesAndExtents) {
  const Body body{
      {{"x"}, {"w", Role::Row}},
      {{"out",
        lang::row_index() * 1000 + lang::index() + in(0) * 0 +
            lang::extent(in(1), 0) * 7 + lang::extent(in(1), -1)}}};
  check_body(
      body,
      {filled(Type::F32, {5, 3, 70}, 1), filled(Type::F32, {3, 9}, 2)},
      {5, 3, 70});
}

TEST(RowReads, TakeReadsRowsOfEveryTypeAndLayout) {
  for (Layout layout : kLayouts) {
    for (Type type : {Type::F32, Type::BF16, Type::U8, Type::F64, Type::I32}) {
      const Body body{
          {{"t", Role::Table}, {"i", Role::EachRow}},
          {{"out", lang::take(in(0), in(1)), -1, type}}};
      check_body(
          body,
          {filled(type, {2, 3, 70}, 1, layout),
           with_values(Type::I32, {7}, {0, 5, 2, -1, 6, 3, 1})},
          {7, 70},
          layout);
    }
  }
}

TEST(RowReads, TakeOfWideRowsAndOfOneColumn) {
  const Body body{
      {{"t", Role::Table}, {"i", Role::EachRow}, {"x"}},
      {{"out", lang::take(in(0), in(1)) * 3 - in(2)}}};
  for (Type index : {Type::I32, Type::U32, Type::I64, Type::U64}) {
    for (int64_t width : {1, 2500}) {
      check_body(
          body,
          {filled(Type::F32, {4, width}, 1),
           with_values(index, {5}, {3, 0, 4, 1, 3}),
           filled(Type::F32, {5, 2500}, 2)},
          {5, 2500});
    }
  }
}

TEST(RowReads, TakeWhereTheStoredValueIsTheRowItself) {
  // The output is written past a register that is the table's memory.
  const Body body{
      {{"t", Role::Table}, {"i", Role::EachRow}, {"x"}},
      {{"out", lang::take(in(0), in(1))}, {"sum", lang::sum(in(2))}}};
  check_body(
      body,
      {filled(Type::F32, {4, 1100}, 1),
       with_values(Type::I32, {5}, {3, 0, 4, 1, 3}),
       filled(Type::F32, {5, 1100}, 2)},
      {5, 1100},
      Layout::Plain,
      100);
}

TEST(RowReads, PickByAnElementARow) {
  const Body body{
      {{"x"}, {"t", Role::EachRow}},
      {{"out", lang::logsumexp(in(0)) - lang::pick(in(0), in(1))}}};
  check_body(
      body,
      {filled(Type::F32, {6, 2100}, 1),
       with_values(Type::I32, {6}, {0, 2099, 1024, 2100, -1, 7})},
      {6, 2100},
      Layout::Plain,
      10);
}

TEST(RowReads, RunningSumsOfEveryOrder) {
  for_each_target([] {
    for (ScanOrder order :
         {ScanOrder::Forward,
          ScanOrder::ForwardExclusive,
          ScanOrder::Reverse,
          ScanOrder::ReverseExclusive}) {
      for (int64_t width : {0, 1, 2, 63, 1024, 1025, 2600}) {
        const Expr sum = lang::cumsum(in(0) * 2, order);
        check_body(
            {{{"x"}}, {{"out", sum + 1}}},
            {filled(Type::F32, {3, width}, 1)},
            {3, width},
            Layout::Plain,
            10);
      }
    }
  });
}

TEST(RowReads, RunningSumsOfEveryType) {
  for (Layout layout : kLayouts) {
    for (Type type : {Type::F32, Type::BF16, Type::F64, Type::I32, Type::U64}) {
      for (ScanOrder order : {ScanOrder::Forward, ScanOrder::Reverse}) {
        check_body(
            {{{"x"}}, {{"out", lang::cumsum(in(0), order), -1, type}}},
            {filled(type, {2, 3, 200}, 1, layout)},
            {2, 3, 200},
            layout,
            50);
      }
    }
  }
}

TEST(RowReads, RunningSumsKeepSmallTermsBesideLargeOnes) {
  std::vector<double> values(3000, 1);
  values[0] = 1e8; // float32 would lose every 1
  check_body(
      {{{"x"}}, {{"out", lang::cumsum(in(0)) - 1e8}}},
      {with_values(Type::F32, {3000}, values)},
      {3000},
      Layout::Plain,
      1e8 / 2);
}

TEST(RowReads, ExtremesOfReverseSumsKeepTheLowestPlace) {
  // Zeros at both ends: equal sums in different blocks.
  std::vector<double> values(2600, 0);
  values[1200] = 1;
  values[1300] = -1;
  const Expr sum = lang::cumsum(in(0), ScanOrder::Reverse);
  for (Type type : {Type::F32, Type::I32}) {
    check_body(
        {{{"x"}},
         {{"most", lang::argmax(sum), -1, Type::U32},
          {"least", lang::argmin(sum), -1, Type::U32},
          {"sum", lang::sum(sum), -1, type}}},
        {with_values(type, {1, 2600}, values)},
        {1, 2600},
        Layout::Plain,
        3000);
  }
}

TEST(RowReads, RandomBitsOfEveryPlace) {
  for_each_target([] {
    const Body rows{
        {{"x"}, {"seed", Role::Scalar}},
        {{"out", lang::random(in(1)) + lang::index() * 0, -1, Type::U32}}};
    const Body flat{
        {{"x"}, {"seed", Role::Scalar}},
        {{"out", lang::random(in(1)), -1, Type::U32}, {"y", in(0) * 0.5}}};
    for (const Shape& shape :
         {Shape{1},
          Shape{3, 1},
          Shape{7, 5},
          Shape{2, 3, 67},
          Shape{5, 1025},
          Shape{0, 4}}) {
      for (const Body* body : {&rows, &flat}) {
        check_body(
            *body,
            {filled(Type::F32, shape, 1),
             with_values(Type::U64, {}, {1.2345e18})},
            shape);
      }
    }
  });
}

TEST(RowReads, RandomBitsFromASeedARow) {
  const Body body{
      {{"x"}, {"seed", Role::EachRow}},
      {{"out", lang::random(in(1)), -1, Type::U32}}};
  check_body(
      body,
      {filled(Type::F32, {3, 130}, 1),
       with_values(Type::I64, {3}, {1, 77, 5e12})},
      {3, 130});
}

TEST(RowReads, RandomCountersPassTheirLowWord) {
  for_each_target([] {
    uint32_t across[32], beyond[16];
    const uint64_t edge = uint64_t{4} << 32; // the low word begins anew
    fill_random(across, 42, edge - 17, 32);
    fill_random(beyond, 42, edge, 15);
    for (int i = 0; i < 15; ++i) {
      EXPECT_EQ(across[17 + i], beyond[i]);
    }
    EXPECT_NE(across[16], across[0]);
  });
}

} // namespace
} // namespace zmlx::backend::cpu
