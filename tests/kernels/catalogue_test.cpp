// Kernels against MLX's own operations where MLX has them, and the catalogue as
// a whole. Conformance does the rest.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "tests/op/support.h"
#include "zmlx/base/errors.h"
#include "zmlx/kernels/activations.h"
#include "zmlx/kernels/attention.h"
#include "zmlx/kernels/gather.h"
#include "zmlx/kernels/norms.h"
#include "zmlx/kernels/product.h"
#include "zmlx/kernels/quant.h"
#include "zmlx/kernels/reductions.h"
#include "zmlx/kernels/rope.h"
#include "zmlx/kernels/softmax.h"

namespace zmlx::kernels {

namespace {

using namespace op::test;

const float kInf = std::numeric_limits<float>::infinity();
const float kNan = std::numeric_limits<float>::quiet_NaN();

mx::array normal(const mx::Shape& shape, uint64_t seed) {
  return mx::random::normal(shape, mx::float32, mx::random::key(seed));
}

TEST(Catalogue, NamesAreSortedAndEachKernelHasCasesAndAMeaning) {
  const auto all = op::catalogue();
  ASSERT_GE(all.size(), 40u);
  std::string last;
  for (const auto* kernel : all) {
    SCOPED_TRACE(kernel->name());
    EXPECT_LT(last, kernel->name());
    EXPECT_FALSE(kernel->summary().empty());
    const auto defined = kernel->define();
    EXPECT_FALSE(defined.listed_cases().empty());
    for (const auto& c : defined.listed_cases()) {
      const auto body = kernel->body(c.attributes);
      EXPECT_EQ(c.shapes.size(), body.inputs.size()) << c.name;
      EXPECT_NO_THROW(lang::infer_shapes(body, c.shapes)) << c.name;
    }
    last = kernel->name();
  }
}

TEST(Catalogue, UnknownNamesAndAttributesAreNamedWithTheNearest) {
  try {
    op::find_op("swiglu_aoi");
    FAIL();
  } catch (const UserError& error) {
    EXPECT_NE(
        std::string(error.what()).find("Did you mean 'swiglu_oai'?"),
        std::string::npos)
        << error.what();
  }
  EXPECT_EQ(&op::find_op("rope"), &rope);
  EXPECT_THROW(rope.with({{"dim", 64}}), UserError);
  EXPECT_THROW(quantized_matmul.with({{"bits", 4.5}}), UserError);
  EXPECT_THROW(dequantize_affine_packed.with({{"bits", 7}}), UserError);
}

TEST(Catalogue, OtherNamesAreTheSameKernel) {
  EXPECT_EQ(&op::find_op("fused_add_rmsnorm"), &add_rms_norm);
  EXPECT_EQ(&rmsnorm_residual, &add_rms_norm);
  EXPECT_EQ(&op::find_op("fused_add_layernorm"), &layernorm_residual);
  EXPECT_EQ(
      op::aliases_of(add_rms_norm),
      (std::vector<std::string>{
          "fused_add_rmsnorm", "residual_rmsnorm", "rmsnorm_residual"}));
  EXPECT_TRUE(op::aliases_of(rmsnorm).empty());
  EXPECT_THROW(op::alias("rmsnorm", add_rms_norm), InternalError);
}

void define_copied(lang::Define& k) {
  k.output(k.input("x") + 1);
  k.cases({{"33", {{33}}}});
}

/// As a header that a program and the library compile, each for itself.
struct Copied {
  Copied() : kernel("copied", "x + 1", define_copied) {}
  op::Op kernel;
};

TEST(Catalogue, CopiesOfOneDefinitionAreOneKernel) {
  static const Copied a, b; // the catalogue keeps them
  const auto &first = a.kernel, &second = b.kernel;
  EXPECT_TRUE(first.same_definition(second));
  EXPECT_EQ(&op::find_op("copied"), &first);
  op::alias("other_copied", first);
  op::alias("other_copied", second);
  EXPECT_EQ(op::aliases_of(second), std::vector<std::string>{"other_copied"});
  EXPECT_EQ(second(mx::array(1.0f)).item<float>(), 2);

  try {
    op::Op("copied", "x + 1", define_copied);
    FAIL();
  } catch (const InternalError& error) {
    EXPECT_STREQ(error.what(), "two kernels are named 'copied'");
  }
}

class Rope : public testing::TestWithParam<std::tuple<int, bool>> {};

TEST_P(Rope, EqualsMlxAtFarPositions) {
  const auto [dims, traditional] = GetParam();
  const auto x = normal({2, 3, 1, 64}, 1);
  const auto inv_freq = mx::exp(mx::multiply(
      mx::arange(0, dims / 2, 1, mx::float32),
      mx::array(-std::log(10000.f) * 2 / dims)));
  const auto ours =
      rope.with({{"dims", dims}, {"traditional", traditional ? 1 : 0}});
  for (int position : {0, 1, 37, 2047, 30000}) {
    const auto want =
        mx::fast::rope(x, dims, traditional, 10000.f, 0.5f, position);
    // MLX's sine and cosine, and its angles, are float32 of their own.
    expect_near(ours(x, position, inv_freq, 0.5), want, 1e-6 * (10 + position));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Pairs,
    Rope,
    testing::Combine(testing::Values(64, 32), testing::Bool()));

TEST(Rope, TablesGiveWhatAnglesGive) {
  const auto x = normal({2, 3, 5, 64}, 1);
  const auto inv_freq = mx::exp(
      mx::multiply(mx::arange(0, 32, 1, mx::float32), mx::array(-0.2f)));
  const auto position = mx::reshape(mx::arange(5), {5, 1});
  const auto angles = mx::multiply(
      mx::astype(position, mx::float32), mx::reshape(inv_freq, {1, 32}));
  expect_near(
      apply_rope(x, mx::cos(angles), mx::sin(angles)),
      rope(x, position, inv_freq, 1.0),
      1e-5);
  expect_near(
      apply_rope_interleaved(x, mx::cos(angles), mx::sin(angles)),
      rope.with({{"traditional", 1}})(x, position, inv_freq, 1.0),
      1e-5);
}

class Dequantize : public testing::TestWithParam<int> {};

TEST_P(Dequantize, EqualsMlxBitForBit) {
  const int bits = GetParam();
  for (int group_size : {32, 64, 128}) {
    const auto parts = mx::quantize(normal({24, 384}, bits), group_size, bits);
    const auto ours = dequantize_affine_packed.with(
        {{"bits", bits}, {"group_size", group_size}});
    expect_same_bits(
        ours(parts[0], parts[1], parts[2]),
        mx::dequantize(parts[0], parts[1], parts[2], group_size, bits));
    // Rows of an embedding.
    const mx::array tokens({3, 0, 23, 3});
    const auto row = [&](int i) { return mx::take(parts[i], tokens, 0); };
    expect_same_bits(
        ours(row(0), row(1), row(2)),
        mx::dequantize(row(0), row(1), row(2), group_size, bits));
  }
}

INSTANTIATE_TEST_SUITE_P(Bits, Dequantize, testing::Values(2, 3, 4, 5, 6, 8));

TEST(Norms, EqualMlx) {
  const auto x = normal({5, 129}, 1), w = normal({129}, 2),
             b = normal({129}, 3);
  expect_near(rmsnorm(x, w, 1e-5), mx::fast::rms_norm(x, w, 1e-5f), 1e-5);
  expect_near(
      layernorm(x, w, b, 1e-5), mx::fast::layer_norm(x, w, b, 1e-5f), 1e-5);
  // A mean far from zero does not spoil the variance.
  const auto far = mx::add(x, mx::array(3000.f));
  expect_near(
      layer_norm_no_weight(far, 1e-5),
      mx::fast::layer_norm(far, std::nullopt, std::nullopt, 1e-5f),
      1e-3);
}

TEST(Softmax, InfinitiesAsMlx) {
  mx::array x(
      {-kInf, -kInf, -kInf, 1.f, -kInf, 2.f, 1.f, kInf, 0.f, kNan, 1.f, 2.f},
      {4, 3});
  expect_near(softmax_lastdim(x), mx::softmax(x, -1), 1e-6);
  const auto got = values(logsumexp_lastdim(x));
  EXPECT_EQ(got[0], -kInf);
  EXPECT_NEAR(got[1], std::log(std::exp(1) + std::exp(2)), 1e-6);
  EXPECT_EQ(got[2], kInf);
  EXPECT_TRUE(std::isnan(got[3]));
}

TEST(Reductions, NanAndTies) {
  mx::array x({1.f, kNan, 3.f, 3.f, 2.f, 3.f}, {2, 3});
  EXPECT_EQ(values(argmax_lastdim(x)), (std::vector<double>{1, 0}));
  EXPECT_TRUE(std::isnan(values(max_lastdim(x))[0]));
  EXPECT_EQ(values(max_lastdim(x))[1], 3);
  EXPECT_TRUE(std::isnan(values(relu(x))[1]));
}

TEST(Activations, StayFiniteForLargeNumbers) {
  mx::array x({-1000.f, -200.f, 200.f, 1000.f});
  EXPECT_EQ(values(softplus(x)), (std::vector<double>{0, 0, 200, 1000}));
  EXPECT_EQ(values(silu(x)), (std::vector<double>{0, 0, 200, 1000}));
  EXPECT_EQ(values(gelu_tanh(x)), (std::vector<double>{0, 0, 200, 1000}));
  EXPECT_EQ(values(mish(x)), (std::vector<double>{0, 0, 200, 1000}));
}

TEST(Products, EqualMlx) {
  const auto w = normal({97, 256}, 1), x = normal({1, 256}, 2);
  expect_near(matmul_nt(x, w), mx::matmul(x, mx::transpose(w)), 1e-4);
  for (int bits : {4, 8}) {
    const auto p = mx::quantize(w, 32, bits);
    expect_near(
        quantized_matmul.with({{"bits", bits}, {"group_size", 32}})(
            x, p[0], p[1], p[2]),
        mx::quantized_matmul(x, p[0], p[1], p[2], true, 32, bits),
        1e-4);
  }
}

TEST(Products, TransposedWeightsAreReadRight) {
  const auto w = mx::transpose(normal({256, 97}, 1)), x = normal({3, 256}, 2);
  expect_near(matmul_nt(x, w), mx::matmul(x, mx::transpose(w)), 1e-4);
}

TEST(Attention, EqualsMlx) {
  const auto q = normal({1, 9, 1, 64}, 1);
  const auto k = normal({1, 3, 200, 64}, 2), v = normal({1, 3, 200, 64}, 3);
  const auto attention = decode_attention.with({{"scale", 0.125}});
  for (int length : {1, 7, 199, 200}) {
    const auto first = [&](const mx::array& a) {
      return mx::slice(a, {0, 0, 0, 0}, {1, 3, length, 64});
    };
    expect_near(
        attention(q, k, v, length),
        mx::fast::scaled_dot_product_attention(q, first(k), first(v), 0.125f),
        1e-5);
  }
}

TEST(Gradients, RmsNormAndRopeEqualMlx) {
  using Arrays = std::vector<mx::array>;
  const auto x = normal({1, 2, 1, 64}, 1), w = normal({64}, 2);
  const auto inv_freq = mx::exp(mx::multiply(
      mx::arange(0, 32, 1, mx::float32), mx::array(-std::log(10000.f) / 32)));
  const auto c = normal({1, 2, 1, 64}, 3);
  const auto ours = mx::vjp(
      [&](const Arrays& in) {
        return Arrays{rope(rmsnorm(in[0], in[1], 1e-5), 9, inv_freq, 1.0)};
      },
      {x, w},
      {c});
  const auto native = mx::vjp(
      [&](const Arrays& in) {
        return Arrays{mx::fast::rope(
            mx::fast::rms_norm(in[0], in[1], 1e-5f),
            64,
            false,
            10000.f,
            1.f,
            9)};
      },
      {x, w},
      {c});
  expect_near(ours.first[0], native.first[0], 1e-4);
  expect_near(ours.second[0], native.second[0], 1e-4);
  expect_near(ours.second[1], native.second[1], 1e-4);
}

std::string refusal_of(const op::Op& kernel, lang::Attributes attributes) {
  try {
    kernel.with(attributes);
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Attributes, ThatAreNoValuesAreRefusedAndHarmNoOthers) {
  EXPECT_EQ(
      refusal_of(decode_attention, {{"scale", std::nan("")}}),
      "decode_attention: attribute 'scale': expected a number, got NaN");
  EXPECT_EQ(refusal_of(decode_attention, {{"scale", 0.125}}), "no error");
  EXPECT_EQ(
      decode_attention.with({{"scale", 0.5}}).call()->attributes.at("scale"),
      0.5);
  EXPECT_NE(
      refusal_of(scatter_add, {{"rows", -1}})
          .find("expected at least 0 rows, got -1"),
      std::string::npos);
}

} // namespace

} // namespace zmlx::kernels
