// Reductions, softmax and products: primitives that work along the last axis.

#include "zmlx/graph/lifter.h"
#include "zmlx/graph/primitives.h"
#include "zmlx/graph/view.h"
#include "zmlx/op/convert.h"

namespace zmlx::graph {
namespace {

using lang::Expr;
using Inputs = std::vector<Operand>;

lang::Body row_body(const mx::array& a, Expr value) {
  lang::Body body;
  body.inputs.push_back({.name = "x"});
  body.outputs.push_back(
      {.name = "out", .value = std::move(value), .fixed = op::type_of(a)});
  return body;
}

bool is_last_axis(const std::vector<int>& axes, const Operand& x) {
  return axes.size() == 1 &&
      axes[0] == static_cast<int>(x.view.shape.size()) - 1;
}

std::optional<Operand> lift_reduce(
    Lifter& lifter,
    const mx::array& a,
    const Inputs& in,
    std::string* why) {
  const auto& primitive = static_cast<const mx::Reduce&>(a.primitive());
  auto [type, axes] = primitive.state();
  if (!is_last_axis(axes, in[0])) {
    *why = "a reduction over other than the last axis";
    return std::nullopt;
  }
  Expr x = lang::input(0);
  switch (type) {
    case mx::Reduce::Sum:
      x = lang::sum(x);
      break;
    case mx::Reduce::Prod:
      x = lang::prod(x);
      break;
    case mx::Reduce::Max:
      x = lang::max_of(x);
      break;
    case mx::Reduce::Min:
      x = lang::min_of(x);
      break;
    default:
      *why = "a logical reduction";
      return std::nullopt;
  }
  return lifter.emit(a, primitive.name(), row_body(a, x), {in[0]});
}

std::optional<Operand> lift_arg_reduce(
    Lifter& lifter,
    const mx::array& a,
    const Inputs& in,
    std::string* why) {
  const auto& primitive = static_cast<const mx::ArgReduce&>(a.primitive());
  auto [type, axis] = primitive.state();
  if (!is_last_axis({axis}, in[0])) {
    *why = "a reduction over other than the last axis";
    return std::nullopt;
  }
  auto x = lang::input(0);
  bool max = type == mx::ArgReduce::ArgMax;
  return lifter.emit(
      a,
      max ? "argmax" : "argmin",
      row_body(a, max ? lang::argmax(x) : lang::argmin(x)),
      {in[0]});
}

std::optional<Operand> lift_softmax(
    Lifter& lifter,
    const mx::array& a,
    const Inputs& in,
    std::string*) {
  auto e = lang::exp(lang::input(0) - lang::max_of(lang::input(0)));
  return lifter.emit(a, "softmax", row_body(a, e / lang::sum(e)), {in[0]});
}

/// A matrix under axes of 1, as (rows, columns).
std::optional<Operand> as_matrix(const Operand& w) {
  const auto& shape = w.view.shape;
  if (shape.size() < 2) {
    return std::nullopt;
  }
  auto view = reshape(w.view, {shape[shape.size() - 2], shape.back()});
  if (!view) {
    return std::nullopt;
  }
  return Operand{.value = w.value, .view = *view};
}

bool has_batch(const Operand& w) {
  for (size_t i = 0; i + 2 < w.view.shape.size(); i++) {
    if (w.view.shape[i] != 1) {
      return true;
    }
  }
  return w.view.shape.size() < 2;
}

bool is_constant(Lifter& lifter, const Operand& w) {
  return lifter.graph().nodes[w.value.node].kind == Kind::Constant;
}

// MLX does not export its own function for this.
std::string_view name_of(mx::QuantizationMode mode) {
  switch (mode) {
    case mx::QuantizationMode::Affine:
      return "affine";
    case mx::QuantizationMode::Mxfp4:
      return "mxfp4";
    case mx::QuantizationMode::Mxfp8:
      return "mxfp8";
    case mx::QuantizationMode::Nvfp4:
      return "nvfp4";
  }
  return "";
}

std::optional<Operand> lift_quantized_matmul(
    Lifter& lifter,
    const mx::array& a,
    const Inputs& in,
    std::string* why) {
  const auto& primitive =
      static_cast<const mx::QuantizedMatmul&>(a.primitive());
  auto [group_size, bits, mode, transposed] = primitive.state();
  const auto format = lang::find_format(name_of(mode));
  if (!format || !transposed ||
      in.size() != 1 + lang::row_of(*format).parts.size()) {
    *why = "a quantised product that is not x W^T of an affine W";
    return std::nullopt;
  }
  if (has_batch(in[1]) || !is_constant(lifter, in[1])) {
    *why = "a quantised product with more than one matrix";
    return std::nullopt;
  }
  lang::Define kernel({});
  const Expr x = kernel.input("x");
  const auto weight = kernel.weight("w", *format, bits, group_size);
  kernel.output(lang::product(x, weight), op::type_of(a));
  Inputs operands = {in[0]};
  for (size_t part = 1; part < in.size(); part++) {
    operands.push_back(*as_matrix(in[part]));
  }
  return lifter.emit(a, "quantized_matmul", kernel.body(), std::move(operands));
}

/// x W^T as MLX writes it: Matmul of x with the transposed view of W.
std::optional<Operand> dense_weight(Lifter& lifter, const Operand& b) {
  if (has_batch(b) || !is_constant(lifter, b)) {
    return std::nullopt;
  }
  auto matrix = as_matrix(b);
  if (!matrix) {
    return std::nullopt;
  }
  matrix->view = transpose(matrix->view, {1, 0});
  if (matrix->view.strides[1] != 1 && matrix->view.shape[1] != 1) {
    return std::nullopt;
  }
  return matrix;
}

std::optional<Operand> lift_matmul(
    Lifter& lifter,
    const mx::array& a,
    const Inputs& in,
    std::string* why) {
  auto w = dense_weight(lifter, in[1]);
  if (!w) {
    *why = "a matrix product that is not x W^T of one constant W";
    return std::nullopt;
  }
  lang::Body body;
  body.inputs = {{.name = "x"}, {.name = "w", .role = lang::Role::Whole}};
  body.outputs.push_back(
      {.name = "out",
       .value = lang::product(lang::input(0), lang::Weight{.parts = {1}}),
       .fixed = op::type_of(a)});
  return lifter.emit(a, "matmul", std::move(body), {in[0], *w});
}

// libmlx does not export the type information of AddMM, which UBSan's check of
// dynamic types would refer to.
__attribute__((no_sanitize("vptr"))) std::optional<Operand> lift_addmm(
    Lifter& lifter,
    const mx::array& a,
    const Inputs& in,
    std::string* why) {
  auto w = dense_weight(lifter, in[1]);
  if (!w) {
    *why = "a matrix product that is not x W^T of one constant W";
    return std::nullopt;
  }
  auto [alpha, beta] = static_cast<const mx::AddMM&>(a.primitive()).state();
  auto scaled = [](double factor, Expr x) {
    return factor == 1 ? x : Expr(factor) * x;
  };
  lang::Body body;
  body.inputs = {
      {.name = "x"},
      {.name = "w", .role = lang::Role::Whole},
      {.name = "bias"}};
  body.outputs.push_back(
      {.name = "out",
       .value = scaled(
                    alpha,
                    lang::product(lang::input(0), lang::Weight{.parts = {1}})) +
           scaled(beta, lang::input(2)),
       .fixed = op::type_of(a)});
  return lifter.emit(a, "addmm", std::move(body), {in[0], *w, in[2]});
}

const AddRule kRules[] = {
    {"Sum", lift_reduce},
    {"Prod", lift_reduce},
    {"Max", lift_reduce},
    {"Min", lift_reduce},
    {"ArgReduce", lift_arg_reduce},
    {"Softmax", lift_softmax},
    {"QuantizedMatmul", lift_quantized_matmul},
    {"Matmul", lift_matmul},
    {"AddMM", lift_addmm},
};

} // namespace
} // namespace zmlx::graph
