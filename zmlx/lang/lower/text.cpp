#include <fmt/format.h>
#include <fmt/ranges.h>

#include "zmlx/lang/lower.h"

namespace zmlx::lang {
namespace {

std::string operand_text(const Instruction& it) {
  switch (it.op) {
    case Op::Input:
      return fmt::format("input {}", it.number);
    case Op::Constant:
      return fmt::format("{}", it.value);
    case Op::Slot:
      return fmt::format("slot {}", it.number);
    case Op::Pick:
      return fmt::format("pick input {} at r{}", it.number, it.in[0]);
    case Op::Take:
      return fmt::format("take input {} row r{}", it.number, it.in[0]);
    case Op::Extent:
      return fmt::format("axis {} of input {}", it.axis, it.number);
    case Op::CumSum:
      return fmt::format("cumsum r{} {}", it.in[0], name_of(it.order));
    default:
      break;
  }
  std::string text(name_of(it.op));
  for (int k = 0; k < arity(it.op); ++k) {
    text += fmt::format(" r{}", it.in[k]);
  }
  return text;
}

std::string to_text(const Instruction& it, size_t number) {
  std::string text = fmt::format(
      "  r{} = {} : {}", number, operand_text(it), name_of(it.type));
  if (it.op == Op::As) {
    text += fmt::format(" rounded to {}", name_of(it.rounded));
  }
  if (it.from != it.type) {
    text += fmt::format(" from {}", name_of(it.from));
  }
  return text + (it.uniform ? " uniform\n" : "\n");
}

std::string to_text(const Pass& pass, const Program& program) {
  std::string text;
  for (size_t i = 0; i < pass.code.size(); ++i) {
    text += to_text(pass.code[i], i);
  }
  for (const Reduction& reduction : pass.reductions) {
    text += fmt::format(
        "  slot {} = {} r{}\n",
        reduction.slot,
        name_of(reduction.op),
        reduction.value);
  }
  for (const Store& store : pass.stores) {
    if (store.output < 0) {
      text += fmt::format("  multiply r{}\n", store.value);
      continue;
    }
    text += fmt::format(
        "  output {} {} r{} : {}{}{}\n",
        store.output,
        store.into == Into::Place ? "=" : "+=",
        store.value,
        name_of(program.outputs[store.output]),
        store.one_per_row ? " one per row" : "",
        store.into == Into::Row ? fmt::format(" in row r{}", store.row) : "");
  }
  return text;
}

std::string to_text(const Weight& weight) {
  const auto parts = parts_of(weight);
  std::string text(row_of(weight.format).name);
  if (weight.bits > 0) {
    text += fmt::format(" {} bits", weight.bits);
  }
  if (weight.group_size > 0) {
    text += fmt::format(", groups of {}", weight.group_size);
  }
  text += fmt::format(
      ", input{} {}", parts.size() > 1 ? "s" : "", fmt::join(parts, " "));
  return weight.experts < 0 ? text
                            : text +
          fmt::format(", of the matrices that input {} names", weight.experts);
}

std::string_view name_of(Stage stage) {
  switch (stage) {
    case Stage::Map:
      return "map";
    case Stage::Row:
      return "row";
    case Stage::Product:
      return "product";
    case Stage::Attention:
      return "attention";
    case Stage::TopK:
      return "top k";
  }
  return "?";
}

} // namespace

std::string to_text(const Program& program) {
  std::string text = fmt::format("stage {}\n", name_of(program.stage));
  for (size_t i = 0; i < program.inputs.size(); ++i) {
    text += fmt::format(
        "input {} : {}{}\n",
        i,
        name_of(program.inputs[i]),
        program.picked[i] ? " picked" : "");
  }
  if (program.stage == Stage::Attention) {
    const AttentionTerm& a = program.attention;
    return text +
        fmt::format(
               "attention q {} k {} v {} length {} scale {}\n",
               a.q,
               a.k,
               a.v,
               a.length,
               a.scale);
  }
  for (size_t p = 0; p < program.row.passes.size(); ++p) {
    text += fmt::format("pass {}\n", p);
    text += to_text(program.row.passes[p], program);
  }
  for (size_t t = 0; t < program.weights.size(); ++t) {
    text += fmt::format("weight {} {}\n", t, to_text(program.weights[t]));
  }
  if (program.stage == Stage::TopK) {
    const TopTerm& t = program.top;
    text += fmt::format(
        "top {}: values to outputs [{}], places to outputs [{}]\n",
        t.k,
        fmt::join(t.values, ", "),
        fmt::join(t.places, ", "));
  }
  if (program.stage == Stage::Product) {
    text += "store\n" + to_text(program.store, program);
  }
  return text;
}

} // namespace zmlx::lang
