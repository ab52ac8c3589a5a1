// What passes leave behind: reductions and stores.
#include "zmlx/backend/cfamily/operations.h"
#include "zmlx/backend/cfamily/pass.h"
#include "zmlx/backend/store_groups.h"

namespace zmlx::backend::cfamily {

using lang::Op;
using lang::Type;

namespace {

bool is_place(Op op) {
  return op == Op::ArgMax || op == Op::ArgMin;
}

const char* functor(Op op) {
  switch (op) {
    case Op::Sum:
      return "Sum";
    case Op::Prod:
      return "Product";
    case Op::MinOf:
      return "Smaller";
    default:
      return "Larger"; // also of the keys of places
  }
}

/// What a reduction of no values gives.
std::string start_of(Op op, Type type) {
  const bool largest = op == Op::MaxOf;
  if (op == Op::Sum || op == Op::Prod) {
    return literal(type, op == Op::Prod ? 1 : 0);
  }
  switch (type) {
    case Type::I32:
      return literal(type, largest ? -0x1p31 : 0x1p31 - 1);
    case Type::U32:
      return largest ? "0u" : "4294967295u";
    case Type::I64:
      return largest ? "long(1ull << 63)" : "long(~(1ull << 63))";
    case Type::U64:
      return largest ? "0ul" : "~0ul";
    default:
      return largest ? "(-INFINITE)" : "INFINITE";
  }
}

/// A reduction to a place goes by keys: the value as an ordered number above
/// the place, counted down so that the first of equals is the largest.
constexpr const char* kNoPlace = "0xFFFFFFFFul";

} // namespace

void PassWriter::declare_totals() {
  const Dialect& d = text_.dialect();
  const bool waits = threads_.team > 32;
  for (const auto& r : pass_->reductions) {
    const Type type = pass_->code[r.value].type;
    const auto name = fmt::format("slot{}", r.slot);
    const auto held = is_place(r.op) ? "ulong" : value_name(d, type);
    if (is_place(r.op)) {
      text_.line("ulong {}_key = {};", name, kNoPlace);
    } else {
      text_.line("{} {}_own = {};", held, name, start_of(r.op, type));
    }
    if (waits) {
      const bool pairs = r.op == Op::Sum && type == Type::F32;
      text_.line(
          "{} {} {}_memory[{}];",
          d.shared,
          held,
          name,
          threads_.team / (pairs ? 16 : 32));
    }
  }
  for (size_t i = 0; i < pass_->code.size(); ++i) {
    const auto& it = pass_->code[i];
    if (it.op == Op::CumSum) {
      const auto type = value_name(d, it.type);
      text_.line("{} v{}_carried = {};", type, i, literal(it.type, 0));
      if (waits) {
        text_.line(
            "{} {} v{}_memory[{}];", d.shared, type, i, threads_.team / 32);
      } else {
        text_.line("{}* v{}_memory = nullptr;", type, i);
      }
    }
  }
}

void PassWriter::reduce(const lang::Reduction& r) {
  const auto x = reg(r.value);
  const auto name = fmt::format("slot{}", r.slot);
  std::string next;
  std::string old;
  if (is_place(r.op)) {
    old = name + "_key";
    next = fmt::format(
        "Larger()({}, ulong({}{}({})) << 32 | (0xFFFFFFFFu - uint(place + e)))",
        old,
        r.op == Op::ArgMin ? "~" : "",
        text_.use("sortable"),
        x);
    text_.use("Larger");
  } else {
    old = name + "_own";
    next = fmt::format("{}()({}, {})", text_.use(functor(r.op)), old, x);
  }
  const auto guard = inside();
  if (guard.empty()) {
    text_.line("{} = {};", old, next);
  } else {
    text_.open("if ({})", guard);
    text_.line("{} = {};", old, next);
    text_.close();
  }
}

void PassWriter::finish_totals() {
  for (const auto& r : pass_->reductions) {
    const auto name = fmt::format("slot{}", r.slot);
    const auto memory =
        threads_.team > 32 ? name + "_memory" : std::string("nullptr");
    if (r.op == Op::Sum && pass_->code[r.value].type == Type::F32) {
      text_.line(
          "{0} = {1}<{2}>({0}_own, {3});",
          name,
          text_.use("team_sum"),
          threads_.team,
          threads_.team > 32 ? memory : "(float*)nullptr");
      continue;
    }
    const auto reduced = fmt::format(
        "{}<{}, {}>({}, {})",
        text_.use("team_reduce"),
        threads_.team,
        text_.use(is_place(r.op) ? "Larger" : functor(r.op)),
        is_place(r.op) ? name + "_key" : name + "_own",
        threads_.team > 32
            ? memory
            : fmt::format(
                  "({}*)nullptr",
                  is_place(r.op)
                      ? "ulong"
                      : value_name(
                            text_.dialect(), pass_->code[r.value].type)));
    text_.line(
        "{} = {};",
        name,
        is_place(r.op) ? fmt::format("0xFFFFFFFFu - uint({})", reduced)
                       : reduced);
  }
}

void PassWriter::store_uniform(const std::string& who) {
  bool any = false;
  for (const auto& store : pass_->stores) {
    if (!store.one_per_row) {
      continue;
    }
    if (!any) {
      text_.open("if ({})", who);
      any = true;
    }
    if (store.output == kNamedOutput) {
      name_row(store);
    } else if (is_sum(store)) {
      add(store, "");
    } else {
      text_.line(
          "{}[0] = {};",
          row_of(true, store.output),
          narrow(
              text_,
              pass_->code[store.value].type,
              program_.outputs[store.output],
              reg(store.value)));
    }
  }
  if (any) {
    text_.close();
  }
}

void PassWriter::name_row(const lang::Store& store) {
  const auto names = signature_.name({Parameter::Names});
  const auto groups = signature_.name({Parameter::Groups});
  text_.line("const long name = long({});", reg(store.value));
  text_.line("{}[row] = name;", names);
  if (given_[store.value]) {
    text_.open("if (name < 0 || name >= {})", groups);
    text_.line(
        "{}({}, name, {}, true, true, {});",
        text_.use("record_fault"),
        signature_.name({Parameter::Fault}),
        groups,
        store.row);
    text_.close();
  }
}

bool PassWriter::is_sum(const lang::Store& store) const {
  return store.output >= 0 && layout_.outputs[store.output].summed;
}

/// Whether its values are narrowed together, two in an instruction.
bool PassWriter::is_packed(const lang::Store& store) const {
  const Type stored = program_.outputs[store.output];
  return layout_.places > 1 && (stored == Type::F16 || stored == Type::BF16);
}

std::vector<int> PassWriter::sums() const {
  std::vector<int> all;
  for (size_t i = 0; i < layout_.outputs.size(); ++i) {
    if (layout_.outputs[i].summed) {
      all.push_back(static_cast<int>(i));
    }
  }
  return all;
}

// A sum along the row is one number in each thread. One with places is held in
// vectors, or in its parts in memory, where no other thread has these places.
void PassWriter::declare_sums(bool kept) {
  sums_kept_ = kept;
  text_.use("Sum");
  for (int output : sums()) {
    const Type type = sum_type(program_, output);
    const auto name = value_name(text_.dialect(), type);
    if (operand(true, output).step == Step::Same) {
      text_.line("{} out{}_sum = {};", name, output, literal(type, 0));
      continue;
    }
    if (kept) {
      text_.line(
          "Vector<{}, {}> out{}_sum[{}] = {{}};",
          name,
          layout_.places,
          output,
          threads_.steps);
    }
    text_.line(
        "{}* out{}_parts_row = {} + (stripe * long({}) + group) * {};",
        name,
        output,
        signature_.name({Parameter::Parts, true, output}),
        signature_.name({Parameter::Groups}),
        signature_.width());
  }
}

void PassWriter::add(const lang::Store& store, const std::string& step) {
  const auto x = reg(store.value);
  const int output = store.output;
  if (operand(true, output).step == Step::Same) {
    const auto guard = store.one_per_row ? std::string() : inside();
    text_.line(
        "{0}out{1}_sum = Sum()(out{1}_sum, {2});",
        guard.empty() ? "" : fmt::format("if ({}) ", guard),
        output,
        x);
  } else if (sums_kept_) {
    text_.line(
        "out{0}_sum[{1}].at[e] = Sum()(out{0}_sum[{1}].at[e], {2});",
        output,
        step,
        x);
  } else {
    const auto guard = inside();
    const auto part = fmt::format("out{}_parts_row[place + e]", output);
    text_.line(
        "{}{} = first_row ? {} : Sum()({}, {});",
        guard.empty() ? "" : fmt::format("if ({}) ", guard),
        part,
        x,
        part,
        x);
  }
}

void PassWriter::write_sums(bool kept) {
  const Dialect& d = text_.dialect();
  for (int output : sums()) {
    const Type type = sum_type(program_, output);
    if (operand(true, output).step == Step::Same) {
      std::string memory = fmt::format("({}*)nullptr", value_name(d, type));
      if (threads_.team > 32) {
        memory = fmt::format("out{}_memory", output);
        text_.line(
            "{} {} {}[{}];",
            d.shared,
            value_name(d, type),
            memory,
            threads_.team / 32);
      }
      text_.line(
          "out{0}_sum = {1}<{2}, Sum>(out{0}_sum, {3});",
          output,
          text_.use("team_reduce"),
          threads_.team,
          memory);
      text_.line(
          "if (exists && lane == 0) {}[stripe * long({}) + group] = out{}_sum;",
          signature_.name({Parameter::Parts, true, output}),
          signature_.name({Parameter::Groups}),
          output);
      continue;
    }
    if (!kept) {
      text_.open("if (exists && first_row)");
      text_.open(
          "for (index_t place = lane; place < width; place += {})",
          threads_.team);
      text_.line("out{}_parts_row[place] = {};", output, literal(type, 0));
      text_.close();
      text_.close();
      continue;
    }
    text_.unroll();
    text_.open("for (int step = 0; step < {}; ++step)", threads_.steps);
    text_.line(
        "const index_t place = (step * {} + lane) * {};",
        threads_.team,
        layout_.places);
    text_.line(
        "if (exists && place < width) {0}(out{1}_parts_row + place, "
        "out{1}_sum[step]{2});",
        text_.use(layout_.whole ? "store" : "store_some"),
        output,
        layout_.whole ? "" : ", width - place");
    text_.close();
  }
}

void PassWriter::put(const lang::Store& store) {
  const auto& layout = operand(true, store.output);
  const auto row = row_of(true, store.output);
  auto vector = fmt::format("out{}_vector", store.output);
  if (is_packed(store)) {
    const auto pack = fmt::format(
        "pack_{}",
        stored_name(text_.dialect(), program_.outputs[store.output]));
    vector = fmt::format("{}(out{}_values)", text_.use(pack), store.output);
  }
  if (!layout.vector) {
    const auto step = layout.step == Step::Apart
        ? signature_.name({Parameter::Step, true, store.output})
        : std::string("index_t(1)");
    text_.line(
        "{0}({1} + place * {2}, {2}, {3}, {4} - place);",
        text_.use("scatter"),
        row,
        step,
        vector,
        signature_.width());
  } else if (layout_.whole && !scans()) {
    text_.line("{}({} + place, {});", text_.use("store"), row, vector);
  } else {
    text_.line(
        "{}({} + place, {}, {} - place);",
        text_.use("store_some"),
        row,
        vector,
        signature_.width());
  }
}

} // namespace zmlx::backend::cfamily
