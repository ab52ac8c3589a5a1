// Typical kernels and their gradients run as assembled loops, each pass of
// them.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/backend/cpu/loops.h"
#include "tests/backend/cpu/oracle.h"
#include "zmlx/backend/cpu/passes.h"
#include "zmlx/lang/derive.h"
#include "zmlx/lang/functions.h"
#include "zmlx/lang/lower.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Body;

struct Typical {
  std::string name;
  Body body;
  std::vector<int> wanted; // inputs whose gradients are
};

Expr x(int i) {
  return lang::input(i);
}

// Inputs named w and b are the same in every row; i is one integer a row.
std::vector<Typical> typical() {
  const auto stored = [](const Expr& value) {
    return std::vector<lang::Output>{{"y", value, 0}};
  };
  const Expr likely = lang::pick(x(0), x(1));
  return {
      {"silu(x) z", {{{"x"}, {"z"}}, stored(lang::silu(x(0)) * x(1))}, {0, 1}},
      {"gelu", {{{"x"}}, stored(lang::gelu(x(0)))}, {0}},
      {"gelu_tanh", {{{"x"}}, stored(lang::gelu_tanh(x(0)))}, {0}},
      {"waves",
       {{{"x"}, {"z"}},
        stored(lang::cos(x(0)) * x(1) + lang::sin(x(0) * x(1)))},
       {0, 1}},
      {"softmax", {{{"x"}}, stored(lang::softmax(x(0)))}, {0}},
      {"turned pairs",
       {{{"x"}, {"z"}},
        stored(
            x(0) * x(1) +
            lang::select((lang::index() & 1) == 0, -1.0, 1.0) *
                lang::pick(x(0), lang::index() ^ 1) * x(1))},
       {}},
      {"halves",
       {{{"x"}}, stored(lang::pick(x(0), lang::index() % (lang::width() / 2)))},
       {}},
      {"log_softmax", {{{"x"}}, stored(lang::log_softmax(x(0)))}, {0}},
      {"rms_norm",
       {{{"x"}, {"w"}}, stored(lang::rms_norm(x(0), x(1), 1e-5))},
       {0, 1}},
      {"layer_norm",
       {{{"x"}, {"w"}, {"b"}},
        stored(lang::layer_norm(x(0), x(1), x(2), 1e-5))},
       {0, 1, 2}},
      {"cross entropy",
       {{{"x"}, {"i", lang::Role::EachRow}},
        {{"y", lang::logsumexp(x(0)) - likely, -1, Type::F32}}},
       {0}},
  };
}

struct Ways {
  bool loops_alone; // do all
  bool rows; // machine code goes through them itself
};

Ways ways_of(
    const Body& body,
    Type type,
    int64_t width = 700,
    Layout layout = Layout::Plain) {
  const int64_t rows = 6;
  std::vector<Type> types;
  std::vector<Shape> shapes;
  std::vector<Array> arrays;
  for (const auto& input : body.inputs) {
    const bool each_row = input.role == lang::Role::EachRow;
    const bool place = input.name == "i", one = place || each_row;
    types.push_back(place ? Type::I32 : type);
    shapes.push_back(
        one                                          ? Shape{rows}
            : input.name == "w" || input.name == "b" ? Shape{width}
                                                     : Shape{rows, width});
    arrays.emplace_back(types.back(), shapes.back(), layout);
  }
  std::string why;
  const auto program = lang::lower(body, types, &why);
  EXPECT_TRUE(program) << why;
  const auto out_shapes = lang::infer_shapes(body, shapes);
  const auto out_types = lang::infer_types(body, types);
  std::vector<View> views, out_views;
  std::vector<bool> sums;
  for (const auto& array : arrays) {
    views.push_back(array.view);
  }
  std::vector<Array> outputs;
  outputs.reserve(out_shapes.size());
  for (size_t k = 0; k < out_shapes.size(); ++k) {
    outputs.emplace_back(out_types[k], out_shapes[k], Layout::Plain);
    out_views.push_back(outputs.back().view);
    sums.push_back(body.outputs[k].sum_like > 0 && out_shapes[k] != shapes[0]);
  }
  Binding binding{views, out_views, program->roles, {rows, width}};
  binding.sums = sums;
  binding.assemble = true; // nothing is run here
  const BoundPasses passes(program->row.passes, program->row.slots, binding);
  return {passes.assembled(), passes.loops_rows()};
}

bool assembled(const Body& body, Type type) {
  return ways_of(body, type).loops_alone;
}

TEST(LoopPrograms, TypicalKernelsAreAssembled) {
  ZMLX_NEEDS_ASSEMBLER();
  for (const auto& it : typical()) {
    for (Type type : {Type::F32, Type::BF16, Type::F16}) {
      SCOPED_TRACE(it.name + ", " + std::string(lang::name_of(type)));
      EXPECT_TRUE(assembled(it.body, type));
      std::string why;
      const auto gradients = lang::derive(it.body, it.wanted, &why);
      ASSERT_TRUE(gradients) << why;
      EXPECT_TRUE(assembled(*gradients, type)) << "gradients";
    }
  }
}

// What has no loop runs as before, and says so.
TEST(LoopPrograms, OthersAreNot) {
  ZMLX_NEEDS_ASSEMBLER();
  const Expr slow = lang::log1p(x(0)), soft = lang::softmax(x(0));
  EXPECT_FALSE(assembled({{{"x"}}, {{"y", slow, 0}}}, Type::F32));
  EXPECT_FALSE(assembled({{{"x"}}, {{"y", slow * soft, 0}}}, Type::F32));
  EXPECT_FALSE(assembled({{{"x"}}, {{"y", soft, 0}}}, Type::F64));
}

Body turned() {
  const Expr other = lang::pick(x(0), lang::index() ^ 1);
  return {{{"x"}, {"z"}}, {{"y", x(0) * x(1) + other, 0}}};
}

TEST(LoopPrograms, MapsGoThroughTheirRows) {
  ZMLX_NEEDS_ASSEMBLER();
  for (const int64_t width : {5, 64, 700, 8192, 9000, 40000}) {
    for (Type type : {Type::F32, Type::BF16}) {
      SCOPED_TRACE(testing::Message() << width);
      const auto ways = ways_of(turned(), type, width);
      EXPECT_TRUE(ways.loops_alone);
      EXPECT_TRUE(ways.rows);
    }
  }
  EXPECT_FALSE(ways_of(turned(), Type::F32, 70000).loops_alone);
  EXPECT_FALSE(
      ways_of(turned(), Type::F32, 64, Layout::Transposed).loops_alone);
  const Body soft{{{"x"}}, {{"y", lang::softmax(x(0)), 0}}};
  EXPECT_FALSE(ways_of(soft, Type::F32).rows);
}

} // namespace
} // namespace zmlx::backend::cpu
