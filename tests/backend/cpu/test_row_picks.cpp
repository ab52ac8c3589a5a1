// Picks at places that are the same in every row, which loops read, and others
// beside them.
#include <functional>

#include "tests/backend/cpu/check_body.h"
#include "tests/backend/cpu/targets.h"
#include "zmlx/lang/functions.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Body;

// The elements of r at some places, beside those of x.
struct Reader {
  const char* name;
  std::function<Expr(const Expr& r)> value;
};

Expr at(const Expr& r, const Expr& place) {
  return lang::pick(r, place);
}

const std::vector<Reader>& readers() {
  static const Expr i = lang::index(), w = lang::width();
  static const Expr half = (w - w % 2) / 2; // the oracle divides real numbers
  static const std::vector<Reader> all = {
      {"as it is", [](const Expr& r) { return at(r, i); }},
      {"second half", [](const Expr& r) { return at(r, i + half); }},
      {"other half",
       [](const Expr& r) {
         return at(r, lang::select(i < half, i + half, i - half));
       }},
      {"neighbour", [](const Expr& r) { return at(r, i ^ 1); }},
      {"neighbours",
       [](const Expr& r) { return at(r, 2 * i) - at(r, 2 * i + 1); }},
      {"pairs", [](const Expr& r) { return at(r, i / 2); }},
      {"backwards", [](const Expr& r) { return at(r, w - 1 - i); }},
      {"with a start", [](const Expr& r) { return at(r, i - 5); }},
      {"scattered", [](const Expr& r) { return at(r, i * 37 % 53); }},
      {"in two loops",
       [](const Expr& r) {
         const Expr slow = lang::log1p(at(r, i) * at(r, i)); // a step between
         return slow * at(r, i ^ 1) + at(r, i / 2);
       }},
      {"chosen before another loop",
       [](const Expr& r) {
         const Expr square = at(r, i) * at(r, i ^ 1) * at(r, i) * at(r, i ^ 1);
         const Expr y = lang::select(i < w, square, at(r, i / 2));
         return lang::log1p(y) * y;
       }},
      {"in several passes, for a running sum",
       [](const Expr& r) {
         const Expr t = at(r, w - 1 - i);
         return lang::cumsum(t) + t / (2 + lang::max_of(t * t));
       }},
      {"never chosen",
       [](const Expr& r) {
         const Expr square = at(r, i) * at(r, i);
         const Expr y = lang::select(w < 0, lang::log1p(square), square);
         return lang::log1p(y) + y;
       }},
      {"a truth value",
       [](const Expr& r) { return lang::select(at(r, i / 2) > 0, 1.5, -2.0); }},
      {"by row", [](const Expr& r) { return at(r, lang::row_index() + i); }},
      {"a sum",
       [](const Expr& r) {
         return at(r, i ^ 1) / (2 + lang::max_of(at(r, i)));
       }},
  };
  return all;
}

void check_width(int64_t width) {
  for (const auto& [name, value] : readers()) {
    SCOPED_TRACE(name);
    const Body body{{{"x"}, {"r", Role::Row}}, {{"out", in(0) + value(in(1))}}};
    for (int64_t length : {width, width / 2, width + 9}) {
      check_body(
          body,
          {filled(Type::F32, {3, width}, 1), filled(Type::F32, {3, length}, 2)},
          {3, width},
          Layout::Plain,
          4);
      ASSERT_FALSE(testing::Test::HasFatalFailure())
          << width << " of " << length;
    }
  }
}

TEST(RowPicks, RowsOfEveryWidth) {
  for (int64_t width = 1; width <= 40; ++width) {
    check_width(width);
  }
}

TEST(RowPicks, EveryTarget) {
  for_each_target([] {
    check_width(7);
    check_width(33);
  });
}

