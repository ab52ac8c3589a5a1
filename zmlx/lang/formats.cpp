#include "zmlx/lang/formats.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "zmlx/base/errors.h"

namespace zmlx::lang {
namespace {

// A format is an enumerator in the header, its parts, and its row in kRows, in
// the order of WeightFormat.

constexpr FormatPart kDenseParts[] = {{"", PartUse::Numbers, {}}};

constexpr int kAffineBits[] = {2, 3, 4, 5, 6, 8};
constexpr int kAffineGroups[] = {32, 64, 128};
constexpr FormatPart kAffineParts[] = {
    {"", PartUse::Codes, Type::U32},
    {"scales", PartUse::Scales, {}, nullptr, 0.001, 0.01},
    {"biases", PartUse::Biases, {}, nullptr, -0.1, 0}};

constexpr FormatRow kRows[] = {
    {"dense", {}, {}, kDenseParts},
    {"affine", kAffineBits, kAffineGroups, kAffineParts}};

constexpr auto kFormats = [] {
  std::array<WeightFormat, std::size(kRows)> formats{};
  for (size_t i = 0; i < formats.size(); ++i) {
    formats[i] = static_cast<WeightFormat>(i);
  }
  return formats;
}();

template <typename T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

double from_float16(uint16_t bits) {
  const int exponent = bits >> 10 & 0x1f;
  const int fraction = bits & 0x3ff;
  const double size = exponent == 0 ? std::ldexp(fraction, -24)
      : exponent < 31 ? std::ldexp(0x400 + fraction, exponent - 25)
      : fraction == 0 ? std::numeric_limits<double>::infinity()
                      : std::numeric_limits<double>::quiet_NaN();
  return bits & 0x8000 ? -size : size;
}

double float_at(const PartRows& part, const std::byte* row, int64_t i) {
  switch (part.type) {
    case Type::F16:
      return from_float16(load<uint16_t>(row + i * 2));
    case Type::BF16:
      return std::bit_cast<float>(uint32_t{load<uint16_t>(row + i * 2)} << 16);
    case Type::F32:
      return load<float>(row + i * 4);
    case Type::F64:
      return load<double>(row + i * 8);
    default:
      throw internal_error("decode: a part of type {}", name_of(part.type));
  }
}

uint32_t integer_at(const PartRows& part, const std::byte* row, int64_t i) {
  switch (size_of(part.type)) {
    case 1:
      return load<uint8_t>(row + i);
    case 2:
      return load<uint16_t>(row + i * 2);
    default:
      return load<uint32_t>(row + i * 4);
  }
}

uint32_t code_at(const std::byte* row, int64_t i, int bits) {
  const auto bit = static_cast<uint64_t>(i * bits);
  const uint64_t in_word = bit % 32;
  uint64_t words = load<uint32_t>(row + bit / 32 * 4);
  if (in_word + bits > 32) {
    words |= uint64_t{load<uint32_t>(row + bit / 32 * 4 + 4)} << 32;
  }
  return static_cast<uint32_t>(words >> in_word & ((uint64_t{1} << bits) - 1));
}

double element(
    const FormatPart& what,
    const PartRows& part,
    const std::byte* row,
    int64_t i,
    int bits) {
  const bool codes = what.use == PartUse::Codes;
  if (!codes && is_float(part.type)) {
    return float_at(part, row, i);
  }
  const uint32_t stored =
      codes ? code_at(row, i, bits) : integer_at(part, row, i);
  return what.value != nullptr ? what.value(stored, bits) : stored;
}

/// Multiplies or adds what part p says of the numbers from k on, which are of
/// one group.
void apply_part(
    const Weight& weight,
    size_t p,
    const PartRows& part,
    int64_t row,
    int64_t k,
    std::span<double> numbers) {
  const FormatPart& what = row_of(weight.format).parts[p];
  const std::byte* at = part.data + row * part.stride;
  const bool grouped =
      what.use == PartUse::Scales || what.use == PartUse::Biases;
  if (grouped) {
    const double of_group =
        element(what, part, at, k / weight.group_size, weight.bits);
    for (double& number : numbers) {
      number =
          what.use == PartUse::Scales ? number * of_group : number + of_group;
    }
    return;
  }
  for (double& number : numbers) {
    number += element(what, part, at, k++, weight.bits);
  }
}

std::string listed(std::span<const int> numbers) {
  std::string text;
  for (size_t i = 0; i < numbers.size(); ++i) {
    text += i == 0 ? "" : i + 1 == numbers.size() ? " or " : ", ";
    text += std::to_string(numbers[i]);
  }
  return text;
}

bool has(std::span<const int> numbers, int number) {
  return numbers.empty() ||
      std::find(numbers.begin(), numbers.end(), number) != numbers.end();
}

} // namespace

const FormatRow& row_of(WeightFormat format) {
  const auto number = static_cast<size_t>(format);
  if (number >= std::size(kRows)) {
    throw internal_error(
        "weights of format {}, of {}", number, kFormats.size());
  }
  return kRows[number];
}

std::span<const WeightFormat> all_formats() {
  return kFormats;
}

std::optional<WeightFormat> find_format(std::string_view name) {
  for (const WeightFormat format : kFormats) {
    if (row_of(format).name == name) {
      return format;
    }
  }
  return {};
}

std::span<const int> parts_of(const Weight& weight) {
  return {weight.parts.data(), row_of(weight.format).parts.size()};
}

int64_t columns(const Weight& weight, size_t part, int64_t k) {
  switch (row_of(weight.format).parts[part].use) {
    case PartUse::Numbers:
      return k;
    case PartUse::Codes:
      return k * weight.bits / 32;
    case PartUse::Scales:
    case PartUse::Biases:
      return k / weight.group_size;
  }
  return 0;
}

bool takes(const FormatPart& part, Type type) {
  return part.type ? type == *part.type : is_float(type);
}

std::optional<std::string> shape_fault(const Weight& weight, int64_t k) {
  const FormatRow& row = row_of(weight.format);
  if (!has(row.bits, weight.bits)) {
    return fmt::format(
        "{} weights have {} bits, got {}",
        row.name,
        listed(row.bits),
        weight.bits);
  }
  if (!has(row.group_sizes, weight.group_size)) {
    return fmt::format(
        "{} weights have groups of {}, got {}",
        row.name,
        listed(row.group_sizes),
        weight.group_size);
  }
  if (!row.group_sizes.empty() && k % weight.group_size != 0) {
    return fmt::format(
        "rows of {} are not a whole number of groups of {}",
        k,
        weight.group_size);
  }
  return {};
}

template <typename T>
void decode(
    const Weight& weight,
    std::span<const PartRows> parts,
    int64_t row,
    int64_t first,
    int64_t count,
    T* out) {
  // From one group's border to the next, and never more than fit the buffer.
  std::array<double, 128> numbers;
  const int64_t group = std::max(weight.group_size, 1);
  for (int64_t done = 0; done < count;) {
    const int64_t k = first + done;
    const int64_t to_border = weight.group_size > 0 ? group - k % group : count;
    const int64_t n = std::min(
        {to_border, count - done, static_cast<int64_t>(numbers.size())});
    const std::span piece(numbers.data(), static_cast<size_t>(n));
    std::ranges::fill(piece, 0.0);
    for (size_t p = 0; p < parts.size(); ++p) {
      apply_part(weight, p, parts[p], row, k, piece);
    }
    std::ranges::transform(piece, out + done, [](double number) {
      return static_cast<T>(number);
    });
    done += n;
  }
}

template ZMLX_API void decode(
    const Weight&,
    std::span<const PartRows>,
    int64_t,
    int64_t,
    int64_t,
    float*);
template ZMLX_API void decode(
    const Weight&,
    std::span<const PartRows>,
    int64_t,
    int64_t,
    int64_t,
    double*);

} // namespace zmlx::lang
