#pragma once

#include <compare>
#include <span>
#include <string>
#include <vector>

#include "zmlx/backend/backend.h"
#include "zmlx/base/fields.h"

/// How the arrays of a launch lie in memory: what text is written for, and what
/// it is told when it runs.
namespace zmlx::backend::cfamily {

/// How the elements of an array follow each other along a row of places.
enum class Step : uint8_t {
  Same, // one element for the whole row
  Adjacent,
  Apart, // at a distance that is told when it runs
};

/// What is written into the text about one array.
struct OperandLayout {
  Step step = Step::Same;
  /// Adjacent, and any `places` that begin at a multiple of `places` are
  /// aligned to their size (16 bytes at most).
  bool vector = false;
  /// By axis of rows: whether the array moves along it.
  std::vector<bool> moves;
  bool placed = false; // View::at
  int own_axes = 0; // Role::Table: of its rows
  /// An output that is a sum over places: parts of it are given, which lie as
  /// its elements do (Parts).
  bool summed = false;

  auto operator<=>(const OperandLayout&) const = default;
};

/// Whether rows are added up.
enum class Sums : uint8_t {
  None,
  /// Rows that lie along the axes `reduced` of rows are added up: they are the
  /// members of a group, one group for each place along the others. Members are
  /// dealt out to stripes, each of which gives parts of the sums.
  Groups,
  /// Rows that name a group are added up: an array has the name of each row.
  Named,
  /// The names of rows are given (store_groups.h).
  Names,
};

/// What is written into the text about the arrays of a launch.
struct Layout {
  Sums sums = Sums::None;
  std::vector<bool> reduced; // Sums::Groups: by axis of rows
  int axes = 0; // of rows
  std::vector<OperandLayout> inputs, outputs;
  int places = 1; // that a thread takes at once
  bool whole = false; // the length of a row is a multiple of `places`
  bool wide = false; // offsets need 64 bits

  auto operator<=>(const Layout&) const = default;
};

/// Where one array is: what the text is told.
struct OperandPlace {
  Address data;
  std::vector<int64_t> strides; // by axis of rows, in elements
  int64_t step = 0; // along the row
  int64_t length = 0; // Role::Row: of its own rows; Role::Table: rows
  lang::Shape own_extents; // Role::Table: axes of its rows
  lang::Strides own_strides;
  lang::Shape shape; // as it was given
  Address at;
  int64_t at_stride = 0;
};

/// A launch: the space as rows of places, rows as axes that no two can be
/// merged of, and the arrays in it.
struct Bound {
  Layout layout;
  lang::Shape axes; // of rows, outermost first
  int64_t rows = 1;
  int64_t width = 1;
  lang::Shape space;
  std::vector<OperandPlace> inputs, outputs;
  bool flat = false; // is_flat()
  /// Sums. Parts of output i are stripes x groups x its places, in the type of
  /// the values that are added up.
  int64_t groups = 0;
  int64_t members = 1;
  int64_t stripes = 1;
  std::vector<Address> parts; // by output
  Address names; // int64, by row

  /// Places that an output which is a sum has for each group.
  int64_t places_of_sum(int output) const {
    return layout.outputs.at(output).step == Step::Same ? 1 : width;
  }

  /// Places of a flat program, stripes of sums, else rows.
  int64_t work() const {
    return layout.sums == Sums::Groups ? groups * stripes
        : layout.sums == Sums::Named   ? groups
        : flat                         ? rows * width
                                       : rows;
  }
};

/// Whether places of a program may be counted through rows: no value knows its
/// row and no output has one element per row or is a sum. Then rows are merged
/// with their places where all arrays allow it.
bool is_flat(const lang::Program& program);

/// Binds arrays to a program of maps or rows, or to the row of a top-k.
/// `most_places` bounds the places a thread takes at once. Outputs that are
/// sums over places (find_sums) must all be sums over the same axes of rows.
/// Of a group of named rows (Sums::Named, Sums::Names) outputs give the number
/// of groups alone.
Bound bind(
    const lang::Program& program,
    std::span<const View> inputs,
    std::span<const View> outputs,
    int most_places,
    Sums sums = Sums::None);

/// The axes of the space, without the last, along which an output is a sum.
std::vector<bool>
summed_axes(const View& output, bool one_per_row, const lang::Shape& space);

/// The type in which an output is added up.
lang::Type sum_type(const lang::Program& program, int output);

} // namespace zmlx::backend::cfamily
