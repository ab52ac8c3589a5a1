// Vector programs on memory of every type and layout, against an evaluation of
// the tree in float64, place by place.
#include <cmath>
#include <limits>
#include <vector>

#include <fmt/format.h>

#include "tests/backend/cpu/oracle.h"
#include "tests/backend/cpu/targets.h"
#include "zmlx/backend/cpu/cpu.h"
#include "zmlx/backend/cpu/passes.h"
#include "zmlx/lang/functions.h"
#include "zmlx/lang/lower.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Body;

/// Runs value(inputs) for 1, 2 and 3 parts: the same bits each time, and what
/// the oracle says.
void check(
    const Expr& value,
    std::vector<Array> inputs,
    Type type,
    Layout layout = Layout::Plain,
    std::vector<Role> roles = {}) {
  Body body;
  std::vector<Type> types;
  std::vector<Shape> shapes;
  for (size_t i = 0; i < inputs.size(); ++i) {
    body.inputs.push_back(
        {fmt::format("x{}", i), i < roles.size() ? roles[i] : Role::Element});
    types.push_back(inputs[i].type);
    shapes.push_back(inputs[i].shape);
    inputs[i].fill(static_cast<unsigned>(i) + 11);
  }
  body.outputs.push_back({"out", value, -1, type});
  std::string why;
  const auto program = lang::lower(body, types, &why);
  ASSERT_TRUE(program) << why;
  ASSERT_EQ(instance().unsupported(*program), std::nullopt);
  const Shape shape = lang::infer_shapes(body, shapes)[0];
  Shape space = shape;
  for (const auto& input : inputs) {
    if (&input - inputs.data() >= static_cast<int>(roles.size())) {
      space = lang::broadcast(
          space.size() < input.shape.size() ? Shape() : space, input.shape);
    }
  }
  const auto executable = compile(*program);
  std::vector<View> views;
  for (const auto& input : inputs) {
    views.push_back(input.view);
  }
  std::vector<unsigned char> first;
  Array out(type, shape, layout);
  for (int parts : {1, 2, 3}) {
    std::fill(out.memory.begin(), out.memory.end(), 0xEE);
    const auto launch = executable->bind(views, std::span(&out.view, 1));
    for (int part = parts; part-- > 0;) {
      launch->run(part, parts);
    }
    if (first.empty()) {
      first = out.memory;
    }
    ASSERT_EQ(out.memory, first) << parts << " parts";
  }
  const Oracle oracle(inputs, space);
  const int64_t places = count(space), elements = count(shape);
  for (int64_t i = 0; i < elements; ++i) {
    // An output of a reduction has one element per row.
    const int64_t place = elements == places ? i : i * space.back();
    const double want = oracle.at(value, place), got = out.read(i);
    if (std::isinf(want)) {
      ASSERT_EQ(got, want) << "element " << i;
    } else {
      ASSERT_NEAR(got, want, tolerance(type) * (1 + std::abs(want)))
          << "element " << i << " of " << elements;
    }
  }
}

Expr x(int i) {
  return lang::input(i);
}

TEST(VectorPrograms, MapsOfEveryLength) {
  for_each_target([] {
    for (int64_t n = 0; n <= 130; ++n) {
      check(
          lang::silu(x(0)) * x(1),
          {{Type::F32, {n}, Layout::Plain}, {Type::F32, {n}, Layout::Offset}},
          Type::F32);
    }
    check(
        lang::silu(x(0)) * x(1),
        {{Type::F32, {5003}, Layout::Plain},
         {Type::F32, {5003}, Layout::Plain}},
        Type::F32);
  });
}

TEST(VectorPrograms, FactorsOfSlowOperations) {
  const auto sigmoid = lang::sigmoid(x(0));
  const Expr formulas[] = {
      sigmoid * x(1), // one factor
      x(1) * sigmoid * x(2), // a factor before, one after
      sigmoid * x(1) * x(2) * x(0), // more than a loop takes
      sigmoid * sigmoid * x(1), // its own factor
      sigmoid * x(1) + sigmoid * x(2), // read twice
      lang::exp(x(0)) * 0.25 * x(1), // a number
      lang::tanh(x(0)) * lang::exp(x(1)), // two slow ones
      lang::erf(x(0)) * (x(1) + x(2)), // what is made in between
  };
  for_each_target([&] {
    for (const Expr& formula : formulas) {
      SCOPED_TRACE(&formula - formulas);
      for (int64_t n : {1, 15, 33, 1024, 2051}) {
        check(
            formula + 0 * x(2),
            {{Type::F32, {n}, Layout::Plain},
             {Type::F32, {n}, Layout::Offset},
             {Type::F32, {1}, Layout::Plain}},
            Type::F32);
      }
    }
  });
}

