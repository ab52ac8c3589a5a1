#include "zmlx/base/errors.h"
#include "zmlx/lang/lower/graph.h"
#include "zmlx/lang/operations.h"

namespace zmlx::lang::lower_detail {
namespace {

bool is_register_type(Type type) {
  return type == Type::Bool || compute_type(type) == type;
}

/// The type that operand k must have.
Type operand_type(Op op, Type from, int k) {
  return op == Op::Select && k == 0 ? Type::Bool : from;
}

/// What is wrong with the types of an operation that has a rule of its own, or
/// "".
std::string_view own_fault(Op op, Type type, Type from) {
  switch (op) {
    case Op::Cast:
      return type != from ? "" : "casts to its own type";
    case Op::Pick:
    case Op::Take:
      return is_integer(from) ? "" : "needs an integer place";
    case Op::Random:
      return from == Type::U64 && type == Type::U32
          ? ""
          : "makes uint32 from a uint64 seed";
    case Op::Constant:
      return "";
    default:
      break;
  }
  if (from == Type::Bool || type != from) {
    return "has operands of another type than its result";
  }
  return op == Op::Product && !is_float(type) ? "needs floats" : "";
}

/// What is wrong with the types of an operation, or "".
std::string_view type_fault(Op op, Type type, Type from) {
  if (!is_register_type(type) || !is_register_type(from)) {
    return "not a compute type";
  }
  const bool truth = from == Type::Bool;
  const TypeRule rule = operation(op).types;
  switch (rule) {
    case TypeRule::Own:
      return own_fault(op, type, from);
    case TypeRule::Logical:
      return truth && type == from ? "" : "needs truth values";
    case TypeRule::Comparison:
      return !truth && type == Type::Bool ? "" : "must give a truth value";
    case TypeRule::Place:
      return !truth && type == Type::U32 ? "" : "must give uint32";
    default:
      break;
  }
  if (truth || type != from) {
    return "has operands of another type than its result";
  }
  if (rule == TypeRule::Float || rule == TypeRule::Rounding) {
    return is_float(type) ? "" : "needs floats";
  }
  return rule == TypeRule::Integer && is_float(type) ? "needs integers" : "";
}

void check_value(const Graph& graph, int id, std::string_view pass) {
  const Value& value = graph.values[id];
  std::string_view fault = type_fault(value.op, value.type, value.from);
  for (int k = 0; k < operands(value) && fault.empty(); ++k) {
    int operand = value.in[k];
    if (operand < 0 || operand >= id) {
      fault = "comes before its operand";
    } else if (
        value.op == Op::Select && k == 0
            ? graph.values[operand].type != Type::Bool
            : graph.values[operand].type != value.from) {
      fault = "has an operand of a wrong type";
    }
  }
  if (!fault.empty()) {
    throw internal_error(
        "after pass '{}', value {} ({} of {} from {}) {}",
        pass,
        id,
        name_of(value.op),
        name_of(value.type),
        name_of(value.from),
        fault);
  }
}

/// Checks one pass; `known` says which slots it may read.
void check_pass(const Pass& pass, const std::vector<bool>& known) {
  auto fail = [](size_t at, std::string_view fault) {
    throw internal_error("lowered instruction {}: {}", at, fault);
  };
  for (size_t i = 0; i < pass.code.size(); ++i) {
    const Instruction& it = pass.code[i];
    if (it.op == Op::Slot) {
      if (it.number < 0 || it.number >= static_cast<int>(known.size()) ||
          !known[it.number]) {
        fail(i, "reads a slot that is not known yet");
      }
      continue;
    }
    for (int k = 0; k < operands(it); ++k) {
      if (it.in[k] >= i) {
        fail(i, "reads a later register");
      }
      const Instruction& operand = pass.code[it.in[k]];
      if (operand.type != operand_type(it.op, it.from, k)) {
        fail(i, "has an operand of a wrong type");
      }
      if (it.uniform && !operand.uniform) {
        fail(i, "is uniform and its operand is not");
      }
    }
  }
  for (const Store& store : pass.stores) {
    if (store.value >= pass.code.size()) {
      fail(store.value, "is stored and does not exist");
    }
    if (store.into == Into::Row &&
        (store.row >= pass.code.size() || !pass.code[store.row].uniform)) {
      fail(store.row, "names a row and does not exist or varies along it");
    }
    if (store.one_per_row && !pass.code[store.value].uniform) {
      fail(store.value, "is stored once per row and varies along it");
    }
  }
}

} // namespace

void check(const Graph& graph, std::string_view pass) {
  for (size_t i = 0; i < graph.values.size(); ++i) {
    check_value(graph, static_cast<int>(i), pass);
  }
}

void check(const Program& program) {
  std::vector<bool> known(program.row.slots);
  size_t stores = program.store.stores.size();
  for (const Pass& pass : program.row.passes) {
    check_pass(pass, known);
    for (const Reduction& reduction : pass.reductions) {
      if (reduction.value >= pass.code.size() || known.at(reduction.slot)) {
        throw internal_error("slot {} is made twice", reduction.slot);
      }
      known[reduction.slot] = true;
    }
    stores += pass.stores.size();
  }
  check_pass(program.store, std::vector<bool>(program.weights.size(), true));
  size_t expected =
      program.outputs.size() + (program.stage == Stage::Product ? 1 : 0);
  if (program.stage == Stage::TopK) {
    expected = 1;
  }
  if (program.stage != Stage::Attention && stores != expected) {
    throw internal_error(
        "lowered program stores {} values, expected {}", stores, expected);
  }
}

} // namespace zmlx::lang::lower_detail
