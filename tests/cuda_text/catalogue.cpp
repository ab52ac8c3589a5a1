#include "tests/cuda_text/catalogue.h"

#include <numeric>

#include "zmlx/lab/case_inputs.h"
#include "zmlx/lab/case_variants.h"
#include "zmlx/lang/lower.h"
#include "zmlx/op/convert.h"
#include "zmlx/op/op.h"

namespace zmlx::cuda_text {
namespace {

namespace mx = mlx::core;

constexpr int64_t kLargest = 1 << 24;

lang::Strides strides_of(const lang::Shape& shape, const std::string& layout) {
  lang::Strides strides(shape.size());
  std::vector<size_t> order(shape.size()); // innermost last
  std::iota(order.begin(), order.end(), size_t{0});
  if (layout == "transposed" && shape.size() > 1) {
    std::swap(order[shape.size() - 1], order[shape.size() - 2]);
  }
  int64_t step = 1;
  for (size_t i = order.size(); i-- > 0;) {
    strides[order[i]] = step;
    step *= shape[order[i]];
  }
  if (layout == "broadcast" && shape.size() > 1) {
    strides[0] = 0;
  }
  return strides;
}

class Views {
 public:
  explicit Views(std::string layout) : layout_(std::move(layout)) {}

  backend::View input(const lang::Shape& shape, lang::Type type) {
    return view(shape, type, layout_);
  }
  backend::View output(const lang::Shape& shape, lang::Type type) {
    return view(shape, type, "dense");
  }

 private:
  backend::View
  view(const lang::Shape& shape, lang::Type type, const std::string& layout) {
    backend::View result;
    next_ += uintptr_t{1} << 36;
    const auto shift = layout == "offset" ? lang::size_of(type) : 0;
    result.data = backend::Address(next_ + shift);
    result.type = type;
    result.shape = shape;
    result.strides = strides_of(shape, layout);
    return result;
  }

  std::string layout_;
  uintptr_t next_ = 0;
};

struct Call {
  std::string name;
  lang::Body body;
  std::vector<lang::Shape> shapes;
  std::vector<lang::Type> types;
};

void visit_call(
    const Call& call,
    const std::vector<std::string>& layouts,
    const std::function<void(const Listed&)>& visit) {
  std::string why;
  auto program = lang::lower(call.body, call.types, &why);
  if (!program) {
    return; // runs on no device
  }
  const auto out_shapes = lang::infer_shapes(call.body, call.shapes);
  for (const auto& layout : layouts) {
    Views views(layout);
    Listed listed{call.name + ", " + layout, *program, {}, {}};
    for (size_t i = 0; i < call.shapes.size(); ++i) {
      listed.inputs.push_back(views.input(call.shapes[i], call.types[i]));
    }
    for (size_t i = 0; i < out_shapes.size(); ++i) {
      listed.outputs.push_back(
          views.output(out_shapes[i], program->outputs[i]));
    }
    visit(listed);
  }
}

void visit_kernel(
    const op::Op& kernel,
    mx::Dtype type,
    const std::vector<std::string>& layouts,
    const std::function<void(const Listed&)>& visit) {
  const auto cases = lab::typical_cases(kernel, kLargest);
  if (cases.empty()) {
    return;
  }
  const auto& c = cases[0];
  const auto defined = kernel.define(c.attributes);
  Call call{
      kernel.name() + ", " + std::string(lang::name_of(op::to_lang(type))),
      defined.body(),
      c.shapes,
      {}};
  for (size_t i = 0; i < c.shapes.size(); ++i) {
    call.types.push_back(
        lab::fill_of(defined, c, i).type.value_or(op::to_lang(type)));
  }
  visit_call(call, layouts, visit);
  const auto wanted = lab::float_inputs(defined, c);
  std::string why;
  const auto gradient = wanted.empty()
      ? nullptr
      : kernel.with(c.attributes).call()->gradient(wanted, &why);
  if (!gradient) {
    return;
  }
  const auto shapes = lang::infer_shapes(call.body, call.shapes);
  const auto types = lang::infer_types(call.body, call.types);
  Call derived{
      call.name + ", gradient", gradient->body, call.shapes, call.types};
  while (derived.shapes.size() < gradient->body.inputs.size()) {
    derived.shapes.insert(derived.shapes.end(), shapes.begin(), shapes.end());
    derived.types.insert(derived.types.end(), types.begin(), types.end());
  }
  visit_call(derived, layouts, visit);
}

} // namespace

void for_each_listed(
    const std::vector<std::string>& layouts,
    const std::function<void(const Listed&)>& visit) {
  for (const op::Op* kernel : op::catalogue()) {
    for (auto type : {mx::float32, mx::float16, mx::bfloat16}) {
      visit_kernel(*kernel, type, layouts, visit);
    }
  }
}

} // namespace zmlx::cuda_text
