#pragma once

#include "zmlx/kernels/cases.h"
#include "zmlx/op/op.h"

/// Products with a weight matrix, read in MLX's own layout: x (..., K) times
/// the transpose of w (M, K) gives (..., M).
namespace zmlx::kernels {

/// The attribute `format` of a kernel with packed weights: the number of a
/// lang::WeightFormat, affine unless given. UserError when it is not one.
ZMLX_API lang::WeightFormat format_attribute(lang::Define& k);

/// Cases of a kernel of x and then these weights: affine ones for rows of 64 to
/// 4096, 4 and 8 bits, groups of 32, 64 and 128, of other formats each number
/// of bits and each size of groups that the format may have.
ZMLX_API void packed_cases(
    lang::Define& k,
    const std::vector<std::string>& weights,
    std::span<const lang::WeightFormat> formats);

/// Cases of x, affine weights `w` of several matrices, and then `expert`.
ZMLX_API void gathered_cases(lang::Define& k);

ZMLX_API inline const op::Op matmul_nt{
    "matmul_nt",
    "x times the transpose of w (M, K)",
    [](lang::Define& k) {
      auto x = k.input("x");
      auto w = k.weight("w", 0, 0);
      k.output(lang::product(x, w));
      k.cases({
          {"1x1 1", {{1, 1}, {1, 1}}},
          {"1x576 1536", {{1, 576}, {1536, 576}}},
          {"(2, 3, 37) 41", {{2, 3, 37}, {41, 37}}},
          {"(0, 8) 4", {{0, 8}, {4, 8}}},
          {"(5, 64) 0", {{5, 64}, {0, 64}}},
          {"(17, 130) 67", {{17, 130}, {67, 130}}},
      });
    }};

ZMLX_API inline const op::Op quantized_matmul{
    "quantized_matmul",
    "x times the transpose of a packed w; attributes format (affine unless "
    "given), bits, group_size",
    [](lang::Define& k) {
      auto x = k.input("x");
      const auto format = format_attribute(k);
      const int bits = k.attribute("bits", 4);
      const int group_size = k.attribute("group_size", 64);
      k.output(lang::product(x, k.weight("w", format, bits, group_size)));
      packed_cases(k, {"w"}, lang::all_formats().subspan(1));
    }};

ZMLX_API inline const op::Op gathered_matmul{
    "gathered_matmul",
    "each row of x times the transpose of the affine packed w[expert], one of "
    "several (M, K); attributes bits, group_size",
    [](lang::Define& k) {
      auto x = k.input("x");
      const int bits = k.attribute("bits", 4);
      auto w = k.weight("w", bits, k.attribute("group_size", 64));
      auto expert = k.input("expert", lang::Role::EachRow);
      k.fill(expert, {lang::Type::I32, 0, 4});
      w.experts = expert->input;
      k.output(lang::product(x, w));
      gathered_cases(k);
    }};

/// The MLP's gate in one pass over x.
ZMLX_API inline const op::Op quantized_swiglu{
    "quantized_swiglu",
    "silu(x gate^T) (x up^T), both affine packed; attributes bits, group_size",
    [](lang::Define& k) {
      auto x = k.input("x");
      const int bits = k.attribute("bits", 4);
      const int group_size = k.attribute("group_size", 64);
      auto gate = k.weight("gate", bits, group_size);
      auto up = k.weight("up", bits, group_size);
      auto g = lang::product(x, gate);
      k.output(g * lang::sigmoid(g) * lang::product(x, up));
      constexpr lang::WeightFormat kFormats[] = {lang::WeightFormat::Affine};
      packed_cases(k, {"gate", "up"}, kFormats);
    }};

} // namespace zmlx::kernels
