#include "zmlx/kernels/rope_cache.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "zmlx/base/errors.h"
#include "zmlx/kernels/gather.h"

namespace zmlx::kernels {

namespace {

using lang::Expr;
using lang::Role;

// Place i of rope, where its own row and that of its partner are read by `at`:
// sign 1 rotates, -1 rotates back.
template <typename At>
Expr turned(
    const Expr& i,
    const Expr& cos,
    const Expr& sin,
    double sign,
    At at) {
  const Expr s = lang::pick(sin, i / 2);
  return at(i) * lang::pick(cos, i / 2) +
      lang::select((i & 1) == 0, -sign, sign) * at(i ^ 1) * s;
}

// Each gradient reads the others by rows, and has the places of its input.
struct ConcatGradient {
  Expr nope, rope, cos, sin, cotangent;

  ConcatGradient(lang::Define& g, const std::string& own)
      : nope(input(g, "nope", own)),
        rope(input(g, "rope", own)),
        cos(input(g, "cos", own)),
        sin(input(g, "sin", own)),
        cotangent(input(g, "d_out", own)) {}

 private:
  static Expr
  input(lang::Define& g, const std::string& name, const std::string& own) {
    const bool table = name == "cos" || name == "sin";
    const bool of_table = own == "cos" || own == "sin";
    return g.input(
        name, name == own || (table && of_table) ? Role::Element : Role::Row);
  }
};

void expect_rank(
    const char* function,
    const char* name,
    const mx::array& a,
    size_t rank,
    const char* expected) {
  if (a.ndim() != rank) {
    throw user_error(
        "{}: {}: expected {}, got shape ({})",
        function,
        name,
        expected,
        fmt::join(a.shape(), ", "));
  }
}

// The position of each of `batch` tokens.
mx::array
positions(const char* function, const op::Operand& offset, int batch) {
  const auto& a = offset.array();
  if (a.ndim() > 1 || (a.ndim() == 1 && a.shape(0) != batch) ||
      !mx::issubdtype(a.dtype(), mx::integer)) {
    throw user_error(
        "{}: offset: expected an integer or {} of them, got shape ({})",
        function,
        batch,
        fmt::join(a.shape(), ", "));
  }
  return mx::broadcast_to(mx::astype(a, mx::int32), {batch});
}

// Row position[b] of a table (S, R / 2) for each token, as (B, 1..., R / 2)
// of this rank.
mx::array rows_at(const mx::array& table, const mx::array& position, int rank) {
  const auto inside =
      mx::clip(position, mx::array(0), mx::array(table.shape(0) - 1));
  mx::Shape shape(rank, 1);
  shape.front() = position.shape(0);
  shape.back() = table.shape(1);
  return mx::reshape(mx::take(table, inside, 0), shape);
}

// q and k (B, H, D), rotated for the positions of their tokens.
std::pair<mx::array, mx::array> rotated_heads(
    const mx::array& q,
    const mx::array& k,
    const mx::array& cos,
    const mx::array& sin,
    const mx::array& position) {
  const auto c = rows_at(cos, position, 3), s = rows_at(sin, position, 3);
  const auto rope = apply_rope.with({{"dims", 2.0 * cos.shape(1)}});
  return {rope(q, c, s), rope(k, c, s)};
}

void expect_token(
    const char* function,
    const mx::array& q,
    const mx::array& k,
    const mx::array& v,
    const mx::array& cos,
    const mx::array& sin,
    const mx::array& k_cache,
    const char* cache) {
  expect_rank(function, "q", q, 3, "(B, H, D)");
  expect_rank(function, "k", k, 3, "(B, H_kv, D)");
  expect_rank(function, "v", v, 3, "(B, H_kv, D)");
  expect_rank(function, "cos", cos, 2, "a table (S, R / 2)");
  expect_rank(function, "sin", sin, 2, "a table (S, R / 2)");
  expect_rank(function, "k_cache", k_cache, 4, cache);
}

// Which place of the blocks each token writes, -1 where there is none.
mx::array places(
    const mx::array& position,
    const mx::array& block_table,
    int blocks,
    int block) {
  const auto size = mx::array(block);
  const auto number = mx::floor_divide(position, size);
  const auto known = mx::logical_and(
      mx::greater_equal(position, mx::array(0)),
      mx::less(number, mx::array(block_table.shape(1))));
  const auto entry = mx::reshape(
      mx::take_along_axis(
          mx::astype(block_table, mx::int32),
          mx::expand_dims(
              mx::clip(
                  number, mx::array(0), mx::array(block_table.shape(1) - 1)),
              1),
          1),
      {-1});
  const auto exists = mx::logical_and(
      mx::greater_equal(entry, mx::array(0)),
      mx::less(entry, mx::array(blocks)));
  return mx::where(
      mx::logical_and(known, exists),
      mx::add(mx::multiply(entry, size), mx::remainder(position, size)),
      mx::array(-1));
}

} // namespace

void define_rope_concat(lang::Define& k, int nope, int rope) {
  auto head = k.input("nope", Role::Row), tail = k.input("rope", Role::Row);
  auto cos = k.input("cos", Role::Row), sin = k.input("sin", Role::Row);
  k.space({{-1, -1, nope + rope}});
  const Expr i = lang::index();
  k.output_like(
      lang::select(
          i < nope,
          lang::pick(head, i),
          turned(
              i - nope,
              cos,
              sin,
              1,
              [&](const Expr& at) { return lang::pick(tail, at); })),
      tail);
  k.gradient(head, [](lang::Define& g) {
    const ConcatGradient in(g, "nope");
    g.output_sum_like(lang::pick(in.cotangent, lang::index()), in.nope);
  });
  k.gradient(tail, [nope](lang::Define& g) {
    const ConcatGradient in(g, "rope");
    const auto at = [&](const Expr& place) {
      return lang::pick(in.cotangent, nope + place);
    };
    g.output_sum_like(turned(lang::index(), in.cos, in.sin, -1, at), in.rope);
  });
  for (const bool of_sin : {false, true}) {
    k.gradient(of_sin ? sin : cos, [nope, of_sin](lang::Define& g) {
      const ConcatGradient in(g, of_sin ? "sin" : "cos");
      const Expr a = 2 * lang::index();
      g.output_sum_like(
          table_cotangent(in.rope, in.cotangent, a, a + 1, nope, of_sin),
          of_sin ? in.sin : in.cos);
    });
  }
  k.fill(cos, {{}, -1, 1});
  k.fill(sin, {{}, -1, 1});
}

std::vector<mx::array> rope_and_cache_update(
    const mx::array& q,
    const mx::array& k,
    const mx::array& v,
    const mx::array& cos,
    const mx::array& sin,
    const mx::array& k_cache,
    const mx::array& v_cache,
    const op::Operand& offset) {
  const char* name = "rope_and_cache_update";
  expect_token(name, q, k, v, cos, sin, k_cache, "(B, S, H_kv, D)");
  const auto position = positions(name, offset, q.shape(0));
  const auto [query, key] = rotated_heads(q, k, cos, sin, position);
  auto result = cache_update.all(
      {k_cache,
       v_cache,
       mx::expand_dims(key, 1),
       mx::expand_dims(v, 1),
       mx::reshape(position, {-1, 1, 1})});
  result.insert(result.begin(), query);
  return result;
}

std::vector<mx::array> paged_rope_and_cache_update(
    const mx::array& q,
    const mx::array& k,
    const mx::array& v,
    const mx::array& cos,
    const mx::array& sin,
    const mx::array& k_cache,
    const mx::array& v_cache,
    const op::Operand& offset,
    const mx::array& block_table) {
  const char* name = "paged_rope_and_cache_update";
  expect_token(name, q, k, v, cos, sin, k_cache, "(N, block, H_kv, D)");
  expect_rank(name, "block_table", block_table, 2, "(B, blocks)");
  const int tokens = q.shape(0);
  const int blocks = k_cache.shape(0), block = k_cache.shape(1);
  const auto position = positions(name, offset, tokens);
  const auto [query, key] = rotated_heads(q, k, cos, sin, position);
  if (tokens == 0) {
    return {query, k_cache, v_cache};
  }
  const auto writer = scatter_add.with({{"rows", double(blocks) * block}})(
      places(position, block_table, blocks, block),
      mx::reshape(mx::arange(1, tokens + 1, 1, mx::int32), {tokens, 1}));
  auto result = paged_cache_update.all(
      {k_cache, v_cache, key, v, mx::reshape(writer, {blocks, block, 1})});
  result.insert(result.begin(), query);
  return result;
}

std::vector<mx::array> rope_concat_qk_decode(
    const mx::array& q_nope,
    const mx::array& q_rope,
    const mx::array& k_nope,
    const mx::array& k_rope,
    const mx::array& cos,
    const mx::array& sin,
    const op::Operand& offset) {
  const char* name = "rope_concat_qk_decode";
  expect_rank(name, "q_nope", q_nope, 4, "(B, H, 1, N)");
  expect_rank(name, "q_rope", q_rope, 4, "(B, H, 1, R)");
  expect_rank(name, "k_nope", k_nope, 4, "(B, H_kv, 1, N)");
  expect_rank(name, "k_rope", k_rope, 4, "(B, H_kv, 1, R)");
  expect_rank(name, "cos", cos, 2, "a table (S, R / 2)");
  expect_rank(name, "sin", sin, 2, "a table (S, R / 2)");
  const auto position = positions(name, offset, q_nope.shape(0));
  const auto c = rows_at(cos, position, 4), s = rows_at(sin, position, 4);
  std::vector<mx::array> result;
  for (const auto& [head, tail] :
       {std::pair{q_nope, q_rope}, std::pair{k_nope, k_rope}}) {
    result.push_back(
        rope_concat.with({{"nope", head.shape(-1)}, {"rope", tail.shape(-1)}})(
            head, tail, c, s));
  }
  return result;
}

} // namespace zmlx::kernels
