#include "zmlx/lang/kernel.h"

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"
#include "zmlx/lang/derive.h"
#include "zmlx/lang/functions.h"

namespace zmlx::lang {
namespace {

using Shapes = std::vector<Shape>;

Body body_of(const Kernel::Definition& definition) {
  return Kernel("k", "", definition).body();
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Types, PromoteStoredIsMlxs) {
  EXPECT_EQ(promote_stored(Type::F16, Type::BF16), Type::F32);
  EXPECT_EQ(promote_stored(Type::F16, Type::I64), Type::F16);
  EXPECT_EQ(promote_stored(Type::U8, Type::I8), Type::I16);
  EXPECT_EQ(promote_stored(Type::U32, Type::I32), Type::I64);
  EXPECT_EQ(promote_stored(Type::U64, Type::I64), Type::F32);
  EXPECT_EQ(promote_stored(Type::Bool, Type::U16), Type::U16);
  EXPECT_EQ(promote_stored(Type::U8, Type::U32), Type::U32);
}

TEST(Types, PromoteIsSymmetricAndAboveBoth) {
  for (int i = 0; i <= static_cast<int>(Type::F64); ++i) {
    for (int j = 0; j <= static_cast<int>(Type::F64); ++j) {
      Type a = static_cast<Type>(i), b = static_cast<Type>(j);
      EXPECT_EQ(promote(a, b), promote(b, a));
      EXPECT_EQ(promote_stored(a, b), promote_stored(b, a));
      EXPECT_EQ(compute_type(promote(a, b)), promote(a, b));
      EXPECT_EQ(is_float(promote(a, b)), is_float(a) || is_float(b));
    }
  }
}

TEST(Kernel, AttributesAreAskedForAndChecked) {
  Kernel kernel("clipped", "", [](Define& k) {
    int limit = k.attribute("limit", 7);
    k.output(min(k.input("x"), limit));
  });
  EXPECT_EQ(kernel.define().attributes().at("limit"), 7);
  EXPECT_EQ(kernel.define({{"limit", 3}}).attributes().at("limit"), 3);
  EXPECT_EQ(
      message_of([&] {
        kernel.body({{"limt", 3}});
      }),
      "clipped: no attribute 'limt'; it has limit. Did you mean 'limit'?");
}

TEST(Gradients, GivenAsKernelsOfTheirOwn) {
  // Every second element; the gradient has a place for every one.
  Body body = body_of([](Define& k) {
    auto x = k.input("x", Role::Row), w = k.input("w");
    k.width(x, 1, 2);
    k.output(pick(x, 2 * index()) * w);
    k.gradient(x, [](Define& g) {
      auto x = g.input("x"), w = g.input("w", Role::Row);
      auto c = g.input("d_out", Role::Row);
      g.output_sum_like(
          select(
              index() % 2 == 0,
              pick(c, index() / 2) * pick(w, index() / 2),
              0.0),
          x);
    });
  });
  EXPECT_TRUE(stands_apart(body, 0));
  EXPECT_FALSE(stands_apart(body, 1));
  std::string why;
  const auto own = derive(body, {0}, &why);
  ASSERT_TRUE(own) << why;
  EXPECT_EQ(own->outputs[0].name, "d_x");
  EXPECT_EQ(infer_shapes(*own, {{3, 8}, {4}, {3, 4}}), (Shapes{{3, 8}}));
  EXPECT_FALSE(derive(body, {0, 1}, &why));
  EXPECT_EQ(why, "the gradient of x is a kernel of its own");
  EXPECT_TRUE(derive(body, {1}, &why)) << why;
}

TEST(Gradients, MayReadTheOutputs) {
  Body body = body_of([](Define& k) {
    auto x = k.input("x");
    k.output(exp(x));
    k.gradient(x, [](Define& g) {
      auto x = g.input("x"), c = g.input("d_out"), y = g.input("out");
      g.output_like(c * y, x);
    });
  });
  EXPECT_TRUE(stands_apart(body, 0));
  EXPECT_EQ(derive(body, {0}, nullptr)->inputs.size(), 3u);
}

TEST(Gradients, OfAllInputsAndOneOutput) {
  EXPECT_THROW(
      body_of([](Define& k) {
        auto x = k.input("x"), y = k.input("y");
        k.output(x * y);
        k.gradient(x, [](Define& g) {
          auto x = g.input("x");
          g.output_like(2.0 * x, x);
        });
      }),
      InternalError);
}

TEST(InferShapes, Maps) {
  Body add = body_of([](Define& k) {
    auto a = k.input("a"), b = k.input("b"), s = k.scalar("s");
    k.output(a + b * s);
    k.output(s * 2);
  });
  EXPECT_EQ(
      infer_shapes(add, {{4, 1, 3}, {5, 1}, {}}),
      (Shapes{{4, 5, 3}, {4, 5, 3}}));
  EXPECT_EQ(infer_shapes(add, {{}, {}, {}}), (Shapes{{}, {}}));
  EXPECT_EQ(infer_shapes(add, {{0, 3}, {1}, {}}), (Shapes{{0, 3}, {0, 3}}));
  EXPECT_EQ(
      message_of([&] {
        infer_shapes(add, {{4, 2}, {3}, {}});
      }),
      "b: shape (3) does not broadcast with (4, 2) of the inputs before it");
  EXPECT_EQ(
      message_of([&] {
        infer_shapes(add, {{4}, {4}, {1}});
      }),
      "s: expected a number (a 0-d array), got shape (1)");
  EXPECT_EQ(
      message_of([&] { infer_shapes(add, {{4}}); }),
      "expected 3 arrays (a, b, s), got 1");
}

TEST(InferShapes, Rows) {
  Body row = body_of([](Define& k) {
    auto x = k.input("x"), w = k.input("w");
    k.output(sum(x * w));
    k.output(softmax(x));
    k.output(argmax(x), Type::U32);
    k.output(mean(x) * w);
  });
  EXPECT_EQ(
      infer_shapes(row, {{2, 5, 7}, {7}}),
      (Shapes{{2, 5}, {2, 5, 7}, {2, 5}, {2, 5, 7}}));
  EXPECT_EQ(one_per_row(row), (std::vector<bool>{true, false, true, false}));
  EXPECT_NE(
      message_of([&] {
        infer_shapes(row, {{}, {}});
      }).find("at least one axis"),
      std::string::npos);
}

TEST(InferShapes, PickedRowsKeepTheirLastAxis) {
  Body at = body_of([](Define& k) {
    auto table = k.input("table", Role::Row), i = k.input("i");
    k.output(pick(table, i));
  });
  EXPECT_EQ(infer_shapes(at, {{9}, {4, 3}}), (Shapes{{4, 3}}));
  EXPECT_EQ(infer_shapes(at, {{4, 9}, {4, 3}}), (Shapes{{4, 3}}));
  EXPECT_EQ(
      message_of([&] {
        infer_shapes(at, {{}, {3}});
      }),
      "table: expected an array with rows, got shape ()");
}

Body affine_product() {
  return body_of([](Define& k) {
    auto x = k.input("x"), r = k.input("r");
    auto w = k.weight("w", 4, 32);
    k.output(r + product(x, w));
  });
}

TEST(InferShapes, Products) {
  Body body = affine_product();
  EXPECT_EQ(
      infer_shapes(body, {{2, 64}, {48}, {48, 8}, {48, 2}, {48, 2}}),
      (Shapes{{2, 48}}));
  EXPECT_EQ(
      message_of([&] {
        infer_shapes(body, {{2, 64}, {48}, {48, 9}, {48, 2}, {48, 2}});
      }),
      "w: expected shape (M, 8) for 4 bits and rows of 64, got (48, 9)");
  EXPECT_EQ(
      message_of([&] {
        infer_shapes(body, {{2, 64}, {48}, {48, 8}, {48, 2}, {48, 1}});
      }),
      "w_biases: expected shape (48, 2), got (48, 1)");
  EXPECT_EQ(
      message_of([&] {
        infer_shapes(body, {{2, 64}, {64}, {48, 8}, {48, 2}, {48, 2}});
      }),
      "r: expected shape one that broadcasts to (2, 48), got (64)");
  EXPECT_EQ(
      message_of([&] {
        infer_shapes(body, {{2, 48}, {48}, {48, 6}, {48, 2}, {48, 2}});
      }),
      "w: rows of 48 are not a whole number of groups of 32");
}

TEST(InferShapes, MergedProductsHaveTheirOwnPlaces) {
  Body body = body_of([](Define& k) {
    auto x = k.input("x");
    auto q = k.weight("q", 0, 0), v = k.weight("v", 0, 0);
    k.output(product(x, q), "q_out");
    k.output(product(x, v), "v_out");
  });
  EXPECT_EQ(
      infer_shapes(body, {{1, 8}, {16, 8}, {4, 8}}), (Shapes{{1, 16}, {1, 4}}));
  EXPECT_EQ(
      message_of([&] {
        infer_shapes(body, {{1, 8}, {16, 9}, {4, 8}});
      }),
      "q: expected shape (M, 8), got (16, 9)");
}

TEST(InferShapes, Attention) {
  Body body = body_of([](Define& k) {
    auto q = k.input("q", Role::Whole), keys = k.input("k", Role::Whole),
         v = k.input("v", Role::Whole), n = k.input("n", Role::Whole);
    k.output(attention(q, keys, v, n, 0.125));
  });
  EXPECT_EQ(
      infer_shapes(body, {{1, 9, 1, 64}, {1, 3, 256, 64}, {1, 3, 256, 64}, {}}),
      (Shapes{{1, 9, 1, 64}}));
  EXPECT_EQ(
      message_of([&] {
        infer_shapes(
            body, {{1, 9, 1, 64}, {1, 2, 256, 64}, {1, 2, 256, 64}, {}});
      }),
      "k: expected shape (1, H_kv, capacity, 64) with H_kv a divisor of 9, "
      "got (1, 2, 256, 64)");
}

TEST(InferTypes, Outputs) {
  Body body = body_of([](Define& k) {
    auto a = k.input("a"), b = k.input("b");
    k.output(a + b);
    k.output(a > b, Type::Bool);
    k.output_like(a * b, b);
    k.output(exp(a));
  });
  using Types = std::vector<Type>;
  EXPECT_EQ(
      infer_types(body, {Type::F16, Type::F32}),
      (Types{Type::F32, Type::Bool, Type::F32, Type::F32}));
  EXPECT_EQ(
      infer_types(body, {Type::U8, Type::I8}),
      (Types{Type::I16, Type::Bool, Type::I8, Type::F32}));
}

} // namespace
} // namespace zmlx::lang
