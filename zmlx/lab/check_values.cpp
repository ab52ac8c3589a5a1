#include "zmlx/lab/check_values.h"

#include "zmlx/op/primitive.h"
#include "zmlx/op/reference.h"

namespace zmlx::lab {

bool has_node(
    const lang::Body& body,
    const std::function<bool(const lang::Node&)>& is_one) {
  bool found = false;
  lang::for_each_node(lang::roots(body), [&](const lang::Node& node) {
    found = found || is_one(node);
  });
  return found;
}

measure::OpClass class_of(const lang::Body& body) {
  using lang::Op;
  if (has_node(body, [](const lang::Node& n) {
        return n.op == Op::Product || n.op == Op::Attention;
      })) {
    return measure::OpClass::product;
  }
  const bool sums = has_node(body, [](const lang::Node& n) {
    return lang::is_reduction(n.op) || n.op == Op::CumSum;
  });
  for (const auto& output : body.outputs) {
    if (sums || output.sum_like >= 0 || output.into) {
      return measure::OpClass::row;
    }
  }
  return measure::OpClass::map;
}

void guarded(
    KernelCheck& found,
    Check check,
    const std::string& where,
    const std::function<void()>& work) {
  try {
    work();
  } catch (const std::exception& error) {
    found.fail(check, where, std::string("throws: ") + error.what());
  }
}

void check_outputs(
    const op::Op& kernel,
    const lang::Attributes& attributes,
    const std::vector<mx::array>& inputs,
    Check check,
    const std::string& where,
    KernelCheck& found) {
  guarded(found, check, where, [&] {
    const auto body = kernel.body(attributes);
    auto got = op::apply(kernel.with(attributes).call(), inputs, found.stream);
    mx::eval(got);
    const auto want = op::reference(body, inputs, op::Precision::Double);
    for (size_t i = 0; i < got.size(); ++i) {
      found.compared(
          check,
          where + ", output " + body.outputs[i].name,
          measure::compare(got[i], want[i], class_of(body)));
    }
  });
}

} // namespace zmlx::lab