TEST(VectorPrograms, MapsOfEveryLayout) {
  for (Layout a : kLayouts) {
    for (Layout b : kLayouts) {
      check(
          x(0) * x(1) + 2,
          {{Type::F32, {3, 5, 7}, a}, {Type::F32, {3, 5, 7}, b}},
          Type::F32,
          a);
    }
    check(
        x(0) - x(1) * x(2),
        {{Type::F32, {6, 5, 9}, a},
         {Type::F32, {9}, a},
         {Type::F32, {6, 1, 1}, a}},
        Type::F32);
    check(
        x(0) + x(1),
        {{Type::BF16, {40, 1}, a}, {Type::F16, {1, 33}, a}},
        Type::F32,
        a);
  }
}

TEST(VectorPrograms, EveryStoredType) {
  for_each_target([] {
    for (int k = 0; k <= static_cast<int>(Type::F64); ++k) {
      const Type type = static_cast<Type>(k);
      for (Layout layout : kLayouts) {
        check(
            x(0) + x(0),
            {{type, {4, 37}, layout}},
            type == Type::Bool ? Type::I32 : type,
            layout);
        check(
            lang::cast(Type::F32, x(0)) * 0.5,
            {{type, {61}, layout}},
            Type::F32);
      }
    }
    check(x(0) < 1, {{Type::F32, {300}, Layout::Plain}}, Type::Bool);
    check(
        lang::select(x(0) < x(1), x(0), 7),
        {{Type::I64, {100}, Layout::Plain}, {Type::I64, {}, Layout::Plain}},
        Type::I64);
  });
}

TEST(VectorPrograms, RowsOfEveryWidth) {
  for_each_target([] {
    for (int64_t d :
         {1, 2, 3, 15, 16, 17, 63, 64, 65, 130, 1023, 1024, 1025, 3000}) {
      const Array a(Type::F32, {5, d}, Layout::Plain);
      const Array w(Type::F32, {d}, Layout::Plain);
      check(lang::softmax(x(0)), {a}, Type::F32);
      check(lang::rms_norm(x(0), x(1), Expr(1e-5)), {a, w}, Type::F32);
      check(lang::max_of(x(0)), {a}, Type::F32);
      check(lang::argmax(x(0)), {a}, Type::U32);
      check(lang::argmin(x(0)), {a}, Type::U32);
      check(lang::sum(x(0)), {a}, Type::F32);
    }
  });
}

TEST(VectorPrograms, RowsOfEveryLayoutAndType) {
  for (Layout layout : kLayouts) {
    for (Type type : {Type::F16, Type::BF16, Type::F32, Type::F64}) {
      check(lang::softmax(x(0)), {{type, {2, 3, 70}, layout}}, type, layout);
    }
    check(
        x(0) * lang::sum(x(1)) + lang::index(),
        {{Type::F32, {4, 1}, layout}, {Type::F32, {3, 4, 20}, layout}},
        Type::F32);
    for (Type type : {Type::I32, Type::U32, Type::I64, Type::U64}) {
      check(lang::sum(x(0)), {{type, {6, 33}, layout}}, type);
      check(lang::min_of(x(0)), {{type, {6, 33}, layout}}, type);
      check(lang::argmax(x(0)), {{type, {6, 33}, layout}}, Type::U32);
    }
    check(lang::prod(x(0)), {{Type::F32, {6, 9}, layout}}, Type::F32);
  }
}

TEST(VectorPrograms, ValuesKeptForALaterPass) {
  for_each_target([] {
    for (int64_t d : {1, 5, 1025, 40000, 70000}) { // kept, and too long for it
      const Array a(Type::F32, {3, d}, Layout::Plain);
      const Array each(Type::F32, {3, 1}, Layout::Plain);
      const Expr e = lang::exp(x(0) - lang::max_of(x(0)));
      check(e / lang::sum(e) + e * lang::tanh(e), {a}, Type::F32);
      // The same along the row: made once, whatever the formula says.
      const Expr f = lang::exp(x(1));
      check(x(0) * f / lang::sum(f * x(0) * x(0)), {a, each}, Type::F32);
    }
  });
}

