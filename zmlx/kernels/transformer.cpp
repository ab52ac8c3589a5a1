#include "zmlx/kernels/transformer.h"

#include "zmlx/base/errors.h"
#include "zmlx/lang/derive.h"

namespace zmlx::kernels {

namespace {

using lang::Expr;

Expr at_place(const Expr& x, const std::optional<Expr>& bias, const Expr& p) {
  const auto value = lang::pick(x, p);
  return bias ? value + lang::pick(*bias, p) : value;
}

// What flows back to gate and up where `c` flows back to their product.
std::pair<Expr, Expr>
gradients_of(Gate gate, const Expr& g, const Expr& up, const Expr& c) {
  lang::Body alone{{{"gate"}, {"up"}}, {}};
  alone.outputs.push_back({"out", gate(lang::input(0), lang::input(1))});
  std::string why;
  const auto derived = lang::derive(alone, {0, 1}, &why);
  if (!derived) {
    throw internal_error("the gate of a gated unit: {}", why);
  }
  const auto of = [&](int i) {
    return lang::substitute(derived->outputs[i].value, {g, up, c});
  };
  return {of(0), of(1)};
}

// The gradient of x, or of the bias, has a place for both halves.
lang::Kernel::Definition
halves_gradient(Gate gate, bool with_bias, bool of_bias) {
  return [=](lang::Define& g) {
    auto x = g.input("x");
    std::optional<Expr> bias;
    if (with_bias) {
      bias = g.input("bias");
    }
    auto cotangent = g.input("d_out", lang::Role::Row);
    const auto half = lang::width() / 2;
    const auto place = lang::index() % half;
    const auto at = [&](const Expr& p) { return at_place(x, bias, p); };
    const auto [d_gate, d_up] = gradients_of(
        gate, at(place), at(place + half), lang::pick(cotangent, place));
    g.output_sum_like(
        lang::select(lang::index() < half, d_gate, d_up), of_bias ? *bias : x);
  };
}

} // namespace

void define_halves(lang::Define& k, Gate gate, bool with_bias) {
  auto x = k.input("x", lang::Role::Row);
  std::optional<Expr> bias;
  if (with_bias) {
    bias = k.input("bias", lang::Role::Row);
    k.fill(*bias, {{}, -0.5, 0.5});
  }
  k.width(x, 1, 2);
  k.output(gate(
      at_place(x, bias, lang::index()),
      at_place(x, bias, lang::index() + lang::width())));
  k.gradient(x, halves_gradient(gate, with_bias, false));
  if (bias) {
    k.gradient(*bias, halves_gradient(gate, with_bias, true));
  }
  k.cases(halves_cases(with_bias ? 1 : 0));
}

namespace {

in_mlx::Arrays halves_of_sum(const in_mlx::Arrays& in) {
  return in_mlx::halves(in.size() > 1 ? in[0] + in[1] : in[0]);
}

} // namespace

in_mlx::Arrays silu_halves_in_mlx(
    const in_mlx::Arrays& in,
    const lang::Attributes&) {
  const auto parts = halves_of_sum(in);
  return {in_mlx::silu(parts[0]) * parts[1]};
}

in_mlx::Arrays gelu_halves_in_mlx(
    const in_mlx::Arrays& in,
    const lang::Attributes& attributes) {
  const auto parts = halves_of_sum(in);
  const bool exact = attributes.at("exact") != 0;
  return {
      (exact ? in_mlx::gelu(parts[0]) : in_mlx::gelu_tanh(parts[0])) *
      parts[1]};
}

} // namespace zmlx::kernels
