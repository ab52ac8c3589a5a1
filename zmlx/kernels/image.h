#pragma once

#include "zmlx/kernels/cases.h"
#include "zmlx/op/op.h"

/// Images (N, H, W, C), read as tables of pixels with rows of C.
namespace zmlx::kernels {

namespace mx = mlx::core;

/// Where pixel number `row` of images of h by w lies.
struct Pixel {
  lang::Expr image, y, x;
};

inline Pixel
pixel(const lang::Expr& row, const lang::Expr& h, const lang::Expr& w) {
  return {row / (h * w), row / w % h, row % w};
}

/// The number of a pixel of images of h by w; -1, which no table has, outside
/// the image.
inline lang::Expr
pixel_row(const Pixel& p, const lang::Expr& h, const lang::Expr& w) {
  return lang::select(
      p.y >= 0 && p.y < h && p.x >= 0 && p.x < w,
      (p.image * h + p.y) * w + p.x,
      -1);
}

/// The two places of an axis of `from` between which place `at` of an axis of
/// `to` lies, and the share of the second one: (at + 1/2) from / to - 1/2,
/// moved into the axis, in integers so that the share is rounded once.
struct Between {
  lang::Expr low, high, share;
};

inline Between
between(const lang::Expr& at, const lang::Expr& from, const lang::Expr& to) {
  using lang::Expr;
  const Expr step = 2 * to;
  const Expr place =
      lang::max(lang::min((2 * at + 1) * from - to, step * (from - 1)), 0);
  const Expr low = place / step;
  return {
      low,
      lang::min(low + 1, from - 1),
      1.0 * (place - low * step) / (1.0 * step)};
}

/// The sizes of a resize: an attribute of 0 is the length that x has.
struct Resize {
  int height, width; // attributes
  lang::Expr h, w, from_h, from_w;

  Resize(const lang::Expr& x, int height, int width)
      : height(height),
        width(width),
        h(height > 0 ? lang::Expr(height) : lang::extent(x, 1)),
        w(width > 0 ? lang::Expr(width) : lang::extent(x, 2)),
        from_h(lang::extent(x, 1)),
        from_w(lang::extent(x, 2)) {}

