#pragma once

#include <fmt/format.h>

#include "zmlx/kernels/cases.h"
#include "zmlx/op/op.h"

namespace zmlx::kernels {

/// q (B, H, 1, D), k and v (B, H_kv, capacity, D), length a 0-d int32 in
/// 1 .. capacity. Keys from `length` on are not read. `scale` is an attribute,
/// mostly 1 / sqrt(D).
ZMLX_API inline const op::Op decode_attention{
    "decode_attention",
    "softmax(scale q k^T) v of one query over the first `length` keys, grouped "
    "heads",
    [](lang::Define& def) {
      auto q = def.input("q", lang::Role::Whole);
      auto k = def.input("k", lang::Role::Whole);
      auto v = def.input("v", lang::Role::Whole);
      auto length = def.input("length", lang::Role::Whole);
      const double scale = def.number("scale", 1.0);
      def.output_like(lang::attention(q, k, v, length, scale), q);
      const auto sized = [](int64_t b,
                            int64_t h,
                            int64_t kv,
                            int64_t capacity,
                            int64_t d,
                            double length_now) {
        lang::Case c;
        c.name = fmt::format(
            "{} x {} heads of {}, {} kv, {} of {} keys",
            b,
            h,
            d,
            kv,
            length_now,
            capacity);
        c.shapes = {
            {b, h, 1, d}, {b, kv, capacity, d}, {b, kv, capacity, d}, {}};
        c.attributes = {{"scale", 0.125}};
        c.fills = {{"length", {lang::Type::I32, length_now, length_now}}};
        return c;
      };
      def.cases({
          sized(1, 1, 1, 1, 64, 1),
          sized(1, 9, 3, 256, 64, 1),
          sized(1, 9, 3, 256, 64, 97),
          sized(1, 9, 3, 256, 64, 256),
          sized(2, 4, 4, 33, 16, 31),
          sized(1, 8, 2, 1024, 128, 1000),
          sized(1, 6, 1, 40, 80, 40),
      });
    }};

} // namespace zmlx::kernels
