// Gradients against central differences of the reference in float64.
//
// L(x) = sum of cotangent * output is smooth but for kinks that random inputs
// meet with probability 0. Along a direction d, (L(x + h d) - L(x - h d)) / 2h
// is gradient * d but for h^2 of the third derivative and the rounding of L
// over h. A direction moves each element in proportion to its size, so that an
// epsilon of 1e-6 stays positive.

#include <cmath>
#include <random>
#include <unordered_map>

#include <fmt/format.h>

#include "zmlx/lab/check_gradients.h"
#include "zmlx/op/reference.h"

namespace zmlx::lab {

namespace {

constexpr int kDirections = 3;
constexpr int kByElement = 12; // inputs of at most so many elements
// A kink may lie inside one step; a wrong rule fails with each.
constexpr double kSteps[] = {1e-5, 1e-6, 1e-4};

lang::Expr exact_again(
    const lang::Expr& e,
    std::unordered_map<const lang::Node*, lang::Expr>& done) {
  if (auto it = done.find(e.get()); it != done.end()) {
    return it->second;
  }
  lang::Expr result = e;
  if (e->op == lang::Op::As && lang::is_float(e->type)) {
    result = exact_again(e->args[0], done);
  } else if (!e->args.empty()) {
    auto node = std::make_shared<lang::Node>(*e);
    for (auto& arg : node->args) {
      arg = exact_again(arg, done);
    }
    result = lang::Expr(std::move(node));
  }
  done.emplace(e.get(), result);
  return result;
}

// The body without as(T, x): to differences a rounding is a staircase, to
// derivatives it is the identity.
lang::Body without_roundings(lang::Body body) {
  if (!has_node(body, [](const lang::Node& n) {
        return n.op == lang::Op::As && lang::is_float(n.type);
      })) {
    return body;
  }
  std::unordered_map<const lang::Node*, lang::Expr> done;
  for (auto& output : body.outputs) {
    output.value = exact_again(output.value, done);
  }
  return body;
}

std::vector<double> to_doubles(const mx::array& a) {
  auto flat = mx::contiguous(
      mx::astype(a, mx::float64, mx::Device::cpu), false, mx::Device::cpu);
  flat.eval();
  return {flat.data<double>(), flat.data<double>() + flat.size()};
}

mx::array to_array(const std::vector<double>& values, const mx::Shape& shape) {
  return mx::array(values.data(), shape, mx::float64);
}

std::vector<mx::array> in_float64(std::vector<mx::array> arrays) {
  for (auto& a : arrays) {
    if (mx::issubdtype(a.dtype(), mx::floating)) {
      a = mx::astype(a, mx::float64, mx::Device::cpu);
    }
  }
  return arrays;
}

class Differences {
 public:
  Differences(
      const lang::Body& body,
      const std::vector<mx::array>& inputs,
      const std::vector<mx::array>& cotangents)
      : body_(without_roundings(body)),
        inputs_(in_float64(inputs)),
        cotangents_(in_float64(cotangents)) {
    const auto terms = losses(inputs_);
    for (const auto& term : terms) {
      auto a = mx::sum(mx::abs(term, mx::Device::cpu), mx::Device::cpu);
      noise_ += a.item<double>() * 4e-15;
    }
  }

  // The derivative along `direction`, which changes `input` alone.
  double along(int input, const std::vector<double>& direction, double h) {
    const auto x = to_doubles(inputs_[input]);
    double sides[2];
    for (int side : {0, 1}) {
      auto moved = x;
      for (size_t i = 0; i < x.size(); ++i) {
        moved[i] += (side == 0 ? h : -h) * direction[i];
      }
      auto inputs = inputs_;
      inputs[input] = to_array(moved, inputs_[input].shape());
      sides[side] = 0;
      for (const auto& term : losses(inputs)) {
        sides[side] += mx::sum(term, mx::Device::cpu).item<double>();
      }
    }
    return (sides[0] - sides[1]) / (2 * h);
  }

  // Whether there is a loss, and it is a number.
  bool has_loss() const {
    return noise_ > 0 && std::isfinite(noise_);
  }

  // What rounding of the loss may add to a difference.
  double noise(double h) const {
    return noise_ / h;
  }

 private:
  std::vector<mx::array> losses(const std::vector<mx::array>& inputs) {
    const auto outputs =
        op::reference(body_, inputs, op::Precision::Double, mx::Device::cpu);
    std::vector<mx::array> terms;
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (cotangents_[i].dtype() == mx::float64 && outputs[i].size() > 0) {
        terms.push_back(
            mx::multiply(outputs[i], cotangents_[i], mx::Device::cpu));
      }
    }
    return terms;
  }

