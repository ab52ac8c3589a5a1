// Rows that machine code goes through itself: what each row alone gives.
#include <numeric>
#include <vector>

#include "tests/backend/cpu/block_operations.h"
#include "tests/backend/cpu/check_body.h"
#include "tests/backend/cpu/loops.h"
#include "zmlx/backend/cpu/access.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Body;

// Memories of a row that are as far apart as these, or all the same.
TEST(RowLoop, GivesWhatItsRowsGive) {
  ZMLX_NEEDS_LOOPS();
  LoopMaker make;
  const int x = make.each(Type::F32), w = make.each(Type::BF16);
  const int scale = make.once(Type::F32);
  const int place = make.cast(make.place(), Type::F32);
  const int scaled =
      make.operation(Op::Div, make.operation(Op::Mul, x, place), scale);
  make.store(make.operation(Op::Add, scaled, w));
  make.store(scaled, Type::BF16);
  const auto code = assemble(make.loop);
  ASSERT_TRUE(code);
  const std::vector<int64_t> strides = {400, 0, 64, 0, 512, 256};
  ASSERT_EQ(make.loop.memories, static_cast<int>(strides.size()));
  for (const int64_t places : {1, 15, 16, 33, 100}) {
    for (const int64_t rows : {1, 2, 7}) {
      Memories memories;
      for (int m = 0; m < make.loop.memories; ++m) {
        memories.add(size_t{8 * 512});
        memories.fill(m, ordinary(static_cast<unsigned>(m) + 1));
      }
      std::iota(
          memories.at<int32_t>(3), memories.at<int32_t>(3) + kUniformLanes, 5);
      Memories each = memories.copy(), all = memories.copy();
      for (int64_t row = 0; row < rows; ++row) {
        auto pointers = each.pointers();
        for (size_t m = 0; m < pointers.size(); ++m) {
          pointers[m] =
              static_cast<unsigned char*>(pointers[m]) + row * strides[m];
        }
        code->run(pointers.data(), places);
      }
      auto pointers = all.pointers();
      code->run_rows(pointers.data(), places, rows, strides.data());
      for (int m = 0; m < make.loop.memories; ++m) {
        EXPECT_EQ(
            std::memcmp(all.at<char>(m), each.at<char>(m), all.bytes(m)), 0)
            << "memory " << m << ", " << rows << " rows of " << places;
      }
    }
  }
}

// Views of a space (4, 3, 5, 6), each axis as it is or broadcast.
std::vector<View> views(void* data) {
  std::vector<View> result;
  const Shape full = {4, 3, 5, 6};
  for (unsigned kept = 0; kept < 16; ++kept) {
    View view{data, Type::F32, full, Strides(4)};
    int64_t step = 1;
    for (size_t axis = 4; axis-- > 0;) {
      const bool own = (kept >> axis & 1) != 0;
      view.shape[axis] = own ? full[axis] : 1;
      view.strides[axis] = own ? step : 0;
      step *= view.shape[axis];
    }
    result.push_back(view);
  }
  return result;
}

TEST(RowLoop, StretchesAreOfEqualDistances) {
  std::vector<float> data(360);
  for (const View& view : views(data.data())) {
    SCOPED_TRACE(testing::PrintToString(view.shape));
    const Access access(view, {4, 3, 5, 6}, "test");
    for (const int64_t step : {6, 30, 90}) { // rows, and more of them
      int64_t longest = 0;
      for (int64_t place = 0; place < 360; place += step) {
        const auto [count, stride] = access.stretch(place, step);
        ASSERT_GE(count, 1);
        longest = std::max(longest, count);
        for (int64_t k = 0; k < count && place + k * step < 360; ++k) {
          ASSERT_EQ(
              access.at(place + k * step),
              access.at(place) + k * stride * access.size())
              << "place " << place << ", " << k << " steps of " << step;
        }
      }
      EXPECT_GT(longest, 1);
    }
  }
}

// Tables that several axes of rows share, or that change with one of them.
TEST(RowLoop, TablesMeetTheRows) {
  const Expr i = lang::index();
  const Body body{
      {{"x"}, {"a"}, {"t", Role::Row}, {"s"}},
      {{"y", in(0) * in(1) + lang::pick(in(2), i ^ 1) * in(3), -1, Type::F32}}};
  for (const Shape& a :
       {Shape{40}, Shape{5, 1}, Shape{3, 1, 40}, Shape{2, 1, 5, 40}}) {
    for (const Shape& table : {Shape{40}, Shape{5, 40}, Shape{3, 1, 40}}) {
      for (const Type type : {Type::F32, Type::BF16}) {
        check_body(
            body,
            {filled(type, {2, 3, 5, 40}, 1),
             filled(Type::F32, a, 2),
             filled(type, table, 3),
             filled(Type::F32, {}, 4)},
            {2, 3, 5, 40},
            Layout::Plain,
            10);
      }
    }
  }
}

} // namespace
} // namespace zmlx::backend::cpu
