#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>

#include "zmlx/base/fields.h"
#include "zmlx/export.h"
#include "zmlx/lang/type.h"

/// How the numbers of weight matrices are stored: one row per format. What a
/// format is follows from its row alone: the inputs of a kernel, their shapes
/// and types, formulas and dumps, the reference, the cases of conformance, and
/// a slow product on the CPU. A device adds one struct for each format that it
/// reads fast.
namespace zmlx::lang {

enum class WeightFormat : uint8_t {
  Dense, // numbers of a float type, any stride from row to row
  Affine, // MLX's affine packing: scale * code + bias
};

/// A weight is stored in at most so many arrays.
inline constexpr int kMostParts = 3;

/// A weight operand of a product: the inputs that hold a matrix (M, K), or one
/// of E such matrices for each row. MLX's own layout, read in place.
struct Weight {
  WeightFormat format = WeightFormat::Dense;
  int bits = 0; // of a code; 0 where there are none
  int group_size = 0; // numbers that share a scale; 0 where there are none
  /// Input numbers in the order of the format's parts; 0 beyond the last one.
  std::array<int, kMostParts> parts{};
  /// The input that says which of E matrices each row is multiplied with: one
  /// integer a row (Role::EachRow). Every part then has a leading axis of E.
  int experts = -1;
  bool operator==(const Weight&) const = default;

  auto fields() const {
    return std::tie(format, bits, group_size, parts, experts);
  }
};
static_assert(lists_all_members<Weight>);

/// What the elements of a part are. All of them that make one number are
/// multiplied and added in this order: number * scale + bias.
enum class PartUse : uint8_t {
  Numbers, // (M, K): the numbers themselves
  Codes, // (M, K * bits / 32) uint32: a row is a little-endian stream of codes
  Scales, // (M, K / group_size): one per group
  Biases, // (M, K / group_size): one per group
};

struct FormatPart {
  /// "scales": the input is called w_scales where the weight is called w. ""
  /// is the weight's own name.
  std::string_view name;
  PartUse use;
  /// The type of the elements. None: any float type, one for all such parts.
  std::optional<Type> type;
  /// What a code of so many bits, or an integer, stands for. Null: itself.
  double (*value)(uint32_t stored, int bits) = nullptr;
  /// Stored values from low to high are typical ones: for tests and benchmarks.
  double low = -3;
  double high = 3;
};

struct FormatRow {
  std::string_view name; // as formulas and dumps, and MLX's `mode`, spell it
  std::span<const int> bits; // those that it may have; empty: no codes
  std::span<const int> group_sizes; // likewise
  std::span<const FormatPart> parts; // 1 to kMostParts
};

ZMLX_API const FormatRow& row_of(WeightFormat format);
/// All formats in their order.
ZMLX_API std::span<const WeightFormat> all_formats();
/// By its name.
ZMLX_API std::optional<WeightFormat> find_format(std::string_view name);

/// The parts that the format has, as input numbers.
ZMLX_API std::span<const int> parts_of(const Weight& weight);
/// Columns of a part of a weight with K columns.
ZMLX_API int64_t columns(const Weight& weight, size_t part, int64_t k);
/// Whether a part may have this type.
ZMLX_API bool takes(const FormatPart& part, Type type);
/// Nothing when bits and group size are some that the format may have and K is
/// a whole number of groups and words, else what is wrong: "affine weights have
/// 2, 3, 4, 5, 6 or 8 bits, got 7".
ZMLX_API std::optional<std::string> shape_fault(
    const Weight& weight,
    int64_t k);

/// A part in memory: the elements of a row are adjacent.
struct PartRows {
  const std::byte* data = nullptr;
  Type type = Type::F32;
  int64_t stride = 0; // bytes from row to row
};

/// Numbers first .. first + count of a row, computed in double from what the
/// table says: the reference decode. Knows no device, is exact but for the last
/// rounding, and is slow.
template <typename T> // float or double
ZMLX_API void decode(
    const Weight& weight,
    std::span<const PartRows> parts,
    int64_t row,
    int64_t first,
    int64_t count,
    T* out);

} // namespace zmlx::lang
