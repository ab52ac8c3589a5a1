#include "zmlx/op/reduce.h"

#include <algorithm>

#include "zmlx/base/errors.h"
#include "zmlx/op/combine.h"

namespace zmlx::op {
namespace {

using lang::Expr;

lang::NamedValue row_length() {
  return {"D", lang::width()};
}

lang::Body body_of(Expr value, bool fills) {
  lang::Body body{{{"x", lang::Role::Element}}, {}};
  lang::Output output{"out", std::move(value), -1, {}};
  output.fills = fills;
  body.outputs.push_back(std::move(output));
  return body;
}

bool contains(const Expr& tree, const Expr& part) {
  const auto nodes = lang::postorder({tree});
  return std::find(nodes.begin(), nodes.end(), part.get()) != nodes.end();
}

Expr pass(
    const std::string& who,
    const ReducePass& part,
    const std::string& accumulator,
    std::vector<lang::NamedValue> names) {
  names.push_back(row_length());
  return reduction_of(
      {.who = who,
       .init = part.init,
       .update = part.update,
       .reduce = part.reduce,
       .accumulator = accumulator,
       .element = "x",
       .names = std::move(names)});
}

} // namespace

BoundOp reduce(const Reduce& parts) {
  const auto who = who_is("reduce", parts.name);
  const Expr acc = reduction_of(
      {.who = who,
       .init = parts.init,
       .update = parts.update,
       .reduce = parts.reduce,
       .accumulator = "acc",
       .element = "v",
       .names = {row_length()}});
  const Expr value = value_of(
      parts.finalize,
      who + ", finalize",
      {},
      {{"acc", acc}, {"s", acc}, row_length()});
  if (!contains(value, acc)) {
    throw user_error(
        "{}, finalize: '{}' never reads acc, the result of the loop",
        who,
        parts.finalize);
  }
  auto body = body_of(value, false);
  if (!lang::one_per_row(body)[0]) {
    throw user_error(
        "{}, finalize: '{}' varies along the row; expected one value per row",
        who,
        parts.finalize);
  }
  return BoundOp(
      make_call(parts.name.empty() ? "reduce" : parts.name, std::move(body)));
}

BoundOp map_reduce(const MapReduce& parts) {
  const auto who = who_is("map_reduce", parts.name);
  const Expr s1 = pass(who + ", pass1", parts.pass1, "acc1", {});
  const Expr s2 = pass(who + ", pass2", parts.pass2, "acc2", {{"s1", s1}});
  const Expr value = value_of(
      parts.write,
      who + ", write",
      {"x"},
      {{"s1", s1}, {"s2", s2}, row_length()});
  return BoundOp(make_call(
      parts.name.empty() ? "map_reduce" : parts.name, body_of(value, true)));
}

} // namespace zmlx::op
