#include <algorithm>

#include "tests/peer/interpret.h"
#include "zmlx/base/errors.h"
#include "zmlx/lang/formats.h"
#include "zmlx/lang/space.h"

namespace zmlx::test_peer {
namespace {

/// A weight (M, K), or one of several (E, M, K) for each row.
class Matrix {
 public:
  Matrix(const lang::Weight& weight, Bound& bound)
      : weight_(weight), bound_(bound) {
    const Array& first = part(0);
    rows_ = first.shape.at(first.shape.size() - 2);
    // Every format stores `columns` of its first part for 32 numbers.
    width_ = first.shape.back() * 32 / lang::columns(weight, 0, 32);
  }

  int64_t rows() const {
    return rows_;
  }
  int64_t width() const {
    return width_;
  }

  /// Which of the matrices row `row` of the outputs is multiplied with; nothing
  /// where it names none, which is a fault.
  std::optional<int64_t> expert(int64_t row, lang::Shape space) const {
    if (weight_.experts < 0) {
      return 0;
    }
    Array which = bound_.inputs[weight_.experts];
    which.shape.push_back(1);
    which.strides.push_back(0);
    const auto number =
        read<int64_t>(which.type, Walk(which, space).at(row, 0));
    const int64_t count = part(0).shape.at(0);
    if (number >= 0 && number < count) {
      return number;
    }
    if (!bound_.fault) {
      bound_.fault = {number, count, true, false, lang::parts_of(weight_)[0]};
    }
    return std::nullopt;
  }

  /// Row m of a matrix, by the reference decode of its format.
  std::vector<double> row(int64_t expert, int64_t m) const {
    std::vector<lang::PartRows> parts;
    for (size_t p = 0; p < lang::parts_of(weight_).size(); ++p) {
      const Array& array = part(p);
      const size_t axes = array.shape.size();
      const int64_t first =
          weight_.experts < 0 ? 0 : expert * array.strides.at(0);
      parts.push_back(
          {array.data + first * array.item(),
           array.type,
           array.strides[axes - 2] * array.item()});
    }
    std::vector<double> numbers(static_cast<size_t>(width_));
    lang::decode(weight_, parts, m, 0, width_, numbers.data());
    return numbers;
  }

 private:
  const Array& part(size_t p) const {
    return bound_.inputs[lang::parts_of(weight_)[p]];
  }

  const lang::Weight& weight_;
  Bound& bound_;
  int64_t rows_, width_;
};

/// The register type of accumulator t.
lang::Type accumulator_type(const lang::Program& program, size_t t) {
  for (const auto& i : program.store.code) {
    if (i.op == lang::Op::Slot && i.number == static_cast<int>(t)) {
      return i.type;
    }
  }
  return lang::Type::F32;
}

double dot(const std::vector<double>& x, const std::vector<double>& y) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    sum += x[i] * y[i];
  }
  return sum;
}

/// Accumulator t of each row x[n]; 0 where the row names no matrix.
std::vector<Register> accumulate(
    Bound& bound,
    size_t t,
    const std::vector<std::vector<double>>& x,
    const lang::Shape& space) {
  const Matrix matrix(bound.program.weights[t], bound);
  if (!x.empty() && x[0].size() != static_cast<size_t>(matrix.width())) {
    throw internal_error("test peer: weights of different widths");
  }
  const auto type = accumulator_type(bound.program, t);
  std::vector<Register> sums(x.size(), Register(type, false, matrix.rows()));
  std::map<int64_t, std::vector<size_t>> rows; // by the matrix that they name
  for (size_t n = 0; n < x.size(); ++n) {
    if (const auto e = matrix.expert(static_cast<int64_t>(n), space)) {
      rows[*e].push_back(n);
    }
  }
  for (const auto& [expert, numbers] : rows) {
    for (int64_t m = 0; m < matrix.rows(); ++m) {
      const auto w = matrix.row(expert, m);
      for (const size_t n : numbers) {
        with_register_type(type, [&](auto zero) {
          sums[n].set(m, static_cast<decltype(zero)>(dot(x[n], w)));
        });
      }
    }
  }
  return sums;
}

} // namespace

void run_product(Bound& bound) {
  const auto& weights = bound.program.weights;
  lang::Shape space = bound.outputs.at(0).shape;
  space.back() = Matrix(weights.at(0), bound).width();
  PassRunner runner(bound, space);
  std::vector<std::vector<double>> x(static_cast<size_t>(runner.rows()));
  for (int64_t row = 0; row < runner.rows(); ++row) {
    const Register values = runner.run_row(row);
    for (int64_t k = 0; k < runner.width(); ++k) {
      x[static_cast<size_t>(row)].push_back(values.as<double>(k));
    }
  }
  std::vector<std::vector<Register>> products;
  for (size_t t = 0; t < weights.size(); ++t) {
    products.push_back(accumulate(bound, t, x, space));
  }
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
