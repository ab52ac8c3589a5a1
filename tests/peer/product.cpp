#include <algorithm>

#include "tests/peer/interpret.h"
#include "zmlx/base/errors.h"
#include "zmlx/lang/space.h"

namespace zmlx::test_peer {
namespace {

using lang::Op;
using lang::WeightFormat;

/// A weight (M, K) whose leading axes are 1.
struct Matrix {
  const lang::Weight& weight;
  const Bound& bound;

  const Array& part(int input) const {
    return bound.inputs[input];
  }
  int64_t rows() const {
    const auto& shape = part(weight.w).shape;
    return shape.at(shape.size() - 2);
  }
  int64_t width() const {
    const int64_t last = part(weight.w).shape.back();
    return weight.format == WeightFormat::Dense ? last
                                                : last * 32 / weight.bits;
  }

  static const std::byte* at(const Array& array, int64_t row, int64_t column) {
    const size_t axes = array.strides.size();
    return array.data +
        (row * array.strides[axes - 2] + column * array.strides[axes - 1]) *
        array.item();
  }

  /// Row m, decoded.
  std::vector<double> row(int64_t m) const {
    std::vector<double> numbers(static_cast<size_t>(width()));
    const Array& w = part(weight.w);
    if (weight.format == WeightFormat::Dense) {
      for (size_t k = 0; k < numbers.size(); ++k) {
        numbers[k] =
            read<double>(w.type, at(w, m, static_cast<int64_t>(k)));
      }
      return numbers;
    }
    const auto bits = static_cast<size_t>(weight.bits);
    const auto group_size = static_cast<size_t>(weight.group_size);
    uint32_t word = 0;
    double scale = 0, bias = 0;
    for (size_t k = 0; k < numbers.size(); ++k) {
      const size_t bit = k * bits % 32;
      if (bit == 0) {
        word = read<uint32_t>(w.type, at(w, m, int64_t(k * bits / 32)));
      }
      if (k % group_size == 0) {
        const auto group = static_cast<int64_t>(k / group_size);
        const Array& scales = part(weight.scales);
        const Array& biases = part(weight.biases);
        scale = read<double>(scales.type, at(scales, m, group));
        bias = read<double>(biases.type, at(biases, m, group));
      }
      numbers[k] = scale * (word >> bit & ((1u << bits) - 1)) + bias;
    }
    return numbers;
  }
};

/// The register type of accumulator t.
lang::Type accumulator_type(const lang::Program& program, int t) {
  for (const auto& i : program.store.code) {
    if (i.op == Op::Slot && i.number == t) {
      return i.type;
    }
  }
  return lang::Type::F32;
}

using Rows = std::vector<std::vector<double>>;

/// By accumulator, then by row: the products with the rows of its weight.
std::vector<std::vector<Register>> multiply(const Bound& bound, const Rows& x) {
  std::vector<std::vector<Register>> products;
  for (size_t t = 0; t < bound.program.weights.size(); ++t) {
    const Matrix matrix{bound.program.weights[t], bound};
    if (!x.empty() && x[0].size() != static_cast<size_t>(matrix.width())) {
      throw internal_error("test peer: weights of different widths");
    }
    const auto type = accumulator_type(bound.program, static_cast<int>(t));
    products.emplace_back(x.size(), Register(type, false, matrix.rows()));
    for (int64_t m = 0; m < matrix.rows(); ++m) {
      const auto w = matrix.row(m);
      for (size_t n = 0; n < x.size(); ++n) {
        double sum = 0;
        for (size_t k = 0; k < w.size(); ++k) {
          sum += x[n][k] * w[k];
        }
        with_register_type(type, [&](auto zero) {
          products[t][n].set(m, static_cast<decltype(zero)>(sum));
        });
      }
    }
  }
  return products;
}

} // namespace

void run_product(Bound& bound) {
  const auto& weights = bound.program.weights;
  lang::Shape shape = bound.outputs.at(0).shape;
  shape.back() = Matrix{weights.at(0), bound}.width();
  PassRunner runner(bound, shape);
  Rows x(static_cast<size_t>(runner.rows()));
  for (int64_t row = 0; row < runner.rows(); ++row) {
    const Register values = runner.run_row(row);
    for (int64_t k = 0; k < runner.width(); ++k) {
      x[static_cast<size_t>(row)].push_back(values.as<double>(k));
    }
  }
  const auto products = multiply(bound, x);
  std::vector<int64_t> done; // lengths of output rows
  for (const Array& output : bound.outputs) {
    if (std::ranges::find(done, output.shape.back()) != done.end()) {
      continue;
    }
    done.push_back(output.shape.back());
    PassRunner store(bound, output.shape);
    for (int64_t row = 0; row < store.rows(); ++row) {
      std::vector<Register> accumulators;
      for (const auto& product : products) {
        accumulators.push_back(product[static_cast<size_t>(row)]);
      }
      store.run_store(row, std::move(accumulators));
    }
  }
}

} // namespace zmlx::test_peer