TEST(VectorPrograms, PairsOfInstructionsAndSumsOfProducts) {
  const Expr sum = x(0) + x(1), product = x(0) * x(1), less = x(0) - x(1);
  const Expr formulas[] = {
      sum + x(2),
      sum * x(2),
      sum - x(2),
      x(2) - sum,
      product + x(2),
      x(2) + product,
      product * x(2),
      product - x(2),
      x(2) - product,
      less + x(2),
      less * x(2),
      less - x(2),
      x(2) - less,
      less * less, // read twice
      lang::exp(x(0) - x(1)) * x(2),
      lang::exp(0.5 - x(0)),
      (product + x(2)) * 0.25 - x(0),
      sum * product - less, // both sides could be joined
      x(0) * lang::sum(product),
      x(0) * lang::sum(product * x(2)) + lang::sum(x(0) * x(0)),
      x(0) * lang::sum(product * 0.5) + lang::sum(product),
      x(0) * lang::sum(sum * x(2)),
      x(0) * lang::sum(less * less),
      x(0) * lang::sum(less * less) + lang::max_of(less),
      (x(0) + 1) / (x(2) + 5), // by one number per row
  };
  for_each_target([&] {
    for (const Expr& formula : formulas) {
      SCOPED_TRACE(&formula - formulas);
      for (int64_t n : {1, 15, 33, 1024, 2051}) {
        check(
            formula,
            {{Type::F32, {2, n}, Layout::Plain},
             {Type::F32, {2, n}, Layout::Offset},
             {Type::F32, {2, 1}, Layout::Plain}},
            Type::F32);
      }
    }
  });
}

TEST(VectorPrograms, EmptyRowsAndNoRows) {
  for (const Shape& shape : {Shape{3, 0}, Shape{0, 4}, Shape{0, 0}}) {
    const Array a(Type::F32, shape, Layout::Plain);
    check(lang::sum(x(0)), {a}, Type::F32);
    check(lang::prod(x(0)), {a}, Type::F32);
    check(lang::max_of(x(0)), {a}, Type::F32);
    check(lang::argmax(x(0)), {a}, Type::U32);
    check(lang::softmax(x(0)), {a}, Type::F32);
  }
}

TEST(VectorPrograms, PickReadsTheRowAndNeverOutside) {
  for (Layout layout : kLayouts) {
    for (Type type : {Type::F32, Type::BF16, Type::U8, Type::F64}) {
      check(
          lang::pick(x(0), lang::index() - 3) + x(1),
          {{type, {4, 9}, layout}, {Type::F32, {4, 80}, layout}},
          type == Type::F64 ? Type::F64 : Type::F32,
          Layout::Plain,
          {Role::Row});
    }
  }
}

TEST(VectorPrograms, LargeRowsAreTheSmallOnesBits) {
  // Outputs of many bytes are stored past the caches.
  const int64_t rows = 2200, width = 1024, few = 40;
  Array in(Type::F32, {rows, width}, Layout::Plain);
  in.fill(3);
  const Expr scaled = x(0) * lang::rsqrt(lang::mean(x(0) * x(0)) + 1e-5);
  const Body body{{{"x"}}, {{"a", lang::softmax(x(0))}, {"b", scaled}}};
  const auto executable = compile(*lang::lower(body, {Type::F32}, nullptr));
  const auto run = [&](int64_t first, int64_t n, int parts) {
    Array a(Type::F32, {n, width}, Layout::Plain);
    Array b(Type::F32, {n, width}, Layout::Plain);
    View from = in.view;
    from.data = cpu::pointer<float>(from.data) + first * width;
    from.shape[0] = n;
    const View to[] = {a.view, b.view};
    const auto launch = executable->bind({&from, 1}, to);
    for (int part = parts; part-- > 0;) {
      launch->run(part, parts);
    }
    std::vector<float> both;
    for (const Array* out : {&a, &b}) {
      const auto* data = cpu::pointer<const float>(out->view.data);
      both.insert(both.end(), data, data + n * width);
    }
    return both;
  };
  const auto all = run(0, rows, 3);
  for (int64_t first = 0; first < rows; first += few) {
    const auto some = run(first, few, 1);
    const auto half = some.begin() + few * width;
    ASSERT_TRUE(
        std::equal(some.begin(), half, all.begin() + first * width) &&
        std::equal(half, some.end(), all.begin() + (rows + first) * width))
        << "row " << first;
  }
}

