#include <algorithm>

#include "tests/peer/interpret.h"
#include "zmlx/base/errors.h"

namespace zmlx::test_peer {
namespace {

/// Row (b, h, place) of a (B, heads, places, D) array.
std::vector<double>
row(const Array& array, int64_t b, int64_t h, int64_t place) {
  const auto& strides = array.strides;
  const int64_t first = b * strides[0] + h * strides[1] + place * strides[2];
  std::vector<double> values;
  for (int64_t i = 0; i < array.shape[3]; ++i) {
    values.push_back(read<double>(
        array.type, array.data + (first + i * strides[3]) * array.item()));
  }
  return values;
}

double dot(const std::vector<double>& x, const std::vector<double>& y) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    sum += x[i] * y.at(i);
  }
  return sum;
}

/// softmax(scale q k^T) v over the first `length` keys of one head.
std::vector<double> attend(
    const std::vector<double>& q,
    const Array& k,
    const Array& v,
    double scale,
    int64_t b,
    int64_t head,
    int64_t length) {
  std::vector<double> scores;
  for (int64_t i = 0; i < length; ++i) {
    scores.push_back(scale * dot(q, row(k, b, head, i)));
  }
  std::vector<double> result(q.size());
  if (length == 0) {
    return result;
  }
  const double most = *std::ranges::max_element(scores);
  double total = 0;
  for (int64_t i = 0; i < length; ++i) {
    const double weight = std::exp(scores[static_cast<size_t>(i)] - most);
    const auto value = row(v, b, head, i);
    for (size_t d = 0; d < result.size(); ++d) {
      result[d] += weight * value.at(d);
    }
    total += weight;
  }
  for (double& x : result) {
    x /= total;
  }
  return result;
}

} // namespace

void run_attention(Bound& bound) {
  const auto& term = bound.program.attention;
  const Array& q = bound.inputs[term.q];
  const Array& k = bound.inputs[term.k];
  const Array& v = bound.inputs[term.v];
  const Array& given = bound.inputs[term.length];
  const Array& out = bound.outputs.at(0);
  if (q.shape.size() != 4 || k.shape.size() != 4 || v.shape != k.shape ||
      out.shape != q.shape || k.shape[1] == 0 || q.shape[1] % k.shape[1] != 0) {
    throw internal_error(
        "test peer: shapes of q, k, v and output of an attention do not fit");
  }
  const auto length =
      std::clamp<int64_t>(read<int32_t>(given.type, given.data), 0, k.shape[2]);
  const int64_t shared = q.shape[1] / k.shape[1];
  const Walk walk(out, out.shape);
  for (int64_t b = 0; b < q.shape[0]; ++b) {
    for (int64_t h = 0; h < q.shape[1]; ++h) {
      const auto result =
          attend(row(q, b, h, 0), k, v, term.scale, b, h / shared, length);
      for (int64_t d = 0; d < out.shape[3]; ++d) {
        write(
            out.type,
            result[static_cast<size_t>(d)],
            walk.at(b * q.shape[1] + h, d));
      }
    }
  }
}

} // namespace zmlx::test_peer
