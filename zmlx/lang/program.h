#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "zmlx/export.h"
#include "zmlx/lang/kernel.h"

namespace zmlx::lang {

/// A typed straight-line program over registers, made from trees by lower().
/// Each instruction gives one value for every place of the row, or one for the
/// whole row when `uniform`. CumSum carries on from block to block: a pass with
/// one runs whole rows, from their end where it has a reverse one (a pass has
/// not both). Registers are assigned once and numbered in order,
/// so instruction i of a Code writes register i.
///
/// Registers have one of the types F32, F64, I32, U32, I64, U64 and Bool. Bool
/// holds 0 or 1 and comes only from comparisons, Not, And, Or and a Cast to
/// Bool (x != 0); its uses are Not, And, Or, the condition of Select, Cast from
/// Bool, and a Store. An Input or Pick of a bool array gives I32, 0 or 1. All
/// operands have type `from` (Select: the first is Bool, the others `from`;
/// Pick: the place, an integer): conversions are Casts of their own. Where an
/// As stands, compute_type(rounded) is `type` and rounding does change values.
///
/// Op::Slot, which trees have not, is the result of a reduction of an earlier
/// pass, or, in the store of a product, accumulator `number` at this place.
struct Instruction {
  Op op;
  Type type; // compute type of the result
  Type from = Type::F32; // compute type of the operands; `type` for leaves
  bool uniform = false;
  std::array<uint16_t, 3> in{}; // registers; Pick: in[0] is the place
  double value = 0; // Constant
  int axis = 0; // Extent
  ScanOrder order = ScanOrder::Forward; // CumSum
  /// Input, Pick, Take and Extent: which input. Slot: which slot.
  int number = -1;
  Type rounded = Type::F32; // As
  /// Names the value: instructions of different passes with one id compute the
  /// same.
  int id = -1;

  auto fields() const {
    return std::tie(
        op, type, from, uniform, in, value, axis, order, number, rounded, id);
  }
};
static_assert(lists_all_members<Instruction>);

using Code = std::vector<Instruction>;

/// Number of operands in registers: Pick and Take read an array besides.
ZMLX_API int operands(const Instruction& instruction);

struct Reduction {
  Op op; // Sum .. ArgMin
  uint16_t value; // the register reduced; a uniform one counts at every place
  int slot; // where the result goes, in the register's type (Arg*: U32)
};

/// What becomes of a value that is stored.
enum class Into : uint8_t {
  Place, // it is the output's element here
  Sum, // added up over the axes along which the output is broadcast here
  Row, // added to row `row` of the output, where that is a row of it
};

struct Store {
  int output;
  uint16_t value; // register; rounded to the output's type when stored
  /// The output has one element per row (the value is then uniform). Else it
  /// has one per place, and a uniform value fills the row.
  bool one_per_row = false;
  Into into = Into::Place;
  uint16_t row = 0; // Into::Row: a uniform register with an integer
};

/// One sweep over a row: code, then what its values are reduced into and where
/// they are stored. Outputs are stored in the last pass that reads element
/// inputs or later, so that an output may take an input's memory.
struct Pass {
  Code code;
  std::vector<Reduction> reductions;
  std::vector<Store> stores;
};

/// A map is one pass without reductions; softmax has three passes. A pass may
/// be all uniform (the last one of sum(x) / width).
struct RowProgram {
  std::vector<Pass> passes;
  int slots = 0;
};

/// Map: one pass whose places do not know their row (no Index, Width, Pick,
/// Take, CumSum, reduction or sum), so that axes may be joined. Row: everything
/// else on rows. TopK: the largest of a row that a row program gives.
enum class Stage : uint8_t { Map, Row, Product, Attention, TopK };

struct AttentionTerm {
  int q, k, v, length; // input numbers
  double scale;
};

/// The row is the single store {output -1, value}, float32.
struct TopTerm {
  int k;
  std::vector<int> values; // outputs that get the values
  std::vector<int> places; // and those that get the places
};

/// A kernel ready for a back end: typed, with one stage.
///
/// Product: `row` gives the row of K float values that is multiplied (its last
/// pass has the single store {output -1, value}); accumulator t is its product
/// with weights[t]; `store` runs over the M places of each output, where Slot
/// `number` t is accumulator t and Input, Index and Width are those of the
/// output row. The accumulators and the row multiplied are F32 (F64 where x is
/// float64). Weights whose M differ belong to different outputs: then each
/// output reads only accumulators of its own M.
struct Program {
  Stage stage = Stage::Map;
  std::vector<Type> inputs;
  std::vector<Type> outputs;
  RowProgram row;
  std::vector<Weight> weights;
  Pass store;
  AttentionTerm attention{};
  TopTerm top{};
  /// Inputs read through Pick only, along their own last axis.
  std::vector<bool> picked;
  /// How each input meets the others in the space of places.
  std::vector<Role> roles;
  /// The last axes of the space where the inputs leave them open (Body::space).
  std::vector<AxisLength> space;
};

} // namespace zmlx::lang
