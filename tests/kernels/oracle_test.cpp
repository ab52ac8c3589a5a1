// Every kernel of these families: values and the gradients of all float inputs
// against MLX's own operations in float64, and the composition that benchmarks
// compare with against the kernel.

#include <gtest/gtest.h>

#include "tests/kernels/oracle.h"
#include "tests/op/support.h"
#include "zmlx/kernels/activations.h"
#include "zmlx/kernels/fused.h"
#include "zmlx/kernels/loss.h"
#include "zmlx/kernels/norms.h"
#include "zmlx/kernels/optimizers.h"
#include "zmlx/kernels/recurrent.h"
#include "zmlx/kernels/softmax.h"
#include "zmlx/kernels/transformer.h"

namespace zmlx::kernels {

namespace {

using namespace test;
using measure::OpClass;

mx::array rms(const mx::array& x, const mx::array& eps) {
  const auto square = mx::mean(mx::square(x), -1, true);
  return x / mx::sqrt(square + eps);
}

mx::array standardized(const mx::array& x, const mx::array& eps) {
  const auto centred = x - mx::mean(x, -1, true);
  return centred / mx::sqrt(mx::mean(mx::square(centred), -1, true) + eps);
}

// The value that is stored and read again; gradients pass.
mx::array stored_as(mx::Dtype type, const mx::array& x) {
  return x + mx::stop_gradient(mx::astype(mx::astype(x, type), x.dtype()) - x);
}

mx::array silu_of(const mx::array& x) {
  return x / (mx::array(1.0, x.dtype()) + mx::exp(-x));
}

Oracle of(std::function<mx::array(const Arrays&)> f) {
  return [f](const Arrays& in, const lang::Attributes&, mx::Dtype) {
    return Arrays{f(in)};
  };
}

Arrays layer_norm_oracle(
    const Arrays& in,
    const lang::Attributes& attributes,
    mx::Dtype) {
  auto y = standardized(in[0], in.back());
  size_t next = 1;
  if (attributes.at("gamma") != 0) {
    y = y * in[next++];
  }
  if (attributes.at("beta") != 0) {
    y = y + in[next++];
  }
  return {y};
}

Arrays add_rms_norm_oracle(
    const Arrays& in,
    const lang::Attributes&,
    mx::Dtype stored) {
  const auto sum = stored_as(stored, in[0] + in[1]);
  return {rms(sum, in[3]) * in[2], sum};
}

Arrays layernorm_residual_oracle(
    const Arrays& in,
    const lang::Attributes&,
    mx::Dtype stored) {
  const auto sum = stored_as(stored, in[0] + in[1]);
  return {standardized(sum, in[4]) * in[2] + in[3], sum};
}

const std::vector<mx::Dtype> kFloat32 = {mx::float32};

const Checked kChecked[] = {
    {&kernels::exp, {}, OpClass::map},
    {&kernels::log, {}, OpClass::map},
    {&kernels::tanh, {}, OpClass::map},
    {&sigmoid, {}, OpClass::map},
    {&relu, {}, OpClass::map},
    {&relu2, {}, OpClass::map},
    {&silu, of([](const Arrays& in) { return silu_of(in[0]); }), OpClass::map},
    {&gelu, {}, OpClass::map},
    {&gelu_tanh, {}, OpClass::map},
    {&softplus, {}, OpClass::map},
    {&mish, {}, OpClass::map},
    {&elu, {}, OpClass::map},
    {&add, {}, OpClass::map},
    {&mul, {}, OpClass::map},
    {&silu_mul, {}, OpClass::map},
    {&silu_mul_residual, {}, OpClass::map},
    {&add_bias, {}, OpClass::map},
    {&bias_silu, {}, OpClass::map},
    {&bias_gelu_tanh, {}, OpClass::map},
    // In 16 bits MLX's product is rounded before a gradient's kernel reads it.
    {&linear_bias_silu, {}, OpClass::product, kFloat32},
    {&linear_bias_gelu, {}, OpClass::product, kFloat32},
    {&linear_rmsnorm,
     of([](const Arrays& in) {
       return rms(mx::matmul(in[0], mx::transpose(in[1])), in[3]) * in[2];
     }),
     OpClass::product,
     kFloat32},
    {&swiglu2, {}, OpClass::map},
    {&geglu2, {}, OpClass::map},
    {&swiglu, {}, OpClass::map},
    {&geglu, {}, OpClass::map},
    {&bias_swiglu, {}, OpClass::map},
    {&bias_geglu, {}, OpClass::map},
    {&swiglu_oai, {}, OpClass::map},
    {&rmsnorm, of([](const Arrays& in) { return rms(in[0], in[2]) * in[1]; })},
    {&rms_norm_no_weight,
     of([](const Arrays& in) { return rms(in[0], in[1]); })},
    {&layernorm, layer_norm_oracle},
    {&layer_norm_no_weight,
     of([](const Arrays& in) { return standardized(in[0], in[1]); })},
    {&add_rms_norm, add_rms_norm_oracle},
    {&layernorm_residual, layernorm_residual_oracle},
    {&gated_rmsnorm_silu, of([](const Arrays& in) {
       return rms(in[0], in[3]) * in[2] * silu_of(in[1]);
     })},
    {&softmax_lastdim, {}},
    {&log_softmax_lastdim, {}},
    {&logsumexp_lastdim, {}},
    {&masked_softmax, {}},
    {&scale_mask_softmax, {}},
    {&softmax_cross_entropy, {}},
    {&grpo_advantage_norm,
     of([](const Arrays& in) { return standardized(in[0], in[1]); })},
    {&adamw_step, {}, OpClass::map},
    {&fused_recurrent_step, of([](const Arrays& in) {
       return in[0] + in[3] * silu_of(rms(in[0], in[4]) * in[1]) * in[2];
     })},
    {&depth_gate_sigmoid, {}, OpClass::map},
};

class Kernel : public testing::TestWithParam<Checked> {};

TEST_P(Kernel, ValuesAndGradientsAreThoseOfMlxInFloat64) {
  expect_equals_oracle(GetParam());
}

TEST_P(Kernel, TheCompositionInMlxGivesTheSame) {
  const auto& kernel = *GetParam().kernel;
  ASSERT_TRUE(kernel.mlx());
  const auto listed = kernel.define().listed_cases();
  for (const auto& c : listed) {
    SCOPED_TRACE(c.name);
    if (is_empty(c)) {
      continue;
    }
    const auto defined = kernel.define(c.attributes);
    const auto inputs = inputs_of(defined, c, mx::float32);
    const auto ours =
        kernel.with(c.attributes).all({inputs.begin(), inputs.end()});
    const auto theirs = kernel.mlx()(inputs, defined.attributes());
    ASSERT_EQ(ours.size(), theirs.size());
    for (size_t i = 0; i < ours.size(); ++i) {
      EXPECT_EQ(ours[i].dtype(), theirs[i].dtype());
      // Terms may cancel in another order.
      const double size = std::max(largest(inputs[0]), largest(ours[i]));
      const auto result =
          measure::compare(theirs[i], ours[i], OpClass::product, size);
      EXPECT_TRUE(result.ok()) << i << ": " << result.to_string();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Catalogue,
    Kernel,
    testing::ValuesIn(kChecked),
    [](const auto& info) { return info.param.kernel->name(); });

} // namespace

} // namespace zmlx::kernels
