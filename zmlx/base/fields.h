#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>

/// Keys from lists of fields.
///
/// A struct that serves as a key lists its members once,
///
///   auto fields() const { return std::tie(op, type, value); }
///
/// and says after its definition `static_assert(lists_all_members<Node>)`. Its
/// hash, its equality and its bytes all come from that list, so that a member
/// added and not listed does not compile.
namespace zmlx {

namespace fields_detail {

/// Stands for a value of any type, in code that is only checked.
struct Any {
  template <typename T>
  operator T() const; // NOLINT
};

template <typename T, size_t... I>
consteval bool takes(std::index_sequence<I...>) {
  return requires {
    T{(static_cast<void>(I), Any())...};
  };
}

} // namespace fields_detail

/// Number of members of an aggregate.
template <typename T, size_t N = 0>
consteval size_t count_members() {
  if constexpr (fields_detail::takes<T>(std::make_index_sequence<N + 1>())) {
    return count_members<T, N + 1>();
  } else {
    return N;
  }
}

template <typename T>
inline constexpr bool lists_all_members = count_members<T>() ==
    std::tuple_size_v<decltype(std::declval<const T&>().fields())>;

/// Calls visit(uint64_t) for what x holds: numbers and enumerators, floats as
/// the bits of their double, fields and elements one after the other, sequences
/// with their length first.
template <typename T, typename Visit>
void for_each_word(const T& x, Visit&& visit) {
  if constexpr (std::is_floating_point_v<T>) {
    visit(std::bit_cast<uint64_t>(static_cast<double>(x)));
  } else if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) {
    visit(static_cast<uint64_t>(x));
  } else if constexpr (requires { x.fields(); }) {
    std::apply(
        [&](const auto&... field) { (for_each_word(field, visit), ...); },
        x.fields());
  } else {
    visit(static_cast<uint64_t>(x.size()));
    for (const auto& element : x) {
      for_each_word(element, visit);
    }
  }
}

inline uint64_t mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * 0x9E3779B97F4A7C15ull;
  return hash ^ (hash >> 29);
}

/// Hash of all fields, for unordered containers.
struct FieldsHash {
  template <typename T>
  size_t operator()(const T& x) const {
    uint64_t hash = 0;
    for_each_word(x, [&](uint64_t word) { hash = mix(hash, word); });
    return hash;
  }
};

/// Equality of all fields, numbers by their bits: 0 and -0 differ, a NaN is
/// itself.
struct FieldsEqual {
  template <typename T>
  bool operator()(const T& a, const T& b) const {
    return same(a, b);
  }

 private:
  template <typename T>
  static bool same(const T& a, const T& b) {
    if constexpr (std::is_floating_point_v<T>) {
      return std::bit_cast<uint64_t>(static_cast<double>(a)) ==
          std::bit_cast<uint64_t>(static_cast<double>(b));
    } else if constexpr (requires { a.fields(); }) {
      return same_fields(
          a.fields(),
          b.fields(),
          std::make_index_sequence<std::tuple_size_v<decltype(a.fields())>>());
    } else {
      return a == b;
    }
  }

  template <typename Tuple, size_t... I>
  static bool
  same_fields(const Tuple& a, const Tuple& b, std::index_sequence<I...>) {
    return (same(std::get<I>(a), std::get<I>(b)) && ...);
  }
};

} // namespace zmlx
