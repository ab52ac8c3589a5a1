#include "zmlx/lab/check_gradients.h"

#include <algorithm>
#include <cmath>

#include "zmlx/op/convert.h"
#include "zmlx/op/reference.h"

namespace zmlx::lab {

namespace {

// The terms of a gradient are of the size of the cotangents, 1, also where they
// cancel.
double magnitude_of(const mx::array& gradient) {
  if (gradient.size() == 0) {
    return 1;
  }
  const auto s = mx::Device::cpu;
  const auto finite = mx::where(
      mx::isfinite(gradient, s), gradient, mx::array(0.0, gradient.dtype()), s);
  const auto largest =
      mx::astype(mx::max(mx::abs(finite, s), s), mx::float64, s);
  return std::max(1.0, mx::array(largest).item<double>());
}

bool all_finite(const std::vector<mx::array>& arrays) {
  return std::all_of(arrays.begin(), arrays.end(), [](const mx::array& a) {
    const auto s = mx::Device::cpu;
    return mx::all(mx::isfinite(a, s), s).item<bool>();
  });
}

} // namespace

bool divides_by_rows(const lang::Body& gradient) {
  return has_node(gradient, [](const lang::Node& node) {
    const bool root = node.op == lang::Op::Rsqrt;
    if (!root && node.op != lang::Op::Div) {
      return false;
    }
    const auto below = lang::postorder({node.args[root ? 0 : 1]});
    return std::any_of(below.begin(), below.end(), [](const lang::Node* n) {
      return lang::is_reduction(n->op);
    });
  });
}

GradientSplit split_gradients(
    const op::Call& call,
    const std::vector<int>& wanted,
    KernelCheck& found) {
  GradientSplit split;
  for (int input : wanted) {
    const auto& name = call.body.inputs[input].name;
    std::string why;
    if (call.gradient({input}, &why)) {
      split.by_kernel.push_back(input);
      auto& names = found.gradient_inputs;
      if (std::find(names.begin(), names.end(), name) == names.end()) {
        names.push_back(name);
      }
    } else {
      split.otherwise.push_back(input);
      found.no_gradient.emplace(name, why);
    }
  }
  return split;
}

std::vector<mx::array> vjp_of(
    const std::shared_ptr<const op::Call>& call,
    const std::vector<int>& wanted,
    const std::vector<mx::array>& inputs,
    const std::vector<mx::array>& cotangents,
    mx::StreamOrDevice stream) {
  std::vector<mx::array> primals;
  for (int i : wanted) {
    primals.push_back(inputs[i]);
  }
  return mx::vjp(
             [&](const std::vector<mx::array>& given) {
               auto all = inputs;
               for (size_t i = 0; i < wanted.size(); ++i) {
                 all[wanted[i]] = given[i];
               }
               return op::apply(call, all, stream);
             },
             primals,
             cotangents)
      .second;
}

std::vector<mx::array> cotangents_of(
    const lang::Body& body,
    const std::vector<mx::array>& inputs,
    Layout layout) {
  std::vector<mx::Shape> shapes;
  for (const auto& shape : lang::infer_shapes(body, op::shapes_of(inputs))) {
    shapes.push_back(op::to_mlx(shape));
  }
  std::vector<mx::Dtype> types;
  for (const auto type : lang::infer_types(body, op::types_of(inputs))) {
    types.push_back(op::to_mlx(type));
  }
  auto cotangents = random_arrays(shapes, types, layout, 31415);
  for (auto& c : cotangents) {
    if (!mx::issubdtype(c.dtype(), mx::floating)) {
      c = mx::zeros(c.shape(), c.dtype());
    }
  }
  mx::eval(cotangents);
  return cotangents;
}

void check_gradient_kernel(
    const std::shared_ptr<const op::Call>& call,
    const std::vector<int>& wanted,
    const std::vector<mx::array>& inputs,
    Layout layout,
    const std::string& where,
    KernelCheck& found) {
  guarded(found, Check::gradient, where, [&] {
    const auto cotangents = cotangents_of(call->body, inputs, layout);
    auto got = vjp_of(call, wanted, inputs, cotangents, found.stream);
    mx::eval(got);
    const auto outputs = op::apply(call, inputs, found.stream);
    for (size_t i = 0; i < got.size(); ++i) {
      std::string why;
      const auto body = call->gradient({wanted[i]}, &why)->body;
      const auto all = op::gradient_inputs(body, inputs, cotangents, outputs);
      const auto want = op::reference(body, all, op::Precision::Double);
      found.compared(
          Check::gradient,
          where + ", of " + call->body.inputs[wanted[i]].name,
          measure::compare(
              got[i], want[0], class_of(body), magnitude_of(want[0])));
    }
  });
}

void check_finite_gradient(
    const std::shared_ptr<const op::Call>& call,
    const std::vector<int>& wanted,
    const std::vector<mx::array>& inputs,
    const std::string& where,
    KernelCheck& found) {
  guarded(found, Check::zeros, where, [&] {
    if (!all_finite(op::reference(call->body, inputs, op::Precision::Double))) {
      return; // there is no gradient either
    }
    const auto cotangents = cotangents_of(call->body, inputs, Layout::dense);
    const auto got = vjp_of(call, wanted, inputs, cotangents, found.stream);
    for (size_t i = 0; i < got.size(); ++i) {
      if (!all_finite({got[i]})) {
        found.fail(
            Check::zeros,
            where + ", of " + call->body.inputs[wanted[i]].name,
            "the outputs are finite, and the gradient is not");
      }
    }
  });
}

} // namespace zmlx::lab
