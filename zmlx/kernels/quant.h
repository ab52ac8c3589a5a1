#pragma once

#include <fmt/format.h>

#include "zmlx/base/errors.h"
#include "zmlx/kernels/cases.h"
#include "zmlx/op/op.h"

namespace zmlx::kernels {

/// The code at each place of a row of packed words: a little-endian stream of
/// `bits` bits each.
inline lang::Expr packed_code(const lang::Expr& w, int bits) {
  using lang::Type;
  const auto i = lang::index();
  if (32 % bits == 0) {
    const int per_word = 32 / bits;
    auto word = lang::pick(w, i / per_word);
    auto shift = lang::cast(Type::U32, (i % per_word) * bits);
    return (word >> shift) & lang::cast(Type::U32, (1 << bits) - 1);
  }
  // A code may lie across two words.
  const auto bit = i * bits;
  const auto words = lang::width() * bits / 32;
  auto low = lang::cast(Type::U64, lang::pick(w, bit / 32));
  auto high =
      lang::cast(Type::U64, lang::pick(w, lang::min(bit / 32 + 1, words - 1)));
  auto both = low | (high << lang::cast(Type::U64, 32));
  return (both >> lang::cast(Type::U64, bit % 32)) &
      lang::cast(Type::U64, (1 << bits) - 1);
}

/// w (..., D bits / 32) uint32, scales and biases (..., D / group_size) give
/// (..., D) in the type of the scales. In float32 equal to mx::dequantize bit
/// for bit.
ZMLX_API inline const op::Op dequantize_affine_packed{
    "dequantize_affine_packed",
    "scale code + bias of MLX's affine packing; attributes bits, group_size",
    [](lang::Define& k) {
      const int bits = k.attribute("bits", 4);
      const int group_size = k.attribute("group_size", 64);
      if (bits < 2 || bits > 8 || bits == 7 || group_size < 1) {
        throw user_error(
            "dequantize_affine_packed: expected 2, 3, 4, 5, 6 or 8 bits and a "
            "group of at least 1, got {} bits, group_size {}",
            bits,
            group_size);
      }
      auto w = k.input("w", lang::Role::Row);
      auto scales = k.input("scales", lang::Role::Row);
      auto biases = k.input("biases", lang::Role::Row);
      k.width(w, 32, bits);
      auto group = lang::index() / group_size;
      k.output_like(
          lang::pick(scales, group) *
                  lang::cast(lang::Type::F32, packed_code(w, bits)) +
              lang::pick(biases, group),
          scales);
      k.fill(w, packed_words());
      k.fill(scales, {{}, 0.001, 0.1});
      k.fill(biases, {{}, -1, 1});
      std::vector<lang::Case> cases;
      for (int b : {2, 3, 4, 5, 6, 8}) {
        cases.push_back(
            {fmt::format("3x192, {} bits", b),
             {{3, 192 * b / 32}, {3, 3}, {3, 3}},
             {{"bits", b}, {"group_size", 64}}});
      }
      cases.push_back({"(2, 5, 256)", {{2, 5, 32}, {2, 5, 4}, {2, 5, 4}}});
      cases.push_back({"(0, 64)", {{0, 8}, {0, 1}, {0, 1}}});
      k.cases(cases);
    }};

} // namespace zmlx::kernels
