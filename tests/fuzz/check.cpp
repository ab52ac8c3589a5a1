#include "tests/fuzz/check.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tests/fuzz/derivation.h"
#include "tests/fuzz/enclosure.h"
#include "zmlx/lang/derive.h"
#include "zmlx/lang/parse.h"
#include "zmlx/lang/print.h"
#include "zmlx/op/convert.h"
#include "zmlx/op/primitive.h"
#include "zmlx/op/reference.h"

namespace zmlx::fuzz {
namespace {

using lang::Type;
using Arrays = std::vector<mx::array>;
using Difference = std::optional<std::string>;

// --- text --------------------------------------------------------------------

bool parser_knows(const lang::Body& body) {
  static const auto words = lang::formula_functions();
  bool known = true;
  lang::for_each_node(lang::roots(body), [&](const lang::Node& node) {
    const auto name = lang::name_of(node.op);
    const bool called = std::isalpha(name[0]) != 0 &&
        node.op != lang::Op::Input && node.op != lang::Op::Constant;
    known = known &&
        (!called || std::find(words.begin(), words.end(), name) != words.end());
  });
  return known;
}

Difference text_difference(const Program& program, Tally& tally) {
  if (!parser_knows(program.body)) {
    return {};
  }
  tally.parsed++;
  const auto text = lang::print(program.body);
  const auto read =
      lang::parse(text, program.body.inputs, {.unused_allowed = true});
  if (read.outputs.size() != program.body.outputs.size()) {
    return "its text reads back with another number of outputs";
  }
  for (size_t i = 0; i < read.outputs.size(); ++i) {
    if (!lang::equal(read.outputs[i].value, program.body.outputs[i].value)) {
      return fmt::format("its text reads back as\n{}", lang::print(read));
    }
  }
  return {};
}

// --- values ------------------------------------------------------------------

bool holds(const Interval& x, double value) {
  return std::isnan(value) ? x.nan : x.has(value);
}

std::string to_string(const Interval& x) {
  return fmt::format("{} .. {}{}", x.low, x.high, x.nan ? " or NaN" : "");
}

Difference float_difference(
    const Values& got,
    const Values& want,
    const Values& may_be,
    Compared& compared) {
  const Values near = stored(may_be, Type::F64);
  const Values as_stored = stored(may_be, got.type);
  for (size_t i = 0; i < got.size(); ++i) {
    const double g = got.floats[i].empty() ? NAN : got.floats[i].low;
    const double w = want.floats[i].empty() ? NAN : want.floats[i].low;
    compared.elements++;
    compared.sharp += is_sharp(near.floats[i]);
    if (!holds(as_stored.floats[i], g)) {
      return fmt::format(
          "element {} is {}; it may be {}; the reference in float64: {}",
          i,
          g,
          to_string(as_stored.floats[i]),
          w);
    }
    if (!holds(near.floats[i], w)) {
      return fmt::format(
          "element {} of the reference in float64 is {}; it may be {}; got {}",
          i,
          w,
          to_string(near.floats[i]),
          g);
    }
  }
  return {};
}

Difference whole_difference(
    const Values& got,
    const Values& want,
    const Values& may_be,
    Compared& compared) {
  const Values as_stored = stored(may_be, got.type);
  for (size_t i = 0; i < got.size(); ++i) {
    const auto& must = as_stored.wholes[i];
    compared.elements++;
    compared.sharp += must.has_value();
    if (must && (got.wholes[i] != must || want.wholes[i] != must)) {
      return fmt::format(
          "element {} is {}; it must be {}; the reference in float64: {}",
          i,
          static_cast<int64_t>(*got.wholes[i]),
          static_cast<int64_t>(*must),
          static_cast<int64_t>(*want.wholes[i]));
    }
  }
  return {};
}

Difference array_difference(
    const std::string& name,
    const mx::array& got,
    const mx::array& want,
    const Values& may_be,
    Compared& compared) {
  if (got.shape() != want.shape() || got.size() != may_be.size()) {
    return fmt::format(
        "{}: the shape is ({}), the reference's ({}), and {} elements were "
        "expected",
        name,
        fmt::join(got.shape(), ", "),
        fmt::join(want.shape(), ", "),
        may_be.size());
  }
  const Values g = values_of(got), w = values_of(want);
  const auto found = g.is_float() ? float_difference(g, w, may_be, compared)
                                  : whole_difference(g, w, may_be, compared);
  return found ? Difference(name + ": " + *found) : found;
}

Difference body_difference(
    const std::string& what,
    const lang::Body& body,
    const Arrays& inputs,
    const Arrays& got,
    Compared& compared) {
  const auto want = op::reference(body, inputs, op::Precision::Double);
  const auto may_be = enclose(body, inputs);
  for (size_t i = 0; i < got.size(); ++i) {
    if (auto found = array_difference(
            what + body.outputs[i].name,
            got[i],
            want[i],
            may_be[i],
            compared)) {
      return found;
    }
  }
  return {};
}

// --- gradients ---------------------------------------------------------------

Arrays gradients_of(
    const std::shared_ptr<const op::Call>& call,
    const Arrays& inputs,
    const std::vector<int>& wanted,
    const Arrays& cotangents) {
  Arrays given;
  for (int input : wanted) {
    given.push_back(inputs[input]);
  }
  const auto outputs = [&](const Arrays& floats) {
    auto all = inputs;
    for (size_t i = 0; i < wanted.size(); ++i) {
      all[wanted[i]] = floats[i];
    }
    return op::apply(call, all);
  };
  auto result = mx::vjp(outputs, given, cotangents).second;
  mx::eval(result);
  return result;
}

Difference gradient_difference(
    const Program& program,
    const std::shared_ptr<const op::Call>& call,
    const Arrays& outputs,
    uint64_t seed,
    Tally& tally) {
  std::vector<int> floats, wanted;
  for (int i = 0; i < static_cast<int>(program.inputs.size()); ++i) {
    if (mx::issubdtype(program.inputs[i].dtype(), mx::floating)) {
      floats.push_back(i);
      std::string why;
      if (lang::derive(program.body, {i}, &why)) {
        wanted.push_back(i);
      } else {
        tally.underived[why]++;
      }
    }
  }
  const auto cotangents = cotangents_of(outputs, seed);
  if (wanted.size() < floats.size()) {
    // Must go some way, if not as a kernel.
    gradients_of(call, program.inputs, floats, cotangents);
  }
  if (wanted.empty()) {
    return {};
  }
  tally.derived++;
  if (auto found = derivation_difference(program, wanted, seed, tally)) {
    return found;
  }
  auto inputs = program.inputs;
  inputs.insert(inputs.end(), cotangents.begin(), cotangents.end());
  return body_difference(
      "gradient ",
      *lang::derive(program.body, wanted, nullptr),
      inputs,
      gradients_of(call, program.inputs, wanted, cotangents),
      tally.gradients);
}

} // namespace

Difference difference(const Program& program, uint64_t seed, Tally& tally) {
  tally.programs++;
  if (auto found = text_difference(program, tally)) {
    return found;
  }
  const auto call = op::make_call("fuzz", program.body);
  auto outputs = op::apply(call, program.inputs);
  mx::eval(outputs);
  if (auto found = body_difference(
          "", program.body, program.inputs, outputs, tally.values)) {
    return found;
  }
  return gradient_difference(program, call, outputs, seed, tally);
}

} // namespace zmlx::fuzz
