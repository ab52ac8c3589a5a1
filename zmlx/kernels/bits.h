#pragma once

#include "zmlx/kernels/cases.h"
#include "zmlx/op/op.h"

/// Truth values as bits, the lowest bit first.
namespace zmlx::kernels {

namespace mx = mlx::core;

/// x (..., D) of any type -> (..., ceil(D / 8)) uint8. Bits beyond the row are
/// 0. NaN is not 0.
ZMLX_API inline const op::Op pack_bits{
    "pack_bits",
    "bit i of byte b is x[8 b + i] != 0",
    [](lang::Define& k) {
      auto x = k.input("x", lang::Role::Row);
      k.width(x, 1, 8, /*up=*/true);
      lang::Expr byte = 0;
      for (int i = 0; i < 8; ++i) {
        auto element = lang::pick(x, 8 * lang::index() + i);
        byte = byte | lang::select(element != 0, 1 << i, 0);
      }
      k.output(byte, lang::Type::U8);
      k.fill(x, {lang::Type::I32, -1, 1});
      k.cases(row_cases(1));
    },
    [](const std::vector<mx::array>& in, const lang::Attributes&) {
      const auto& x = in[0];
      const int bytes = (x.shape(-1) + 7) / 8;
      auto bits =
          mx::astype(mx::not_equal(x, mx::array(0, x.dtype())), mx::uint8);
      std::vector<std::pair<int, int>> pad(x.ndim());
      pad.back() = {0, 8 * bytes - x.shape(-1)};
      mx::Shape grouped = x.shape();
      grouped.back() = bytes;
      grouped.push_back(8);
      bits = mx::reshape(mx::pad(bits, pad), grouped);
      const auto place = mx::arange(0, 8, 1, mx::uint8);
      return std::vector<mx::array>{
          mx::astype(mx::sum(mx::left_shift(bits, place), -1), mx::uint8)};
    }};

/// x (..., B) uint8 -> (..., size) uint8, each 0 or 1; size = 0 is 8 B. What
/// lies beyond the bytes is 0.
ZMLX_API inline const op::Op unpack_bits{
    "unpack_bits",
    "y[i] is bit i % 8 of byte i / 8; attribute size",
    [](lang::Define& k) {
      auto x = k.input("x", lang::Role::Row);
      const int size = k.attribute("size", 0);
      if (size > 0) {
        k.space({{-1, -1, size}});
      } else {
        k.width(x, 8, 1);
      }
      const auto i = lang::index();
      k.output((lang::pick(x, i / 8) >> (i % 8)) & 1, lang::Type::U8);
      k.fill(x, {lang::Type::U8, 0, 255});
      k.cases({
          {"(1) to 8", {{1}}},
          {"(3) to 17", {{3}}, {{"size", 17}}},
          {"(0, 2)", {{0, 2}}},
          {"(4, 0)", {{4, 0}}},
          {"(2, 3, 8)", {{2, 3, 8}}},
          {"(5, 513) to 4099", {{5, 513}}, {{"size", 4099}}},
      });
    },
    [](const std::vector<mx::array>& in, const lang::Attributes& attributes) {
      const auto place = mx::arange(0, 8, 1, mx::uint8);
      auto bits = mx::bitwise_and(
          mx::right_shift(mx::expand_dims(in[0], -1), place),
          mx::array(1, mx::uint8));
      mx::Shape start(in[0].ndim(), 0), stop = in[0].shape();
      stop.back() *= 8;
      bits = mx::reshape(bits, stop);
      const int size = static_cast<int>(attributes.at("size"));
      stop.back() = size > 0 ? size : stop.back();
      return std::vector<mx::array>{mx::slice(bits, start, stop)};
    }};

} // namespace zmlx::kernels