  /// (N, height, width, C), after `leading`.
  std::vector<lang::AxisLength> space(
      const lang::Expr& x,
      std::vector<lang::AxisLength> leading = {}) const {
    const auto axis = [&](int number, int length) {
      return length > 0 ? lang::AxisLength{-1, -1, length}
                        : lang::AxisLength{x->input, number};
    };
    for (const auto& a :
         {axis(0, 0), axis(1, height), axis(2, width), axis(3, 0)}) {
      leading.push_back(a);
    }
    return leading;
  }
};

/// Each output pixel gives its cotangent to its four corners: one leading axis
/// of corners, and a sum into the rows of x.
inline lang::Kernel::Definition resize_gradient(int height, int width) {
  return [height, width](lang::Define& g) {
    auto x = g.input("x", lang::Role::Table);
    auto cotangent = g.input("d_out", lang::Role::Table);
    const Resize size(x, height, width);
    g.space(size.space(x, {{-1, -1, 4}}));
    const auto pixels = lang::extent(x, 0) * size.h * size.w;
    const auto row = lang::row_index() % pixels;
    const auto corner = lang::row_index() / pixels;
    const auto p = pixel(row, size.h, size.w);
    const auto y = between(p.y, size.from_h, size.h);
    const auto across = between(p.x, size.from_w, size.w);
    const auto below = corner / 2 == 1, right = corner % 2 == 1;
    const auto share = lang::select(below, y.share, 1.0 - y.share) *
        lang::select(right, across.share, 1.0 - across.share);
    const Pixel to{
        p.image,
        lang::select(below, y.high, y.low),
        lang::select(right, across.high, across.low)};
    g.output_rows_like(
        lang::take(cotangent, row) * share,
        pixel_row(to, size.from_h, size.from_w),
        x);
  };
}

/// The same with MLX's operations, an axis after the other.
ZMLX_API std::vector<mx::array> resize_with_mlx(
    const std::vector<mx::array>& inputs,
    const lang::Attributes& attributes);

/// x (N, H, W, C) -> (N, height, width, C). Half-pixel centres: output pixel i
/// lies at (i + 1/2) H / height - 1/2, moved into the image. No low-pass filter
/// where the image gets smaller. Attributes height and width; 0 keeps x's.
ZMLX_API inline const op::Op resize_bilinear{
    "resize_bilinear",
    "bilinear, half-pixel centres, clamped; attributes height, width",
    [](lang::Define& k) {
      auto x = k.input("x", lang::Role::Table);
      const Resize size(x, k.attribute("height", 0), k.attribute("width", 0));
      k.space(size.space(x));
      const auto p = pixel(lang::row_index(), size.h, size.w);
      const auto y = between(p.y, size.from_h, size.h);
      const auto across = between(p.x, size.from_w, size.w);
      const auto line = [&](const lang::Expr& at) {
        const auto corner = [&](const lang::Expr& column) {
          return lang::take(
              x, pixel_row({p.image, at, column}, size.from_h, size.from_w));
        };
        const auto left = corner(across.low);
        return left + across.share * (corner(across.high) - left);
      };
      const auto above = line(y.low);
      k.output_like(above + y.share * (line(y.high) - above), x);
      k.gradient(x, resize_gradient(size.height, size.width));
      k.cases({
          {"(1, 1, 1, 1) to 3 by 2",
           {{1, 1, 1, 1}},
           {{"height", 3}, {"width", 2}}},
          {"(2, 5, 7, 3) to 10 by 14",
           {{2, 5, 7, 3}},
           {{"height", 10}, {"width", 14}}},
          {"(1, 13, 8, 4) to 5 by 3",
           {{1, 13, 8, 4}},
           {{"height", 5}, {"width", 3}}},
          {"(0, 4, 4, 3) to 2 by 2",
           {{0, 4, 4, 3}},
           {{"height", 2}, {"width", 2}}},
          {"(2, 3, 4, 5) as it is", {{2, 3, 4, 5}}},
          {"(1, 31, 17, 64) to 40 by 23",
           {{1, 31, 17, 64}},
           {{"height", 40}, {"width", 23}}},
      });
    },
    resize_with_mlx};

/// The sum over the nine taps of the filter, each times the pixel of `image`
/// that lies where it points (`sign` 1) or from where it points here (-1).
inline lang::Expr correlate(
    const lang::Expr& image,
    const lang::Expr& w,
    const lang::Expr& x,
    int sign) {
  const auto height = lang::extent(x, 1), width = lang::extent(x, 2);
  const auto p = pixel(lang::row_index(), height, width);
  lang::Expr sum = 0.0;
  for (int tap = 0; tap < 9; ++tap) {
    const Pixel from{
        p.image, p.y + sign * (tap / 3 - 1), p.x + sign * (tap % 3 - 1)};
    const auto term =
        lang::take(image, pixel_row(from, height, width)) * lang::take(w, tap);
    sum = tap == 0 ? term : sum + term;
  }
  return sum;
}

inline std::vector<lang::AxisLength> image_axes(
    const lang::Expr& x,
    std::vector<lang::AxisLength> leading = {}) {
  for (int axis = 0; axis < 4; ++axis) {
    leading.push_back({x->input, axis});
  }
  return leading;
}

/// The gradient of the filter: one leading axis of taps, each of whose pixels
/// is added to the tap's row.
inline void depthwise_filter_gradient(lang::Define& g) {
  auto x = g.input("x", lang::Role::Table);
  auto w = g.input("w", lang::Role::Table);
  auto cotangent = g.input("d_out", lang::Role::Table);
  g.space(image_axes(x, {{-1, -1, 9}}));
  const auto height = lang::extent(x, 1), width = lang::extent(x, 2);
  const auto pixels = lang::extent(x, 0) * height * width;
  const auto row = lang::row_index() % pixels;
  const auto tap = lang::row_index() / pixels;
  const auto p = pixel(row, height, width);
  const Pixel from{p.image, p.y + tap / 3 - 1, p.x + tap % 3 - 1};
  g.output_rows_like(
      lang::take(cotangent, row) *
          lang::take(x, pixel_row(from, height, width)),
      tap,
      w);
}

/// x (N, H, W, C), w (3, 3, C) -> (N, H, W, C): each channel with its own
/// filter, stride 1, zeros around the image. No flip: w[0, 0] meets the pixel
/// above and to the left.
ZMLX_API inline const op::Op depthwise_conv_3x3{
    "depthwise_conv_3x3",
    "sum over the 3 by 3 neighbours of a pixel times w (3, 3, C), zero pad 1",
    [](lang::Define& k) {
      auto x = k.input("x", lang::Role::Table);
      auto w = k.input("w", lang::Role::Table);
      k.rows(w, 9);
      k.space(image_axes(x));
      k.output_like(correlate(x, w, x, 1), x);
      k.gradient(x, [](lang::Define& g) {
        auto x = g.input("x", lang::Role::Table);
        auto w = g.input("w", lang::Role::Table);
        auto cotangent = g.input("d_out", lang::Role::Table);
        g.space(image_axes(x));
        g.output_like(correlate(cotangent, w, x, -1), x);
      });
      k.gradient(w, depthwise_filter_gradient);
      k.fill(w, {{}, -0.25, 0.25}); // nine products, none of which is large
      k.cases({
          {"(1, 1, 1, 1)", {{1, 1, 1, 1}, {3, 3, 1}}},
          {"(2, 5, 7, 3)", {{2, 5, 7, 3}, {3, 3, 3}}},
          {"(0, 4, 4, 8)", {{0, 4, 4, 8}, {3, 3, 8}}},
          {"(2, 3, 4, 0)", {{2, 3, 4, 0}, {3, 3, 0}}},
          {"(3, 1, 9, 17)", {{3, 1, 9, 17}, {3, 3, 17}}},
          {"(1, 14, 14, 96)", {{1, 14, 14, 96}, {3, 3, 96}}},
      });
    },
    [](const std::vector<mx::array>& in, const lang::Attributes&) {
      const int channels = in[0].shape(-1);
      const auto w =
          mx::reshape(mx::transpose(in[1], {2, 0, 1}), {channels, 3, 3, 1});
      return std::vector<mx::array>{
          mx::conv2d(in[0], w, {1, 1}, {1, 1}, {1, 1}, channels)};
    }};

} // namespace zmlx::kernels