TEST(VectorPrograms, NanInReductions) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for_each_target([&] {
    for (int64_t where : {0, 7, 1030}) {
      std::vector<float> row(1100, 1.0f);
      row[3] = -5;
      row[where] = nan;
      float most = 0, least = 0;
      uint32_t largest = 0, smallest = 0;
      const auto run = [&](const Expr& e, Type type, void* out) {
        Body body{{{"x"}}, {{"out", e, -1, type}}};
        const auto program = lang::lower(body, {Type::F32}, nullptr);
        const View in{row.data(), Type::F32, {1100}, {1}};
        const View to{out, type, {}, {}};
        compile(*program)->bind({&in, 1}, {&to, 1})->run(0, 1);
      };
      run(lang::max_of(x(0)), Type::F32, &most);
      run(lang::min_of(x(0)), Type::F32, &least);
      run(lang::argmax(x(0)), Type::U32, &largest);
      run(lang::argmin(x(0)), Type::U32, &smallest);
      EXPECT_TRUE(std::isnan(most));
      EXPECT_TRUE(std::isnan(least));
      EXPECT_EQ(largest, where);
      EXPECT_EQ(smallest, 3u);
    }
  });
}

TEST(VectorPrograms, OutputMayBeAnInputsMemory) {
  std::vector<float> a(3000), b(3000), want_a(3000), want_b(3000);
  for (int i = 0; i < 3000; ++i) {
    a[i] = static_cast<float>(i);
    b[i] = static_cast<float>(3 * i % 17);
    want_a[i] = a[i] + b[i];
    want_b[i] = b[i] * 2;
  }
  // Two outputs over the two inputs, the first made from both.
  Body body{
      {{"a"}, {"b"}},
      {{"s", x(0) + x(1), -1, Type::F32}, {"d", x(1) * 2, -1, Type::F32}}};
  const auto program = lang::lower(body, {Type::F32, Type::F32}, nullptr);
  const std::vector<View> views = {
      {a.data(), Type::F32, {3000}, {1}}, {b.data(), Type::F32, {3000}, {1}}};
  const auto launch = compile(*program)->bind(views, views);
  launch->run(0, 1);
  EXPECT_EQ(a, want_a);
  EXPECT_EQ(b, want_b);
}

TEST(VectorPrograms, ViewsPlacedWhenTheyRun) {
  std::vector<float> table(10 * 8), out(8 * 4, -1);
  for (size_t i = 0; i < table.size(); ++i) {
    table[i] = static_cast<float>(i);
  }
  int32_t token = 0, position = 0;
  Body body{{{"x"}}, {{"out", x(0) * 2, -1, Type::F32}}};
  const auto program = lang::lower(body, {Type::F32}, nullptr);
  const View in{table.data(), Type::F32, {8}, {1}, &token, 8, 10};
  const View to{out.data(), Type::F32, {8}, {1}, &position, 8, 4};
  const auto launch = compile(*program)->bind({&in, 1}, {&to, 1});
  token = 7;
  position = 2;
  launch->run(0, 1);
  EXPECT_EQ(out[15], -1);
  EXPECT_EQ(out[16], 2 * 56);
  EXPECT_EQ(out[23], 2 * 63);
  EXPECT_EQ(out[24], -1);
}

TEST(VectorPrograms, LargeOutputsByWayOfStreamingStores) {
  const int64_t n = (3 << 20) + 21;
  std::vector<float> a(n);
  for (int64_t i = 0; i < n; ++i) {
    a[i] = static_cast<float>(i % 4099);
  }
  std::vector<float> memory(n + 64, -1);
  auto* out = memory.data();
  while (reinterpret_cast<uintptr_t>(out) % 64) {
    ++out;
  }
  Body body{{{"x"}}, {{"out", x(0) + 1, -1, Type::F32}}};
  const auto program = lang::lower(body, {Type::F32}, nullptr);
  const View in{a.data(), Type::F32, {n}, {1}}, to{out, Type::F32, {n}, {1}};
  run(*compile(*program)->bind({&in, 1}, {&to, 1}));
  for (int64_t i = 0; i < n; ++i) {
    ASSERT_EQ(out[i], a[i] + 1);
  }
  EXPECT_EQ(out[n], -1);
}

