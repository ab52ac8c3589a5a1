#include <algorithm>
#include <numeric>

#include "tests/peer/interpret.h"
#include "zmlx/base/errors.h"

namespace zmlx::test_peer {
namespace {

/// The places of the k largest values, descending; among equals the lowest
/// place first. NaN is larger than all numbers.
std::vector<int64_t> largest(const Register& row, int64_t width, int64_t k) {
  std::vector<int64_t> places(static_cast<size_t>(width));
  std::iota(places.begin(), places.end(), int64_t{0});
  std::ranges::stable_sort(places, [&](int64_t a, int64_t b) {
    const auto x = row.as<double>(a), y = row.as<double>(b);
    return std::isnan(x) ? !std::isnan(y) : x > y;
  });
  places.resize(static_cast<size_t>(k));
  return places;
}

} // namespace

void run_topk(Bound& bound) {
  const auto& top = bound.program.top;
  PassRunner runner(bound, space_of(bound));
  if (runner.rows() > 0 && (top.k < 1 || top.k > runner.width())) {
    throw internal_error(
        "test peer: the {} largest of rows of {}", top.k, runner.width());
  }
  for (int64_t row = 0; row < runner.rows(); ++row) {
    const Register values = runner.run_row(row);
    const auto places = largest(values, runner.width(), top.k);
    for (int64_t i = 0; i < top.k; ++i) {
      const int64_t place = places[static_cast<size_t>(i)];
      for (int output : top.values) {
        const Array& to = bound.outputs[output];
        write(to.type, values.as<float>(place), Walk(to, to.shape).at(row, i));
      }
      for (int output : top.places) {
        const Array& to = bound.outputs[output];
        write(to.type, place, Walk(to, to.shape).at(row, i));
      }
    }
  }
}

} // namespace zmlx::test_peer
