#pragma once

#include "zmlx/kernels/cases.h"
#include "zmlx/kernels/rope.h"
#include "zmlx/op/op.h"

/// Rotary embeddings of one token's heads beside what follows them when a model
/// decodes: caches of keys and values, and rows that are joined. A kernel has
/// one space of places, so that each of the functions is a few kernels.
///
/// Caches are values, as all arrays of MLX: what is given back is a new cache.
namespace zmlx::kernels {

namespace mx = mlx::core;

/// k_cache, v_cache (B, S, H, D), k, v (B, 1, H, D), offset (B, 1, 1), an
/// integer: both caches with k and v at place offset[b] of axis 1. An offset
/// outside the cache changes nothing.
ZMLX_API inline const op::Op cache_update{
    "cache_update",
    "caches (B, S, H, D) with k and v (B, 1, H, D) at offset (B, 1, 1)",
    [](lang::Define& k) {
      auto k_cache = k.input("k_cache"), v_cache = k.input("v_cache");
      auto key = k.input("k"), value = k.input("v");
      auto offset = k.input("offset", lang::Role::EachRow);
      const auto place = lang::row_index() / lang::extent(k_cache, 2) %
          lang::extent(k_cache, 1);
      const auto here = place == offset;
      k.output_like(lang::select(here, key, k_cache), k_cache, "k_cache");
      k.output_like(lang::select(here, value, v_cache), v_cache, "v_cache");
      k.fill(offset, {lang::Type::I32, 0, 2});
      const auto sizes = [](int64_t b, int64_t s, int64_t h, int64_t d) {
        const lang::Shape cache{b, s, h, d}, token{b, 1, h, d};
        return std::vector<lang::Shape>{cache, cache, token, token, {b, 1, 1}};
      };
      k.cases({
          {"(1, 3, 1, 1)", sizes(1, 3, 1, 1)},
          {"(2, 5, 3, 31)", sizes(2, 5, 3, 31)},
          {"(3, 64, 2, 64)",
           sizes(3, 64, 2, 64),
           {},
           {{"offset", {lang::Type::I32, 0, 63}}}},
          {"(0, 4, 2, 8)", sizes(0, 4, 2, 8)},
          {"(1, 4, 0, 8)", sizes(1, 4, 0, 8)},
      });
    },
    [](const std::vector<mx::array>& in, const lang::Attributes&) {
      const auto at =
          mx::broadcast_to(mx::expand_dims(in[4], -1), in[2].shape());
      return std::vector<mx::array>{
          mx::put_along_axis(in[0], at, in[2], 1),
          mx::put_along_axis(in[1], at, in[3], 1)};
    }};

/// k_cache, v_cache (N, block, H, D), k, v (B, H, D), writer (N, block, 1), an
/// integer: both caches with k and v of token writer - 1 where writer is at
/// least 1. There is at least one token.
ZMLX_API inline const op::Op paged_cache_update{
    "paged_cache_update",
    "caches (N, block, H, D) with row writer - 1 of k and v (B, H, D) where "
    "writer (N, block, 1) is at least 1",
    [](lang::Define& k) {
      auto k_cache = k.input("k_cache"), v_cache = k.input("v_cache");
      auto key = k.input("k", lang::Role::Table);
      auto value = k.input("v", lang::Role::Table);
      auto writer = k.input("writer", lang::Role::EachRow);
      const auto heads = lang::extent(k_cache, 2);
      const auto here = writer > 0;
      // Elsewhere a row that is there: that of the same head of token 0.
      const auto row = lang::select(here, (writer - 1) * heads, 0) +
          lang::row_index() % heads;
      k.output_like(
          lang::select(here, lang::take(key, row), k_cache),
          k_cache,
          "k_cache");
      k.output_like(
          lang::select(here, lang::take(value, row), v_cache),
          v_cache,
          "v_cache");
      k.fill(writer, {lang::Type::I32, 0, 2});
      const auto sizes =
          [](int64_t n, int64_t block, int64_t b, int64_t h, int64_t d) {
            const lang::Shape cache{n, block, h, d}, token{b, h, d};
            return std::vector<lang::Shape>{
                cache, cache, token, token, {n, block, 1}};
          };
      k.cases({
          {"(1, 2, 1, 1)", sizes(1, 2, 2, 1, 1)},
          {"(4, 8, 3, 31)", sizes(4, 8, 2, 3, 31)},
          {"(9, 16, 2, 64)", sizes(9, 16, 3, 2, 64)},
          {"(0, 4, 2, 8)", sizes(0, 4, 2, 2, 8)},
      });
    }};

/// The inputs, the value and the gradients of rope_concat.
ZMLX_API void define_rope_concat(lang::Define& k, int nope, int rope);

/// nope (..., N), rope (..., R), tables (..., R / 2): the row nope and after it
/// rope, its pairs (2j, 2j + 1) rotated. Attributes nope and rope are N and R.
ZMLX_API inline const op::Op rope_concat{
    "rope_concat",
    "nope, then rope with its pairs (2j, 2j + 1) rotated; attributes nope, "
    "rope: how many of each",
    [](lang::Define& k) {
      const int nope = k.attribute("nope", 0), rope = k.attribute("rope", 0);
      define_rope_concat(k, nope, rope);
      const auto sizes = [](const lang::Shape& rows, int64_t n, int64_t r) {
        std::vector<lang::Shape> shapes(4, rows);
        shapes[0].push_back(n);
        shapes[1].push_back(r);
        shapes[2] = shapes[3] = {rows[0], 1, 1, r / 2};
        return shapes;
      };
      const auto attributes = [](double n, double r) {
        return lang::Attributes{{"nope", n}, {"rope", r}};
      };
      k.cases({
          {"(1, 1, 1, 1 + 2)", sizes({1, 1, 1}, 1, 2), attributes(1, 2)},
          {"(2, 3, 1, 7 + 6)", sizes({2, 3, 1}, 7, 6), attributes(7, 6)},
          {"(1, 16, 1, 512 + 64)",
           sizes({1, 16, 1}, 512, 64),
           attributes(512, 64)},
          {"(2, 3, 1, 0 + 8)", sizes({2, 3, 1}, 0, 8), attributes(0, 8)},
          {"(0, 3, 1, 4 + 8)", sizes({0, 3, 1}, 4, 8), attributes(4, 8)},
      });
    },
    [](const std::vector<mx::array>& in, const lang::Attributes&) {
      return std::vector<mx::array>{mx::concatenate(
          {in[0], rotated_with_mlx(in[1], in[2], in[3], true)}, -1)};
    }};

/// q (B, H, D), k and v (B, H_kv, D) of one token, tables (S, R / 2), caches
/// (B, S, H_kv, D), offset () or (B,), an integer: its position. Gives q
/// rotated (pairs (j, j + R / 2)), and both caches with k, rotated, and v at
/// offset; the rest keeps its values, and an offset outside the cache changes
/// nothing. UserError for other ranks.
ZMLX_API std::vector<mx::array> rope_and_cache_update(
    const mx::array& q,
    const mx::array& k,
    const mx::array& v,
    const mx::array& cos,
    const mx::array& sin,
    const mx::array& k_cache,
    const mx::array& v_cache,
    const op::Operand& offset);

/// The same through a block table (B, blocks), integers: position p of token b
/// is place p % block of block block_table[b, p / block] of caches (N, block,
/// H_kv, D). No two tokens may have one place. A place that does not exist is
/// not written; the CPU raises an error.
ZMLX_API std::vector<mx::array> paged_rope_and_cache_update(
    const mx::array& q,
    const mx::array& k,
    const mx::array& v,
    const mx::array& cos,
    const mx::array& sin,
    const mx::array& k_cache,
    const mx::array& v_cache,
    const op::Operand& offset,
    const mx::array& block_table);

/// Queries and keys of one token of multi-head latent attention: q_nope (B, H,
/// 1, N), q_rope (B, H, 1, R), k_nope (B, H_kv, 1, N), k_rope (B, H_kv, 1, R),
/// tables (S, R / 2), offset () or (B,). Gives q (B, H, 1, N + R) and k (B,
/// H_kv, 1, N + R), see rope_concat.
ZMLX_API std::vector<mx::array> rope_concat_qk_decode(
    const mx::array& q_nope,
    const mx::array& q_rope,
    const mx::array& k_nope,
    const mx::array& k_rope,
    const mx::array& cos,
    const mx::array& sin,
    const op::Operand& offset);

} // namespace zmlx::kernels
