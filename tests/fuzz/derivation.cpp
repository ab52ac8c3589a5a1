#include "tests/fuzz/derivation.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "tests/fuzz/chance.h"
#include "tests/fuzz/enclosure.h"
#include "zmlx/lang/derive.h"
#include "zmlx/op/reference.h"

namespace zmlx::fuzz {

using Arrays = std::vector<mx::array>;
using Difference = std::optional<std::string>;

Arrays cotangents_of(const Arrays& outputs, uint64_t seed) {
  Chance chance(seed);
  Arrays result;
  for (const auto& output : outputs) {
    std::vector<float> values(output.size());
    for (float& value : values) {
      value = static_cast<float>(chance.uniform(-1, 1));
    }
    const bool real = mx::issubdtype(output.dtype(), mx::floating);
    result.push_back(
        real ? mx::astype(
                   mx::array(values.data(), output.shape()), output.dtype())
             : mx::zeros_like(output));
  }
  return result;
}

namespace {

// Other values for the floats, no two of them equal: where values tie, MLX and
// the language may each choose one.
Arrays without_ties(const Program& program, uint64_t seed) {
  Chance chance(seed);
  Arrays result;
  for (const auto& input : program.inputs) {
    if (!mx::issubdtype(input.dtype(), mx::floating)) {
      result.push_back(input);
      continue;
    }
    std::vector<float> values(input.size());
    for (float& value : values) {
      value = static_cast<float>(chance.uniform(-3, 3));
    }
    result.push_back(mx::array(values.data(), input.shape()));
  }
  mx::eval(result);
  return result;
}

bool has_nan(const Arrays& arrays) {
  return std::any_of(arrays.begin(), arrays.end(), [](const auto& a) {
    return mx::any(mx::isnan(a)).template item<bool>();
  });
}

} // namespace

namespace {

// MLX rounds the cotangents of conversions as it rounds values.
bool rounds(const lang::Body& body) {
  bool found = false;
  lang::for_each_node(lang::roots(body), [&](const lang::Node& node) {
    found = found || (node.op == lang::Op::As && lang::is_float(node.type));
  });
  return found;
}

// Both ways have something to say of it.
bool fits(const Program& program) {
  // MLX's sum of an empty view need not come back.
  return !rounds(program.body) &&
      std::none_of(
          program.inputs.begin(), program.inputs.end(), [](const auto& a) {
            return a.size() == 0;
          });
}

/// The reference in float64 as a function of the wanted inputs.
class Reference {
 public:
  Reference(const lang::Body& body, Arrays inputs, std::vector<int> wanted)
      : body_(body), inputs_(std::move(inputs)), wanted_(std::move(wanted)) {}

  Arrays operator()(const Arrays& floats) const {
    auto all = inputs_;
    for (size_t i = 0; i < wanted_.size(); ++i) {
      all[wanted_[i]] = floats[i];
    }
    auto results = op::reference(body_, all, op::Precision::Double);
    for (auto& result : results) {
      // MLX has no cotangent for an output that is stopped itself.
      result = mx::contiguous(result);
    }
    return results;
  }

  Arrays given() const {
    Arrays result;
    for (int input : wanted_) {
      result.push_back(inputs_[input]);
    }
    return result;
  }

 private:
  const lang::Body& body_;
  Arrays inputs_;
  std::vector<int> wanted_;
};

Difference gradient_apart(
    const mx::array& ours,
    const mx::array& mlxs,
    const Values& may_be,
    Compared& compared) {
  const Values a = values_of(ours), b = values_of(mlxs);
  for (size_t i = 0; i < a.size(); ++i) {
    const Interval& bound = may_be.floats[i];
    compared.elements++;
    if (!is_sharp(bound) || !a.floats[i].point() || !b.floats[i].point()) {
      continue;
    }
    compared.sharp++;
    const double x = a.floats[i].low, y = b.floats[i].low;
    const double allowed =
        bound.high - bound.low + 0x1p-20 * std::abs(x) + 0x1p-40;
    if (std::abs(x - y) > allowed) {
      return fmt::format(
          "element {} is {} to {:.3g}; MLX derives {} from the reference",
          i,
          x,
          allowed,
          y);
    }
  }
  return {};
}

} // namespace

Difference derivation_difference(
    const Program& program,
    const std::vector<int>& wanted,
    uint64_t seed,
    Tally& tally) {
  if (!fits(program)) {
    return {};
  }
  auto inputs = without_ties(program, seed);
  const Reference function(program.body, inputs, wanted);
  const auto values = function(function.given());
  if (has_nan(values)) {
    return {}; // which has no derivative, whatever the rules give
  }
  const auto cotangents = cotangents_of(values, seed);
  const auto mlxs = mx::vjp(function, function.given(), cotangents).second;
  const auto gradient = *lang::derive(program.body, wanted, nullptr);
  auto all = inputs;
  all.insert(all.end(), cotangents.begin(), cotangents.end());
  const auto ours = op::reference(gradient, all, op::Precision::Double);
  // As wide as float32 arithmetic would be, in which MLX adds up a few.
  for (const auto& c : cotangents) {
    const bool wide = c.dtype() == mx::float64;
    inputs.push_back(wide ? mx::astype(c, mx::float32) : c);
  }
  const auto may_be = enclose(gradient, inputs);
  for (size_t k = 0; k < ours.size(); ++k) {
    if (auto found =
            gradient_apart(ours[k], mlxs[k], may_be[k], tally.derivations)) {
      return gradient.outputs[k].name + ": " + *found;
    }
  }
  return {};
}

} // namespace zmlx::fuzz
