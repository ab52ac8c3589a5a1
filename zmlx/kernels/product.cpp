#include "zmlx/kernels/product.h"

#include <fmt/format.h>

#include "zmlx/base/errors.h"

namespace zmlx::kernels {
namespace {

using lang::WeightFormat;

struct Size {
  int64_t rows, k, m;
  int bits, group_size;
};

const std::vector<Size>& affine_sizes() {
  static const std::vector<Size> sizes{
      {1, 64, 1, 4, 64},
      {1, 576, 100, 4, 64},
      {1, 1536, 97, 4, 32},
      {1, 256, 130, 4, 128},
      {3, 192, 31, 8, 64},
      {1, 640, 64, 8, 32},
      {1, 4096, 33, 8, 128},
      {0, 64, 8, 4, 64},
      {19, 128, 40, 4, 32}};
  return sizes;
}

std::vector<Size> sizes_of(WeightFormat format) {
  if (format == WeightFormat::Affine) {
    return affine_sizes();
  }
  std::vector<Size> sizes;
  for (const int bits : lang::row_of(format).bits) {
    for (const int group : lang::row_of(format).group_sizes) {
      sizes.push_back({1, 9 * group, 37, bits, group});
      sizes.push_back({6, 4 * group, 16, bits, group});
      sizes.push_back({0, group, 8, bits, group});
    }
  }
  return sizes;
}

/// Adds the arrays of a weight; with `experts` > 0 of so many.
void add_weight(
    lang::Case& c,
    const std::string& name,
    WeightFormat format,
    const Size& s,
    int64_t experts) {
  const auto parts = lang::row_of(format).parts;
  const lang::Weight weight{format, s.bits, s.group_size};
  for (size_t p = 0; p < parts.size(); ++p) {
    lang::Shape shape{s.m, lang::columns(weight, p, s.k)};
    if (experts > 0) {
      shape.insert(shape.begin(), experts);
    }
    c.shapes.push_back(std::move(shape));
    const std::string own(parts[p].name);
    c.fills[own.empty() ? name : name + "_" + own] =
        parts[p].use == lang::PartUse::Codes
        ? packed_words()
        : lang::Fill{parts[p].type, parts[p].low, parts[p].high};
  }
}

lang::Case case_of(WeightFormat format, const Size& s) {
  lang::Case c;
  c.name = fmt::format(
      "{}{}x{} -> {}, {} bits, groups of {}",
      format == WeightFormat::Affine
          ? ""
          : fmt::format("{} ", lang::row_of(format).name),
      s.rows,
      s.k,
      s.m,
      s.bits,
      s.group_size);
  c.attributes = {
      {"bits", double(s.bits)}, {"group_size", double(s.group_size)}};
  c.shapes = {{s.rows, s.k}};
  return c;
}

} // namespace

WeightFormat format_attribute(lang::Define& k) {
  const int number =
      k.attribute("format", static_cast<int>(WeightFormat::Affine));
  const auto formats = lang::all_formats();
  if (number < 1 || number >= static_cast<int>(formats.size())) {
    throw user_error(
        "attribute 'format': expected a number of a packed format, 1 to {}, "
        "got {}",
        formats.size() - 1,
        number);
  }
  return formats[number];
}

void packed_cases(
    lang::Define& k,
    const std::vector<std::string>& weights,
    std::span<const WeightFormat> formats) {
  std::vector<lang::Case> cases;
  for (const WeightFormat format : formats) {
    for (const Size& size : sizes_of(format)) {
      lang::Case c = case_of(format, size);
      if (format != WeightFormat::Affine) {
        c.attributes["format"] = static_cast<double>(format);
      }
      for (const std::string& name : weights) {
        add_weight(c, name, format, size, 0);
      }
      cases.push_back(std::move(c));
    }
  }
  k.cases(std::move(cases));
}

void gathered_cases(lang::Define& k) {
  constexpr int64_t kExperts = 5;
  std::vector<lang::Case> cases;
  for (const Size& size : affine_sizes()) {
    lang::Case c = case_of(WeightFormat::Affine, size);
    c.name = "two of five, " + c.name;
    c.shapes[0] = {size.rows, 1, size.k};
    add_weight(c, "w", WeightFormat::Affine, size, kExperts);
    c.shapes.push_back({size.rows, 2});
    c.fills["expert"] = {
        size.bits == 4 ? lang::Type::I32 : lang::Type::U32, 0, kExperts - 1};
    cases.push_back(std::move(c));
  }
  k.cases(std::move(cases));
}

} // namespace zmlx::kernels
