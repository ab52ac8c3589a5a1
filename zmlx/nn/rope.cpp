#include "zmlx/nn/rope.h"

#include <cmath>
#include <numbers>
#include <vector>

#include "zmlx/base/errors.h"

namespace zmlx::nn {

namespace {

// One period of a pair, in tokens over 2 pi, as mx::fast::rope takes them.
double stretched_period(double period, const Llama3RopeScaling& s) {
  const double wavelength = 2 * std::numbers::pi * period;
  const double longest_kept = s.original_context / s.high_freq_factor;
  const double shortest_stretched = s.original_context / s.low_freq_factor;
  if (wavelength > shortest_stretched) {
    return period * s.factor;
  }
  if (wavelength <= longest_kept || wavelength == shortest_stretched) {
    return period;
  }
  const double smooth = (s.original_context / wavelength - s.low_freq_factor) /
      (s.high_freq_factor - s.low_freq_factor);
  return period / ((1 - smooth) / s.factor + smooth);
}

// MLX's freqs are periods; `stretch(i, period)` gives that of pair i.
template <typename Stretch>
mx::array periods(int dims, float base, Stretch&& stretch) {
  std::vector<float> freqs;
  for (int i = 0; i < dims / 2; ++i) {
    const double period = std::pow(base, 2.0 * i / dims);
    freqs.push_back(static_cast<float>(stretch(i, period)));
  }
  auto array = mx::array(freqs.data(), {dims / 2});
  mx::eval(array);
  return array;
}

} // namespace

Rope::Rope(int dims, float base, bool traditional, const RopeScaling& scaling)
    : dims_(dims), traditional_(traditional), base_(base) {
  if (auto* linear = std::get_if<LinearRopeScaling>(&scaling)) {
    scale_ = 1 / linear->factor;
  } else if (auto* llama3 = std::get_if<Llama3RopeScaling>(&scaling)) {
    freqs_ = periods(dims, base, [&](int, double period) {
      return stretched_period(period, *llama3);
    });
    base_.reset();
  } else if (auto* given = std::get_if<RopeFactors>(&scaling)) {
    if (given->factors.size() != static_cast<size_t>(dims) / 2) {
      throw internal_error(
          "rope over {} dimensions takes {} factors, got {}",
          dims,
          dims / 2,
          given->factors.size());
    }
    freqs_ = periods(dims, base, [&](int i, double period) {
      return period * given->factors[i];
    });
    base_.reset();
  }
}

mx::array Rope::operator()(const mx::array& x, const Position& offset) const {
  return fast().rope(x, dims_, traditional_, base_, scale_, offset, freqs_);
}

} // namespace zmlx::nn
