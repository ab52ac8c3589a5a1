// Gradients are kernels: what they are lowered to.

#include <gtest/gtest.h>

#include "zmlx/kernels/gather.h"
#include "zmlx/kernels/image.h"
#include "zmlx/kernels/reductions.h"
#include "zmlx/kernels/rope.h"
#include "zmlx/kernels/rope_cache.h"
#include "zmlx/kernels/scans.h"
#include "zmlx/lang/lower.h"

namespace zmlx::kernels {

namespace {

struct Case {
  const op::Op* op;
  std::vector<int> inputs; // each of which has a gradient of its own
  lang::Attributes attributes = {};
};

class GradientPrograms : public testing::TestWithParam<Case> {};

TEST_P(GradientPrograms, AreThere) {
  const auto& [op, inputs, attributes] = GetParam();
  const auto call = op->with(attributes).call();
  for (int input : inputs) {
    SCOPED_TRACE(call->body.inputs[input].name);
    std::string why;
    const auto gradient = call->gradient({input}, &why);
    ASSERT_TRUE(gradient) << why;
    for (auto type : {lang::Type::F32, lang::Type::BF16, lang::Type::F64}) {
      std::vector<lang::Type> types;
      for (const auto& in : gradient->body.inputs) {
        const bool integer =
            in.name == "indices" || in.name == "offset" || in.name == "writer";
        types.push_back(integer ? lang::Type::I32 : type);
      }
      EXPECT_TRUE(lang::lower(gradient->body, types, &why)) << why;
      EXPECT_EQ(
          lang::infer_types(gradient->body, types),
          std::vector<lang::Type>{type});
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Catalogue,
    GradientPrograms,
    testing::Values(
        Case{&sum_lastdim, {0}},
        Case{&mean_lastdim, {0}},
        Case{&max_lastdim, {0}},
        Case{&min_lastdim, {0}},
        Case{&prod_lastdim, {0}},
        Case{&var_lastdim, {0}},
        Case{&std_lastdim, {0, 1}},
        Case{&topk_lastdim, {0}, {{"k", 3}}},
        Case{&cumsum_lastdim, {0}},
        Case{&gather_add, {0, 2}},
        Case{&scatter_add, {1}, {{"rows", 5}}},
        Case{&resize_bilinear, {0}, {{"height", 3}}},
        Case{&depthwise_conv_3x3, {0, 1}},
        Case{&rope, {0, 1, 2, 3}},
        Case{&apply_rope, {0, 1, 2}},
        Case{&apply_rope_interleaved, {0, 1, 2}},
        Case{&gqa_rope, {0, 1, 2}},
        Case{&cache_update, {0, 1, 2, 3}},
        Case{&paged_cache_update, {0, 1, 2, 3}},
        Case{&rope_concat, {0, 1, 2, 3}, {{"nope", 2}, {"rope", 4}}}),
    [](const auto& info) { return info.param.op->name(); });

} // namespace

} // namespace zmlx::kernels
