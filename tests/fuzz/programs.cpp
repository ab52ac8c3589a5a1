#include "tests/fuzz/programs.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tests/fuzz/memory.h"
#include "tests/fuzz/trees.h"
#include "zmlx/lang/print.h"
#include "zmlx/op/convert.h"

namespace zmlx::fuzz {
namespace {

using lang::Expr;
using lang::Role;

enum class Kind { Map, Bits, Row };

class Drawing {
 public:
  explicit Drawing(uint64_t seed) : chance_(seed) {}

  Program run() {
    const int kind = chance_.below(20);
    kind_ = kind < 10 ? Kind::Map : kind < 13 ? Kind::Bits : Kind::Row;
    draw_space();
    const int arrays = 1 + chance_.below(4);
    for (int i = 0; i < arrays; ++i) {
      add_element();
    }
    if (chance_.one_in(4)) {
      add("s", Role::Scalar, {}, chance_.of(kFloats));
      leaves_.reals.push_back(last_input());
    }
    if (kind_ == Kind::Row) {
      add_row_inputs();
    }
    add_outputs();
    mx::eval(program_.inputs);
    return std::move(program_);
  }

 private:
  // --- shapes ----------------------------------------------------------------

  void draw_space() {
    constexpr int kLengths[] = {1, 2, 3, 5, 7, 8, 16, 17, 33};
    const int axes = chance_.below(kind_ == Kind::Row ? 3 : 4) +
        (kind_ == Kind::Row ? 1 : 0);
    int64_t size = 1;
    for (int i = 0; i < axes; ++i) {
      int length = chance_.of(kLengths);
      length = size * length > 600 ? 2 : length;
      space_.push_back(length);
      size *= length;
    }
    if (axes > 0 && chance_.one_in(16)) {
      // More than a block of a row, or more than one of a map.
      space_.back() = 1025 + chance_.below(1200);
      for (int i = 0; i + 1 < axes; ++i) {
        space_[i] = 1 + chance_.below(2);
      }
    }
    const bool may_be_empty = axes > (kind_ == Kind::Row ? 1 : 0);
    if (may_be_empty && chance_.one_in(40)) {
      space_[0] = 0;
    }
  }

  // A shape that broadcasts to the space.
  mx::Shape some_of(mx::Shape shape) {
    for (int& length : shape) {
      length = chance_.one_in(5) ? 1 : length;
    }
    while (!shape.empty() && chance_.one_in(6)) {
      shape.erase(shape.begin());
    }
    return shape;
  }

  // --- inputs ----------------------------------------------------------------

  Expr last_input() const {
    return lang::input(static_cast<int>(program_.inputs.size()) - 1);
  }

  void add_element() {
    const int number = static_cast<int>(program_.inputs.size());
    // The first has the whole space, so that there always is one.
    const auto shape = number == 0 ? space_ : some_of(space_);
    mx::Dtype type = chance_.of(kFloats);
    const int other = chance_.below(kind_ == Kind::Bits ? 2 : 6);
    if (other == 0) {
      type = chance_.of(kIntegers);
    } else if (other == 1 && chance_.one_in(2)) {
      type = mx::bool_;
    }
    add(std::string(1, static_cast<char>('a' + number)),
        Role::Element,
        shape,
        type);
    if (type == mx::bool_) {
      leaves_.truths.push_back(last_input());
      leaves_.wholes.push_back(last_input());
    } else if (mx::issubdtype(type, mx::floating)) {
      leaves_.reals.push_back(last_input());
    } else {
      leaves_.wholes.push_back(last_input());
    }
    if (kind_ == Kind::Row && !shape.empty() && shape.back() == space_.back()) {
      leaves_.full_rows.push_back(last_input());
      leaves_.rows.push_back(last_input());
    }
  }

  void add_row_inputs() {
    leaves_.along_row = true;
    leaves_.common = space_.back();
    const mx::Shape rows(space_.begin(), space_.end() - 1);
    if (chance_.one_in(3)) {
      add("e", Role::EachRow, some_of(rows), chance_.of(kFloats));
      leaves_.reals.push_back(last_input());
    }
    if (chance_.one_in(4)) {
      auto own = some_of(rows);
      own.push_back(1 + chance_.below(9));
      leaves_.common = std::min(leaves_.common, own.back());
      add("r", Role::Row, own, chance_.of(kFloats));
      leaves_.rows.push_back(last_input());
    }
    if (chance_.one_in(4)) {
      const mx::Shape shape{
          1 + chance_.below(6), chance_.one_in(6) ? 1 : space_.back()};
      leaves_.common = std::min(leaves_.common, shape[0]);
      add("table", Role::Table, shape, chance_.of(kFloats));
      leaves_.tables.push_back(last_input());
    }
    if (chance_.one_in(3)) {
      add_row_numbers(some_of(rows));
    }
    if (chance_.one_in(8)) {
      add("seed", Role::Scalar, {}, mx::uint64);
      leaves_.seeds.push_back(last_input());
    }
  }

  void add_row_numbers(const mx::Shape& shape) {
    program_.body.inputs.push_back({"at", Role::EachRow});
    program_.inputs.push_back(
        somewhere(chance_, shape, [&](const mx::Shape& full) {
          std::vector<int32_t> v(size_of(full));
          for (int32_t& x : v) {
            x = chance_.below(leaves_.common);
          }
          return mx::array(v.data(), full);
        }));
    leaves_.row_numbers.push_back(last_input());
    leaves_.wholes.push_back(last_input());
  }

