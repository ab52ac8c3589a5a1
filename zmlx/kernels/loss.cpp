#include "zmlx/kernels/loss.h"

#include <fmt/format.h>

namespace zmlx::kernels {

std::vector<lang::Case> cross_entropy_cases() {
  std::vector<lang::Case> cases;
  for (const lang::Shape& shape : std::vector<lang::Shape>{
           {0, 5}, {1, 1}, {7}, {3, 31}, {2, 3, 64}, {5, 4099}}) {
    lang::Case c;
    c.name = fmt::format("{} classes", shape.back());
    c.shapes = {shape, {shape.begin(), shape.end() - 1}};
    c.fills["targets"] = {
        lang::Type::I32, 0, static_cast<double>(shape.back() - 1)};
    cases.push_back(std::move(c));
  }
  const auto plain = cases;
  lang::Case vocabulary{"32768 classes", {{2, 32768}, {2}}};
  vocabulary.fills["targets"] = {lang::Type::I32, 0, 32767};
  vocabulary.bench = true;
  cases.push_back(std::move(vocabulary));
  cases = with_attributes(cases, plain, {{"label_smoothing", 0.1}});
  cases = with_attributes(cases, plain, {{"ignore_index", 0}});
  return with_attributes(
      cases, plain, {{"ignore_index", 0}, {"label_smoothing", 0.2}});
}

in_mlx::Arrays cross_entropy_in_mlx(
    const in_mlx::Arrays& in,
    const lang::Attributes& attributes) {
  namespace mx = mlx::core;
  const auto logits =
      in[0].dtype() == mx::float64 ? in[0] : mx::astype(in[0], mx::float32);
  const auto ignored =
      mx::array(static_cast<int>(attributes.at("ignore_index")));
  const double smoothing = attributes.at("label_smoothing");
  const auto counts = mx::not_equal(in[1], ignored);
  const auto target = mx::where(counts, in[1], mx::array(0, in[1].dtype()));
  auto likelihood = mx::squeeze(
      mx::take_along_axis(logits, mx::expand_dims(target, -1), -1), -1);
  if (smoothing != 0) {
    likelihood = likelihood * in_mlx::like(logits, 1 - smoothing) +
        mx::mean(logits, -1) * in_mlx::like(logits, smoothing);
  }
  const auto loss = mx::logsumexp(logits, -1) - likelihood;
  return {mx::where(counts, loss, in_mlx::like(logits, 0))};
}

} // namespace zmlx::kernels
