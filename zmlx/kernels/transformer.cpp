#include "zmlx/kernels/transformer.h"

#include "zmlx/base/errors.h"
#include "zmlx/lang/derive.h"

namespace zmlx::kernels {

namespace {

using lang::Expr;

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
  const auto at_place = [&](int i) {
    return lang::substitute(derived->outputs[i].value, {g, up, c});
  };
  return {at_place(0), at_place(1)};
}

} // namespace

void define_halves(lang::Define& k, Gate gate, bool with_bias) {
  auto x = k.input("x", lang::Role::Row);
  std::optional<Expr> bias;
  if (with_bias) {
    bias = k.input("bias", lang::Role::Row);
    k.fill(*bias, {{}, -0.5, 0.5});
  }
  const auto at = [&](const Expr& place) {
    auto value = lang::pick(x, place);
    return bias ? value + lang::pick(*bias, place) : value;
  };
  k.width(x, 1, 2);
  const auto i = lang::index();
  k.output(gate(at(i), at(i + lang::width())));

  const auto half = lang::width() / 2; // of a row of x
  const auto place = i % half;
  const auto [d_gate, d_up] = gradients_of(
      gate, at(place), at(place + half), lang::pick(k.cotangent(), place));
  const auto gradient = lang::select(i < half, d_gate, d_up);
  k.row_gradient(x, gradient);
  if (bias) {
    k.row_gradient(*bias, gradient);
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
