#include "zmlx/kernels/rope.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "zmlx/base/errors.h"

namespace zmlx::kernels {

namespace {

// Elements start, start + step, ... of the last axis before `stop`.
mx::array part(const mx::array& x, int start, int stop, int step = 1) {
  mx::Shape from(x.ndim(), 0), to = x.shape(), by(x.ndim(), 1);
  from.back() = start;
  to.back() = stop;
  by.back() = step;
  return mx::slice(x, from, to, by);
}

} // namespace

mx::array rotated_with_mlx(
    const mx::array& x,
    const mx::array& cos,
    const mx::array& sin,
    bool traditional) {
  const int half = cos.shape(-1), width = x.shape(-1);
  const auto a = traditional ? part(x, 0, 2 * half, 2) : part(x, 0, half);
  const auto b =
      traditional ? part(x, 1, 2 * half, 2) : part(x, half, 2 * half);
  const auto c = mx::astype(cos, x.dtype()), s = mx::astype(sin, x.dtype());
  const auto first = mx::subtract(mx::multiply(a, c), mx::multiply(b, s));
  const auto second = mx::add(mx::multiply(b, c), mx::multiply(a, s));
  auto turned = mx::concatenate({first, second}, -1);
  if (traditional) {
    mx::Shape shape = x.shape();
    shape.back() = 2 * half;
    turned = mx::reshape(mx::stack({first, second}, -1), shape);
  }
  return width == 2 * half
      ? turned
      : mx::concatenate({turned, part(x, 2 * half, width)}, -1);
}

mx::array apply_gqa_rope(
    const mx::array& x,
    const mx::array& cos,
    const mx::array& sin,
    int dims) {
  for (const auto& [name, table] : {std::pair{"cos", cos}, {"sin", sin}}) {
    if (table.ndim() != 2) {
      throw user_error(
          "apply_gqa_rope: {}: expected a table (S, R / 2), got shape ({})",
          name,
          fmt::join(table.shape(), ", "));
    }
  }
  return gqa_rope.with({{"dims", dims}})(
      x, mx::expand_dims(cos, 1), mx::expand_dims(sin, 1));
}

} // namespace zmlx::kernels