TEST(VectorPrograms, LaunchesFollowEachOther) {
  const int64_t n = 1000;
  std::vector<float> a(n, 1.0f);
  Body body{{{"x"}}, {{"out", x(0) + 1, -1, Type::F32}}};
  const auto program = lang::lower(body, {Type::F32}, nullptr);
  const auto executable = compile(*program);
  // Forwards and backwards in turn, so that a part reads what others wrote.
  const View there{a.data(), Type::F32, {n}, {1}};
  std::vector<float> b(n);
  const View back{b.data() + n - 1, Type::F32, {n}, {-1}};
  std::vector<SequenceItem> items;
  for (int i = 0; i < 50; ++i) {
    items.push_back({executable, {there}, {back}});
    items.push_back({executable, {back}, {there}});
  }
  const auto sequence = instance().sequence(std::move(items), {}, {});
  instance().queue()->run(*sequence);
  EXPECT_EQ(a, std::vector<float>(n, 101.0f));
}

TEST(BoundPasses, FillAFloatRow) {
  lang::Program program;
  program.row.slots = 1;
  program.row.passes.resize(2);
  program.row.passes[0].code = {
      {.op = Op::Input, .type = Type::F32, .number = 0}};
  program.row.passes[0].reductions = {{Op::Sum, 0, 0}};
  program.row.passes[1].code = {
      {.op = Op::Input, .type = Type::F32, .number = 0},
      {.op = lang::Op::Slot, .type = Type::F32, .uniform = true, .number = 0},
      {.op = Op::Div, .type = Type::F32, .in = {0, 1}}};
  program.row.passes[1].stores = {{-1, 2}};
  Array a(Type::BF16, {3, 2500}, Layout::Offset);
  a.fill(4);
  const BoundPasses rows(
      program.row.passes, 1, {{&a.view, 1}, {}, {}, {3, 2500}});
  EXPECT_EQ(rows.rows(), 3);
  EXPECT_EQ(rows.width(), 2500);
  std::vector<float> out(2501, -9);
  rows.run(1, 0, 2500, {.out = out.data()});
  double sum = 0;
  for (int i = 0; i < 2500; ++i) {
    sum += a.values[2500 + i];
  }
  for (int i = 0; i < 2500; ++i) {
    const double want = a.values[2500 + i] / sum;
    ASSERT_NEAR(out[i], want, 1e-4 * std::abs(want));
  }
  EXPECT_EQ(out[2500], -9);
}

TEST(BoundPasses, StoreTheirOwnWidthFromAccumulators) {
  // out0 (2, 7) = acc0 * acc1 + x, out1 (2, 3) = acc2.
  lang::Program program;
  lang::Pass& pass = program.store;
  pass.code = {
      {.op = lang::Op::Slot, .type = Type::F32, .number = 0},
      {.op = lang::Op::Slot, .type = Type::F32, .number = 1},
      {.op = Op::Mul, .type = Type::F32, .in = {0, 1}},
      {.op = Op::Input, .type = Type::F32, .number = 0},
      {.op = Op::Add, .type = Type::F32, .in = {2, 3}},
      {.op = lang::Op::Slot, .type = Type::F32, .number = 2}};
  pass.stores = {{0, 4}, {1, 5}};
  Array in(Type::F32, {2, 7}, Layout::Transposed);
  in.fill(9);
  Array out0(Type::F16, {2, 7}, Layout::Plain);
  Array out1(Type::F32, {2, 3}, Layout::Plain);
  const std::vector<View> outputs = {out0.view, out1.view};
  const auto bind = [&](const lang::Shape& shape) {
    return BoundPasses(
        {&program.store, 1},
        0,
        {{&in.view, 1}, outputs, {}, shape, Walk::Store});
  };
  const BoundPasses wide = bind({2, 7}), narrow = bind({2, 3});
  const std::vector<float> acc0 = {1, 2, 3}, acc1 = {4, 5, 6}, acc2 = {7, 8};
  const float* first[] = {acc0.data(), acc1.data(), nullptr};
  const float* second[] = {nullptr, nullptr, acc2.data()};
  wide.run(1, 2, 5, {.accumulators = first});
  narrow.run(0, 1, 3, {.accumulators = second});
  for (int i = 0; i < 3; ++i) {
    EXPECT_NEAR(out0.read(9 + i), acc0[i] * acc1[i] + in.values[9 + i], 0.02);
  }
  EXPECT_EQ(out1.read(1), 7);
  EXPECT_EQ(out1.read(2), 8);
  EXPECT_EQ(out1.memory[0], 0xCD); // place 0 was not asked for
}

} // namespace
} // namespace zmlx::backend::cpu
