#include "zmlx/backend/cfamily/pass.h"

#include <algorithm>

#include "zmlx/backend/cfamily/operations.h"
#include "zmlx/backend/faults.h"
#include "zmlx/backend/store_groups.h"
#include "zmlx/lang/operations.h"

namespace zmlx::backend::cfamily {

using lang::Op;
using lang::Type;

namespace {

bool is_backward(lang::ScanOrder order) {
  return order == lang::ScanOrder::Reverse ||
      order == lang::ScanOrder::ReverseExclusive;
}

bool is_exclusive(lang::ScanOrder order) {
  return order == lang::ScanOrder::ForwardExclusive ||
      order == lang::ScanOrder::ReverseExclusive;
}

/// What stands in the text where the value is used, without a statement.
bool is_inline(const lang::Instruction& i) {
  return i.op == Op::Constant || i.op == Op::Slot;
}

} // namespace

PassWriter::PassWriter(
    Text& text,
    Signature& signature,
    const lang::Program& program,
    const Layout& layout,
    const Threads& threads)
    : text_(text),
      signature_(signature),
      program_(program),
      layout_(layout),
      threads_(threads) {}

void PassWriter::begin(const lang::Pass& pass) {
  pass_ = &pass;
  needed_ = needed_registers(pass);
  given_ = given_by_input(pass.code);
  find_segments();
}

// Values that come after a running sum are computed in a loop of their own,
// since the sum needs the values of all threads; those that the loops share are
// kept for all places of the vector.
void PassWriter::find_segments() {
  const auto& code = pass_->code;
  segment_.assign(code.size(), 0);
  crosses_.assign(code.size(), false);
  for (size_t i = 0; i < code.size(); ++i) {
    for (int k = 0; k < lang::operands(code[i]); ++k) {
      const auto from = code[i].in[k];
      segment_[i] = std::max(
          segment_[i], segment_[from] + (code[from].op == Op::CumSum ? 1 : 0));
    }
  }
  for (size_t i = 0; i < code.size(); ++i) {
    for (int k = 0; k < lang::operands(code[i]); ++k) {
      const auto from = code[i].in[k];
      crosses_[from] = crosses_[from] || segment_[from] < segment_[i] ||
          code[i].op == Op::CumSum || code[from].op == Op::CumSum;
    }
  }
  last_segment_ = 0;
  for (size_t i = 0; i < code.size(); ++i) { // a running sum is used later
    const bool sum = needed_[i] && code[i].op == Op::CumSum;
    crosses_[i] = crosses_[i] || sum;
    last_segment_ = std::max(last_segment_, segment_[i] + (sum ? 1 : 0));
  }
  const auto used_last = [&](uint16_t value) {
    crosses_[value] = crosses_[value] || segment_[value] < last_segment_;
  };
  for (const auto& store : pass_->stores) {
    used_last(store.value);
  }
  for (const auto& reduction : pass_->reductions) {
    used_last(reduction.value);
  }
}

std::string PassWriter::reg(int number) const {
  const auto& i = pass_->code[number];
  if (i.op == Op::Constant) {
    return literal(i.type, i.value);
  }
  if (i.op == Op::Slot) {
    return fmt::format("slot{}", i.number);
  }
  return crosses_[number] && !i.uniform ? fmt::format("v{}[e]", number)
                                        : fmt::format("v{}", number);
}

const OperandLayout& PassWriter::operand(bool output, int number) const {
  return (output ? layout_.outputs : layout_.inputs).at(number);
}

std::string PassWriter::row_of(bool output, int number) {
  const auto& moves = operand(output, number).moves;
  const auto name = signature_.name({Parameter::Data, output, number});
  return std::ranges::count(moves, true) > 0 ? name + "_row" : name;
}

void PassWriter::open_arrays() {
  const auto open = [&](bool output, size_t number) {
    if (!operand(output, static_cast<int>(number)).placed) {
      return;
    }
    const auto n = static_cast<int>(number);
    text_.line(
        "{} += *{} * {};",
        signature_.name({Parameter::Data, output, n}),
        signature_.name({Parameter::At, output, n}),
        signature_.name({Parameter::AtStride, output, n}));
  };
  for (size_t i = 0; i < layout_.inputs.size(); ++i) {
    open(false, i);
  }
  for (size_t i = 0; i < layout_.outputs.size(); ++i) {
    open(true, i);
  }
}

/// The place along each of these axes, counted by `from`.
void PassWriter::open_axes(
    const std::vector<int>& axes,
    const std::string& from) {
  std::string rest = from;
  for (size_t i = axes.size(); i-- > 0;) {
    const int axis = axes[i];
    if (i == 0) {
      text_.line("const index_t row{} = {};", axis, rest);
      continue;
    }
    const auto extent = signature_.name({Parameter::RowExtent, false, 0, axis});
    const auto next = fmt::format("rest{}_of_{}", axis, from);
    text_.line("const index_t {} = {} / {};", next, rest, extent);
    text_.line("const index_t row{} = {} - {} * {};", axis, rest, next, extent);
    rest = next;
  }
}

void PassWriter::open_row() {
  std::vector<int> kept, reduced;
  for (int axis = 0; axis < layout_.axes; ++axis) {
    const bool of_members =
        layout_.sums == Sums::Groups && layout_.reduced[axis];
    (of_members ? reduced : kept).push_back(axis);
  }
  if (layout_.sums == Sums::Groups) {
    open_axes(kept, "group_of_row");
    open_axes(reduced, "member_of_row");
    std::string row;
    for (int axis = 0; axis < layout_.axes; ++axis) {
      row = axis == 0
          ? "row0"
          : fmt::format(
                "({}) * {} + row{}",
                row,
                signature_.name({Parameter::RowExtent, false, 0, axis}),
                axis);
    }
    text_.line("const index_t row = {};", row.empty() ? "0" : row);
  } else {
    open_axes(kept, "row");
  }
  const auto open = [&](bool output, int number, Type type) {
    std::string offset;
    for (int axis = 0; axis < layout_.axes; ++axis) {
      if (axis < static_cast<int>(operand(output, number).moves.size()) &&
          operand(output, number).moves[axis]) {
        offset += fmt::format(
            " + row{} * {}",
            axis,
            signature_.name({Parameter::Stride, output, number, axis}));
      }
    }
    if (!offset.empty()) {
      const auto name = signature_.name({Parameter::Data, output, number});
      text_.line(
          "{}{}* {}_row = {}{};",
          output ? "" : "const ",
          stored_name(text_.dialect(), type),
          name,
          name,
          offset);
    }
  };
  for (size_t i = 0; i < layout_.inputs.size(); ++i) {
    open(false, static_cast<int>(i), program_.inputs[i]);
  }
  for (size_t i = 0; i < layout_.outputs.size(); ++i) {
    if (!layout_.outputs[i].summed) {
      open(true, static_cast<int>(i), program_.outputs[i]);
    }
  }
}

bool PassWriter::is_vector(int number) const {
  const auto& i = pass_->code[number];
  if (!needed_[number] || i.uniform) {
    return false;
  }
  return i.op == Op::Take ||
      (i.op == Op::Input && operand(false, i.number).step != Step::Same);
}

// An input has one vector in all passes; a taken row one for each value that
// names it.
std::string PassWriter::key_of(int number) const {
  const auto& i = pass_->code[number];
  return i.op == Op::Take ? fmt::format("taken{}", i.id)
                          : array_name(false, i.number);
}

PassWriter::Vector PassWriter::vector_of(int number) {
  const auto& i = pass_->code[number];
  const auto& layout = operand(false, i.number);
  Vector vector{
      key_of(number) + "_vector",
      program_.inputs[i.number],
      "",
      layout.step,
      layout.vector,
      "",
      ""};
  if (i.op == Op::Take) {
    vector.from = fmt::format("v{}_row", number);
    vector.condition = fmt::format("v{}_there", number);
  } else {
    vector.from = row_of(false, i.number);
  }
  if (layout.step == Step::Apart) {
    vector.apart = signature_.name({Parameter::Step, false, i.number});
  }
  return vector;
}

bool PassWriter::has_new_vectors() const {
  for (size_t i = 0; i < pass_->code.size(); ++i) {
    const auto n = static_cast<int>(i);
    if (is_vector(n) && !read_.contains(key_of(n))) {
      return true;
    }
  }
  return false;
}

void PassWriter::declare_vectors(int count) {
  std::vector<std::string> done;
  for (size_t i = 0; i < pass_->code.size(); ++i) {
    const auto n = static_cast<int>(i);
    if (!is_vector(n) || read_.contains(key_of(n)) ||
        std::ranges::count(done, key_of(n)) > 0) {
      continue;
    }
    done.push_back(key_of(n));
    const Vector vector = vector_of(n);
    text_.use("Vector");
    text_.line(
        "Vector<{}, {}> {}{};",
        stored_name(text_.dialect(), vector.type),
        layout_.places,
        vector.name,
        count > 0 ? fmt::format("[{}]", count) : "");
  }
}

void PassWriter::read_vectors(const std::string& step) {
  std::vector<std::string> done;
  for (size_t i = 0; i < pass_->code.size(); ++i) {
    const auto n = static_cast<int>(i);
    if (!is_vector(n) || read_.contains(key_of(n)) ||
        std::ranges::count(done, key_of(n)) > 0) {
      continue;
    }
    done.push_back(key_of(n));
    const Vector v = vector_of(n);
    const auto to = step.empty() ? v.name : fmt::format("{}[{}]", v.name, step);
    const auto width = signature_.width();
    std::string read;
    if (v.step == Step::Same) {
      read = fmt::format(
          "{}<{}>({}, index_t(0), {} - place)",
          text_.use("gather"),
          layout_.places,
          v.from,
          width);
    } else if (v.step == Step::Apart || !v.vector) {
      read = fmt::format(
          "{0}<{1}>({2} + place * {3}, {3}, {4} - place)",
          text_.use("gather"),
          layout_.places,
          v.from,
          v.step == Step::Apart ? v.apart : "index_t(1)",
          width);
    } else if (layout_.whole && !scans()) {
      read = fmt::format(
          "{}<{}>({} + place)", text_.use("load"), layout_.places, v.from);
    } else {
      read = fmt::format(
          "{}<{}>({} + place, {} - place)",
          text_.use("load_some"),
          layout_.places,
          v.from,
          width);
    }
    if (v.condition.empty()) {
      text_.line("{} = {};", to, read);
    } else {
      text_.line(
          "{} = {} ? {} : Vector<{}, {}>{{}};",
          to,
          v.condition,
          read,
          stored_name(text_.dialect(), v.type),
          layout_.places);
    }
  }
}

void PassWriter::keep_vectors() {
  for (size_t i = 0; i < pass_->code.size(); ++i) {
    if (is_vector(static_cast<int>(i))) {
      read_[key_of(static_cast<int>(i))] = true;
    }
  }
}

void PassWriter::uniform_values() {
  for (size_t i = 0; i < pass_->code.size(); ++i) {
    const auto n = static_cast<int>(i);
    if (needed_[i] && pass_->code[i].uniform) {
      value(n);
    } else if (needed_[i] && pass_->code[i].op == Op::Take) {
      take_row(n);
    }
  }
}

bool PassWriter::visits_places() const {
  return !pass_->reductions.empty() ||
      std::ranges::any_of(
          pass_->stores, [](const lang::Store& s) { return !s.one_per_row; });
}

bool PassWriter::scans() const {
  for (size_t i = 0; i < pass_->code.size(); ++i) {
    if (needed_[i] && pass_->code[i].op == Op::CumSum) {
      return true;
    }
  }
  return false;
}

bool PassWriter::scans_backwards() const {
  return std::ranges::any_of(pass_->code, [](const lang::Instruction& i) {
    return i.op == Op::CumSum && is_backward(i.order);
  });
}

std::string PassWriter::inside() const {
  if (scans()) {
    return "place + e >= 0 && place + e < width";
  }
  return layout_.whole ? "" : "place + e < width";
}

void PassWriter::values(const std::string& step) {
  for (size_t i = 0; i < pass_->code.size(); ++i) {
    const auto& it = pass_->code[i];
    if (needed_[i] && !it.uniform && crosses_[i] && !is_inline(it)) {
      text_.line(
          "{} v{}[{}];",
          value_name(text_.dialect(), it.type),
          i,
          layout_.places);
    }
  }
  for (const auto& store : pass_->stores) {
    if (!store.one_per_row && !is_sum(store)) {
      text_.use("Vector");
      const auto stored =
          stored_name(text_.dialect(), program_.outputs[store.output]);
      if (is_packed(store)) {
        text_.line("float out{}_values[{}];", store.output, layout_.places);
      } else {
        text_.line(
            "Vector<{}, {}> out{}_vector;",
            stored,
            layout_.places,
            store.output);
      }
    }
  }
  for (int s = 0; s <= last_segment_; ++s) {
    segment(s, step);
    for (size_t i = 0; i < pass_->code.size(); ++i) {
      if (needed_[i] && pass_->code[i].op == Op::CumSum && segment_[i] == s) {
        scan(static_cast<int>(i));
      }
    }
  }
  const bool before_begin = scans_backwards();
  if (before_begin) {
    text_.open("if (place >= 0)");
  }
  for (const auto& store : pass_->stores) {
    if (!store.one_per_row && !is_sum(store)) {
      put(store);
    }
  }
  if (before_begin) {
    text_.close();
  }
}

/// The statements for one place, in a loop over those of the vector.
void PassWriter::segment(int number, const std::string& step) {
  text_.unroll();
  text_.open("for (int e = 0; e < {}; ++e)", layout_.places);
  for (size_t i = 0; i < pass_->code.size(); ++i) {
    const auto& it = pass_->code[i];
    if (!needed_[i] || it.uniform || segment_[i] != number) {
      continue;
    }
    const auto n = static_cast<int>(i);
    if (is_vector(n)) {
      const Vector v = vector_of(n);
      const auto at =
          step.empty() ? v.name : fmt::format("{}[{}]", v.name, step);
      declare(n, widen(text_, v.type, fmt::format("{}.at[e]", at)));
    } else if (it.op != Op::CumSum) {
      value(n);
    }
  }
  if (number == last_segment_) {
    for (const auto& reduction : pass_->reductions) {
      reduce(reduction);
    }
    for (const auto& store : pass_->stores) {
      if (!store.one_per_row && is_sum(store)) {
        add(store, step);
      } else if (!store.one_per_row && is_packed(store)) {
        text_.line(
            "out{}_values[e] = {};",
            store.output,
            convert(
                text_,
                pass_->code[store.value].type,
                Type::F32,
                reg(store.value)));
      } else if (!store.one_per_row) {
        text_.line(
            "out{}_vector.at[e] = {};",
            store.output,
            narrow(
                text_,
                pass_->code[store.value].type,
                program_.outputs[store.output],
                reg(store.value)));
      }
    }
  }
  text_.close();
}

void PassWriter::declare(int number, const std::string& value) {
  const auto& i = pass_->code[number];
  const bool shared = crosses_[number] && !i.uniform;
  text_.line(
      "{}{} = {};",
      shared ? std::string()
             : fmt::format("const {} ", value_name(text_.dialect(), i.type)),
      reg(number),
      value);
}

void PassWriter::value(int number) {
  const auto& i = pass_->code[number];
  if (is_inline(i)) {
    return;
  }
  switch (i.op) {
    case Op::Input:
      return input(number);
    case Op::Pick:
      return pick(number);
    case Op::Random:
      return random(number);
    case Op::Index:
      return declare(number, "int(place + e)");
    case Op::Width:
      return declare(number, fmt::format("int({})", signature_.width()));
    case Op::RowIndex:
      return declare(number, "int(row)");
    case Op::Extent:
      return declare(
          number,
          fmt::format(
              "int({})",
              signature_.name({Parameter::Extent, false, i.number, i.axis})));
    default:
      break;
  }
  std::vector<std::string> in;
  std::vector<Type> types;
  for (int k = 0; k < lang::operands(i); ++k) {
    in.push_back(reg(i.in[k]));
    types.push_back(pass_->code[i.in[k]].type);
  }
  declare(number, apply(text_, i, in, types));
}

/// An input that is the same along the row.
void PassWriter::input(int number) {
  const auto& i = pass_->code[number];
  declare(
      number,
      widen(
          text_,
          program_.inputs[i.number],
          fmt::format("{}[0]", row_of(false, i.number))));
}

void PassWriter::pick(int number) {
  const auto& i = pass_->code[number];
  const auto& layout = operand(false, i.number);
  const auto row = row_of(false, i.number);
  const auto length = signature_.name({Parameter::Length, false, i.number});
  const auto name = fmt::format("v{}", number);
  std::string inside = i.uniform ? "" : this->inside();
  inside = inside.empty() ? "" : " && " + inside;
  text_.line("const long {}_at = long({});", name, reg(i.in[0]));
  text_.line(
      "const bool {0}_there = {0}_at >= 0 && {0}_at < {1};", name, length);
  if (given_[i.in[0]]) {
    text_.open("if (!{}_there{})", name, inside);
    text_.line(
        "{}({}, {}_at, {}, false, false, {});",
        text_.use("record_fault"),
        signature_.name({Parameter::Fault}),
        name,
        length,
        i.number);
    text_.close();
  }
  const auto at = layout.step == Step::Adjacent
      ? fmt::format("{}[{}_at]", row, name)
      : fmt::format(
            "{}[{}_at * {}]",
            row,
            name,
            signature_.name({Parameter::Step, false, i.number}));
  declare(
      number,
      fmt::format(
          "{}_there{} ? {} : {}",
          name,
          inside,
          widen(text_, program_.inputs[i.number], at),
          literal(i.type, 0)));
}

void PassWriter::take_row(int number) {
  const auto& i = pass_->code[number];
  const auto name = fmt::format("v{}", number);
  const auto length = signature_.name({Parameter::Length, false, i.number});
  text_.line("const long {}_at = long({});", name, reg(i.in[0]));
  text_.line(
      "const bool {0}_there = {0}_at >= 0 && {0}_at < {1};", name, length);
  if (given_[i.in[0]]) {
    text_.open("if (!{}_there)", name);
    text_.line(
        "{}({}, {}_at, {}, true, false, {});",
        text_.use("record_fault"),
        signature_.name({Parameter::Fault}),
        name,
        length,
        i.number);
    text_.close();
  }
  const int axes = operand(false, i.number).own_axes;
  std::string offset;
  std::string rest = fmt::format("({0}_there ? {0}_at : 0)", name);
  for (int axis = axes - 1; axis >= 0; --axis) {
    const auto extent =
        signature_.name({Parameter::OwnExtent, false, i.number, axis});
    const auto stride =
        signature_.name({Parameter::OwnStride, false, i.number, axis});
    offset += axis == 0 ? fmt::format(" + {} * {}", rest, stride)
                        : fmt::format(" + {} % {} * {}", rest, extent, stride);
    rest = fmt::format("({} / {})", rest, extent);
  }
  text_.line(
      "const {}* {}_row = {}{};",
      stored_name(text_.dialect(), program_.inputs[i.number]),
      name,
      signature_.name({Parameter::Data, false, i.number}),
      offset);
}

// Four places share a block of the generator; where vectors begin at multiples
// of four the compiler sees that they do.
void PassWriter::random(int number) {
  const auto& i = pass_->code[number];
  signature_.width();
  if (layout_.places % 4 == 0 && layout_.whole) {
    declare(
        number,
        fmt::format(
            "{}({}, ulong({}) / 4 + e / 4, e % 4)",
            text_.use("random_word"),
            reg(i.in[0]),
            "row * width + place"));
    return;
  }
  declare(
      number,
      fmt::format(
          "{0}({1}, (ulong({2}) + e) / 4, int((ulong({2}) + e) % 4))",
          text_.use("random_word"),
          reg(i.in[0]),
          "row * width + place"));
}

/// Adds up the vector's values before each place, and those of the threads
/// before this one.
void PassWriter::scan(int number) {
  const auto& i = pass_->code[number];
  const auto type = value_name(text_.dialect(), i.type);
  const bool backward = is_backward(i.order);
  const int places = layout_.places;
  const auto loop = [&] {
    text_.unroll();
    text_.open("for (int i = 0; i < {}; ++i)", places);
    text_.line(
        "const int e = {};",
        backward ? fmt::format("{} - i", places - 1) : std::string("i"));
  };
  const auto& operand = pass_->code[i.in[0]];
  const auto term = fmt::format(
      "place + e >= 0 && place + e < {} ? {} : {}",
      signature_.width(),
      operand.uniform || is_inline(operand) ? reg(i.in[0])
                                            : fmt::format("v{}[e]", i.in[0]),
      literal(i.type, 0));
  text_.use("Sum");
  text_.line("{} v{}_own = {};", type, number, literal(i.type, 0));
  loop();
  text_.line("const {} term = {};", type, term);
  if (is_exclusive(i.order)) {
    text_.line("v{0}[e] = v{0}_own;", number);
  }
  text_.line("v{0}_own = Sum()(v{0}_own, term);", number);
  if (!is_exclusive(i.order)) {
    text_.line("v{0}[e] = v{0}_own;", number);
  }
  text_.close();
  text_.line("{} v{}_total;", type, number);
  text_.line(
      "const {0} v{1}_before = Sum()(v{1}_carried, {2}<{3}>(v{1}_own, "
      "v{1}_total, v{1}_memory));",
      type,
      number,
      text_.use("team_scan"),
      threads_.team);
  text_.line("v{0}_carried = Sum()(v{0}_carried, v{0}_total);", number);
  loop();
  text_.line("v{0}[e] = Sum()(v{0}_before, v{0}[e]);", number);
  text_.close();
}

} // namespace zmlx::backend::cfamily