TEST(RowPicks, EveryTypeAndLayout) {
  const Expr i = lang::index();
  for (Layout layout : kLayouts) {
    for (Type type :
         {Type::F32,
          Type::BF16,
          Type::F16,
          Type::F64,
          Type::U8,
          Type::I8,
          Type::U16,
          Type::I16,
          Type::I32,
          Type::U32,
          Type::I64}) {
      SCOPED_TRACE(lang::name_of(type));
      const auto read = [&](const Expr& place) {
        return lang::cast(Type::F32, at(in(1), place));
      };
      const Body body{
          {{"x"}, {"r", Role::Row}},
          {{"out",
            in(0) + read(i) - read(i / 2) * read(i ^ 1) / 4 + read(i + 35),
            -1,
            Type::F32}}};
      check_body(
          body,
          {filled(Type::F32, {2, 3, 70}, 1, layout),
           filled(type, {2, 3, 70}, 2, layout)},
          {2, 3, 70},
          layout,
          1000);
    }
  }
}

TEST(RowPicks, TruthValuesAreOneOrZero) {
  const Expr i = lang::index();
  const Body body{
      {{"x"}, {"r", Role::Row}},
      {{"out", lang::select(at(in(1), i / 2), in(0), -2.0), -1, Type::F32},
       {"same", at(in(1), i ^ 1), -1, Type::Bool}}};
  for (int64_t width : {7, 70}) {
    check_body(
        body,
        {filled(Type::F32, {3, width}, 1), filled(Type::Bool, {3, width}, 2)},
        {3, width});
  }
}

TEST(RowPicks, RowsMeetTheSpace) {
  for (const auto& [name, value] : readers()) {
    SCOPED_TRACE(name);
    const Body body{{{"x"}, {"r", Role::Row}}, {{"out", in(0) * value(in(1))}}};
    for (const Shape& shape :
         {Shape{64}, Shape{5, 64}, Shape{2, 1, 64}, Shape{1, 5, 64}}) {
      check_body(
          body,
          {filled(Type::F32, {2, 5, 96}, 1), filled(Type::BF16, shape, 2)},
          {2, 5, 96},
          Layout::Plain,
          10);
    }
  }
}

// Rows too long for fixed rows, and for windows.
TEST(RowPicks, LongRows) {
  for (int64_t width : {9000, 70000}) {
    for (const auto& [name, value] : readers()) {
      SCOPED_TRACE(testing::Message() << name << ", " << width);
      check_body(
          {{{"x"}, {"r", Role::Row}}, {{"out", in(0) * value(in(1))}}},
          {filled(Type::F32, {2, width}, 1), filled(Type::F32, {2, width}, 2)},
          {2, width},
          Layout::Plain,
          10);
    }
  }
}

TEST(RowPicks, SumsOfPicks) {
  for (const auto& [name, value] : readers()) {
    SCOPED_TRACE(name);
    const Body body{
        {{"x"}, {"r", Role::Row}, {"w"}},
        {{"sum", in(0) * value(in(1)) + 0 * in(2), 2}}};
    check_body(
        body,
        {filled(Type::F32, {40, 70}, 1),
         filled(Type::F32, {40, 70}, 2),
         filled(Type::F32, {70}, 3)},
        {40, 70},
        Layout::Plain,
        100);
  }
}

// What is stored is not read again at another place.
TEST(RowPicks, RowsAreReplaced) {
  for_each_target([] {
    for (int64_t width : {5, 64, 200}) {
      std::string why;
      const auto program = lang::lower(
          {{{"x", Role::Row}, {"like"}},
           {{"out", at(in(0), lang::index() ^ 1) + 0 * in(1)}}},
          {Type::F32, Type::F32},
          &why);
      ASSERT_TRUE(program) << why;
      Array x = filled(Type::F32, {4, width}, 1);
      const Array before = filled(Type::F32, {4, width}, 1);
      const Array like = filled(Type::F32, {4, width}, 2);
      compile(*program)
          ->bind(std::vector{x.view, like.view}, std::vector{x.view})
          ->run(0, 1);
      for (int64_t i = 0; i < 4 * width; ++i) {
        const int64_t column = i % width ^ 1;
        const double want =
            column < width ? before.values[i - i % width + column] : 0;
        EXPECT_EQ(x.read(i), want) << i << " of rows of " << width;
      }
    }
  });
}

} // namespace
} // namespace zmlx::backend::cpu