  lang::Body body_;
  std::vector<mx::array> inputs_;
  std::vector<mx::array> cotangents_;
  double noise_ = 0;
};

// How far each element moves for a step of 1: in proportion to itself, zeros a
// little.
std::vector<double> scales_of(const std::vector<double>& x) {
  double largest = 0;
  for (double v : x) {
    largest = std::max(largest, std::abs(v));
  }
  std::vector<double> scales(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    scales[i] = largest == 0 ? 1 : std::max(std::abs(x[i]), 1e-3 * largest);
  }
  return scales;
}

std::vector<std::vector<double>> directions_of(const std::vector<double>& x) {
  const auto scales = scales_of(x);
  std::mt19937_64 random(2718);
  std::uniform_real_distribution<double> draw(-1, 1);
  std::vector<std::vector<double>> list(x.empty() ? 0 : kDirections, scales);
  for (auto& direction : list) {
    for (auto& d : direction) {
      d *= draw(random);
    }
  }
  if (x.size() <= kByElement) {
    for (size_t i = 0; i < x.size(); ++i) {
      std::vector<double> one(x.size(), 0.0);
      one[i] = scales[i];
      list.push_back(std::move(one));
    }
  }
  return list;
}

// `relative` of the sum of the terms of gradient * direction may be amiss.
void compare_along(
    Differences& differences,
    int input,
    const std::vector<double>& x,
    const std::vector<double>& gradient,
    double relative,
    const std::string& where,
    KernelCheck& found) {
  int number = 0;
  for (const auto& direction : directions_of(x)) {
    double want = 0, terms = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      want += gradient[i] * direction[i];
      terms += std::abs(gradient[i] * direction[i]);
    }
    measure::Comparison best;
    for (double h : kSteps) {
      measure::Comparison result{.size = x.size()};
      result.worst_got = want;
      result.worst_want = differences.along(input, direction, h);
      const double off = std::abs(result.worst_got - result.worst_want);
      result.worst = off / (relative * terms + differences.noise(h) + 1e-300);
      result.mismatches = !(result.worst <= 1);
      best = best.size == 0 || result.worst < best.worst ? result : best;
      if (best.ok()) {
        break;
      }
    }
    const auto text = number < kDirections
        ? fmt::format(", direction {}", number)
        : fmt::format(", element {}", number - kDirections);
    found.compared(Check::derivative, where + text, best);
    ++number;
  }
}

// The gradient of one input in the best precision that there is.
std::vector<double> gradient_of(
    const std::shared_ptr<const op::Call>& call,
    int input,
    bool is_kernel,
    const std::vector<mx::array>& inputs,
    const std::vector<mx::array>& cotangents) {
  if (!is_kernel) {
    return to_doubles(vjp_of(call, {input}, inputs, cotangents).at(0));
  }
  const auto reference = [](const lang::Body& body, const auto& arrays) {
    return op::reference(body, arrays, op::Precision::Double, mx::Device::cpu);
  };
  std::string why;
  const auto& gradient = call->gradient({input}, &why)->body;
  const auto exact = in_float64(inputs);
  return to_doubles(reference(
                        gradient,
                        op::gradient_inputs(
                            gradient,
                            exact,
                            in_float64(cotangents),
                            reference(call->body, exact)))
                        .at(0));
}

} // namespace

void check_by_differences(
    const std::shared_ptr<const op::Call>& call,
    const GradientSplit& split,
    const std::vector<mx::array>& inputs,
    const std::string& where,
    KernelCheck& found) {
  // What is no kernel computes in float32.
  constexpr double exact = 1e-6, single = 2e-3;
  const auto cotangents = cotangents_of(call->body, inputs, Layout::dense);
  Differences differences(call->body, inputs, cotangents);
  if (!differences.has_loss()) {
    return;
  }
  for (const auto* part : {&split.by_kernel, &split.otherwise}) {
    const bool is_kernel = part == &split.by_kernel;
    for (int input : *part) {
      const auto at = where + ", of " + call->body.inputs[input].name;
      guarded(found, Check::derivative, at, [&] {
        compare_along(
            differences,
            input,
            to_doubles(inputs[input]),
            gradient_of(call, input, is_kernel, inputs, cotangents),
            is_kernel ? exact : single,
            at,
            found);
      });
    }
  }
}

} // namespace zmlx::lab