  void
  add(std::string name, Role role, const mx::Shape& shape, mx::Dtype type) {
    program_.body.inputs.push_back({std::move(name), role});
    const bool extreme = chance_.one_in(6);
    const auto dense = [&](const mx::Shape& full) {
      return values(full, type, extreme);
    };
    program_.inputs.push_back(
        chance_.one_in(2) ? dense(shape) : somewhere(chance_, shape, dense));
  }

  static size_t size_of(const mx::Shape& shape) {
    size_t size = 1;
    for (int length : shape) {
      size *= static_cast<size_t>(length);
    }
    return size;
  }

  mx::array values(const mx::Shape& shape, mx::Dtype type, bool extreme) {
    const size_t size = size_of(shape);
    if (mx::issubdtype(type, mx::floating)) {
      std::vector<float> v(size);
      for (float& x : v) {
        x = real_value(extreme);
      }
      return mx::astype(mx::array(v.data(), shape), type);
    }
    std::vector<int64_t> v(size);
    for (int64_t& x : v) {
      x = whole_value(extreme);
    }
    return mx::astype(mx::array(v.data(), shape), type);
  }

  float real_value(bool extreme) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    constexpr float kSpecial[] = {
        0.F, -0.F, 1.F, -1.F, 100.F, -1e4F, 1e-6F, kInfinity, -kInfinity, NAN};
    if (extreme && chance_.one_in(10)) {
      return chance_.of(kSpecial);
    }
    // Whole numbers too, which tie and are equal.
    return chance_.one_in(8) ? static_cast<float>(chance_.below(7) - 3)
                             : static_cast<float>(chance_.uniform(-3, 3));
  }

  int64_t whole_value(bool extreme) {
    constexpr int64_t kSpecial[] = {
        std::numeric_limits<int64_t>::min(),
        std::numeric_limits<int64_t>::max(),
        std::numeric_limits<int32_t>::min(),
        std::numeric_limits<int32_t>::max(),
        std::numeric_limits<uint32_t>::max(),
        -1,
        0};
    return extreme && chance_.one_in(4) ? chance_.of(kSpecial)
                                        : chance_.below(24) - 8;
  }

  // --- outputs ---------------------------------------------------------------

  void add_outputs() {
    constexpr int kCounts[] = {1, 1, 1, 2, 3};
    Trees trees(chance_, leaves_);
    const int count = chance_.of(kCounts);
    for (int i = 0; i < count; ++i) {
      const int depth = 1 + chance_.below(chance_.one_in(10) ? 9 : 5);
      const bool whole = chance_.one_in(kind_ == Kind::Bits ? 1 : 8);
      lang::Output output{
          count == 1 ? "out" : fmt::format("out{}", i + 1),
          whole ? trees.whole(depth) : trees.real(depth),
          -1,
          {}};
      if (!whole && chance_.one_in(5)) {
        output.fixed = op::to_lang(chance_.of(kFloats));
      } else if (chance_.one_in(10)) {
        output.fills = true;
      }
      program_.body.outputs.push_back(std::move(output));
    }
  }

  static inline const mx::Dtype kFloats[] = {
      mx::float32,
      mx::float32,
      mx::float16,
      mx::bfloat16};
  static inline const mx::Dtype kIntegers[] = {
      mx::int32,
      mx::int32,
      mx::uint32,
      mx::int64};

  Chance chance_;
  Kind kind_ = Kind::Map;
  mx::Shape space_;
  Leaves leaves_;
  Program program_;
};

// Where they are not those of a dense array.
std::string strides_of(const mx::array& a) {
  return a.flags().row_contiguous
      ? ""
      : fmt::format(", strides {}", fmt::join(a.strides(), ", "));
}

std::string_view name_of(Role role) {
  switch (role) {
    case Role::Scalar:
      return ", a scalar";
    case Role::EachRow:
      return ", one per row";
    case Role::Row:
      return ", rows of its own";
    case Role::Table:
      return ", a table";
    default:
      return "";
  }
}

} // namespace

Program draw(uint64_t seed, int number) {
  // Near seeds give unlike sequences after this (Steele et al., SplitMix64).
  uint64_t z = seed * 0x9E3779B97F4A7C15 + static_cast<uint64_t>(number);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return Drawing(z ^ (z >> 31)).run();
}

std::string Program::to_string() const {
  std::string text = lang::print(body) + "\n";
  for (size_t i = 0; i < inputs.size(); ++i) {
    text += fmt::format(
        "  {}: {} ({}){}{}\n",
        body.inputs[i].name,
        lang::name_of(op::to_lang(inputs[i].dtype())),
        fmt::join(inputs[i].shape(), ", "),
        strides_of(inputs[i]),
        name_of(body.inputs[i].role));
  }
  for (const auto& output : body.outputs) {
    if (output.fixed || output.fills) {
      text += fmt::format(
          "  {}:{}{}\n",
          output.name,
          output.fixed ? fmt::format(" {}", lang::name_of(*output.fixed)) : "",
          output.fills ? " fills its row" : "");
    }
  }
  return text;
}

} // namespace zmlx::fuzz
