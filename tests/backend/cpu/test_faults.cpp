// Indices that an input gave and that lie outside the array they name.
#include "tests/backend/cpu/check_body.h"
#include "zmlx/lang/functions.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Body;

struct Result {
  bool can_fault = false;
  std::optional<Fault> fault;
};

Result run(const Body& body, const std::vector<Array>& inputs) {
  std::vector<Type> types;
  std::vector<Shape> shapes;
  std::vector<View> views;
  for (const Array& input : inputs) {
    types.push_back(input.type);
    shapes.push_back(input.shape);
    views.push_back(input.view);
  }
  std::string why;
  const auto program = lang::lower(body, types, &why);
  EXPECT_TRUE(program) << why;
  const auto out_shapes = lang::infer_shapes(body, shapes);
  std::vector<Array> outputs;
  std::vector<View> out_views;
  for (size_t i = 0; i < out_shapes.size(); ++i) {
    outputs.emplace_back(program->outputs[i], out_shapes[i], Layout::Plain);
  }
  for (const Array& out : outputs) {
    out_views.push_back(out.view);
  }
  const auto executable = compile(*program);
  const auto launch = executable->bind(views, out_views);
  Pool pool(3);
  pool.run([&](int part, int parts) { launch->run(part, parts); });
  return {executable->can_fault(), launch->fault()};
}

Array indices(const std::vector<double>& values) {
  return with_values(Type::I32, {static_cast<int64_t>(values.size())}, values);
}

TEST(Faults, RowsOfATable) {
  const Body body{
      {{"t", Role::Table}, {"i", Role::EachRow}},
      {{"out", lang::take(in(0), in(1))}}};
  const Array table = filled(Type::F32, {2, 3, 40}, 1);
  EXPECT_TRUE(run(body, {table, indices({0, 5})}).can_fault);
  EXPECT_FALSE(run(body, {table, indices({0, 5})}).fault);
  const auto found = run(body, {table, indices({0, 6, 1})}).fault;
  ASSERT_TRUE(found);
  EXPECT_EQ(found->index, 6);
  EXPECT_EQ(found->length, 6);
  EXPECT_TRUE(found->rows);
  EXPECT_FALSE(found->output);
  EXPECT_EQ(found->number, 0);
  EXPECT_EQ(run(body, {table, indices({-2})}).fault->index, -2);
}

TEST(Faults, PlacesOfARow) {
  const Body body{{{"x"}, {"i"}}, {{"out", lang::pick(in(0), in(1)) * 2}}};
  std::vector<double> at(300, 7);
  const Array x = filled(Type::F32, {300}, 1);
  EXPECT_FALSE(run(body, {x, indices(at)}).fault);
  at[131] = 300;
  at[140] = -5;
  const auto found = run(body, {x, indices(at)}).fault;
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->index == 300 || found->index == -5);
  EXPECT_EQ(found->length, 300);
  EXPECT_FALSE(found->rows);
  EXPECT_EQ(found->number, 0);
}

TEST(Faults, RowsOfAnOutput) {
  Body body{{{"x"}, {"i", Role::EachRow}}, {{"out", in(0)}}};
  body.outputs[0].into = lang::RowSum{in(1), -1, 4};
  const Array x = filled(Type::F32, {3, 200}, 1);
  EXPECT_FALSE(run(body, {x, indices({3, 0, 3})}).fault);
  const auto found = run(body, {x, indices({3, 4, 3})}).fault;
  ASSERT_TRUE(found);
  EXPECT_EQ(found->index, 4);
  EXPECT_EQ(found->length, 4);
  EXPECT_TRUE(found->rows);
  EXPECT_TRUE(found->output);
  EXPECT_EQ(found->number, 0);
}

TEST(Faults, NotWhatTheFormulaMasksOrNamesItself) {
  const Expr masked = lang::select(in(1) == -100, 0, in(1));
  const Body loss{
      {{"x"}, {"i", Role::EachRow}}, {{"out", lang::pick(in(0), masked) * 2}}};
  const auto result =
      run(loss, {filled(Type::F32, {3, 9}, 1), indices({-100, 8, -100})});
  EXPECT_TRUE(result.can_fault);
  EXPECT_FALSE(result.fault);
  const Body shifted{
      {{"x"}, {"t", Role::Table}},
      {{"out",
        lang::pick(in(0), lang::index() - 2) +
            lang::take(in(1), lang::row_index() + lang::extent(in(1), 0))}}};
  const auto own = run(
      shifted, {filled(Type::F32, {3, 9}, 1), filled(Type::F32, {2, 9}, 2)});
  EXPECT_FALSE(own.can_fault);
  EXPECT_FALSE(own.fault);
}

} // namespace
} // namespace zmlx::backend::cpu
