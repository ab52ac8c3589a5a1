#include "zmlx/backend/stages/product/cpu.h"

#include <cmath>
#include <deque>
#include <limits>
#include <optional>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/backend/stage_inputs.h"
#include "zmlx/backend/stages/product/cpu_multiply.h"
#include "zmlx/lang/functions.h"
#include "zmlx/lang/lower.h"

namespace zmlx::backend {
namespace {

using lang::Type;
using lang::WeightFormat;
using stages::Format;
using stages::kRowsAtOnce;
using testing::Guarded;

/// A random weight in its own layout with every number as a double.
class RandomWeight {
 public:
  RandomWeight(std::mt19937& random, Format format, int64_t rows, int64_t width)
      : format_(format), rows_(rows), width_(width) {
    values_.resize(static_cast<size_t>(rows * width));
    sizes_ = values_;
    if (format.format == WeightFormat::Dense) {
      fill_dense(random);
    } else {
      fill_affine(random);
    }
  }

  stages::Matrix matrix() const {
    stages::Matrix m;
    m.format = format_;
    m.rows = rows_;
    m.width = width_;
    m.parts[0] = {w_->data(), w_stride_};
    if (format_.format == WeightFormat::Affine) {
      m.parts[1] = {scales_->data(), groups() * type_size()};
      m.parts[2] = {biases_->data(), groups() * type_size()};
    }
    return m;
  }

  lang::Weight operand(int first_input) const {
    if (format_.format == WeightFormat::Dense) {
      return {WeightFormat::Dense, 0, 0, {first_input}};
    }
    return {
        WeightFormat::Affine,
        format_.bits,
        format_.group_size,
        {first_input, first_input + 1, first_input + 2}};
  }

  std::vector<View> views() const {
    if (format_.format == WeightFormat::Dense) {
      return {
          {w_->data(),
           format_.type,
           {rows_, width_},
           {w_stride_ / type_size(), 1}}};
    }
    const int64_t words = width_ * format_.bits / 32;
    return {
        {w_->data(), Type::U32, {rows_, words}, {words, 1}},
        {scales_->data(), format_.type, {rows_, groups()}, {groups(), 1}},
        {biases_->data(), format_.type, {rows_, groups()}, {groups(), 1}}};
  }

  /// The product with x in double, and the sum of the sizes of its terms: what
  /// its rounding is measured by.
  void product(const float* x, int64_t row, double& sum, double& size) const {
    sum = size = 0;
    for (int64_t k = 0; k < width_; ++k) {
      const size_t at = static_cast<size_t>(row * width_ + k);
      sum += double{x[k]} * values_[at];
      size += std::fabs(double{x[k]}) * sizes_[at];
    }
  }

  int64_t rows() const {
    return rows_;
  }

 private:
  int64_t groups() const {
    return width_ / format_.group_size;
  }
  int64_t type_size() const {
    return static_cast<int64_t>(lang::size_of(format_.type));
  }

  void fill_dense(std::mt19937& random) {
    w_stride_ = (width_ + 3) * type_size(); // rows lie apart
    w_.emplace(
        static_cast<size_t>((rows_ - 1) * w_stride_ + width_ * type_size()));
    std::normal_distribution<float> distribution;
    for (int64_t i = 0; i < rows_ * width_; ++i) {
      std::byte* at =
          w_->data() + i / width_ * w_stride_ + i % width_ * type_size();
      testing::write(format_.type, distribution(random), at);
      values_[i] = testing::read(format_.type, at);
      sizes_[i] = std::fabs(values_[i]);
    }
  }

  void fill_affine(std::mt19937& random) {
    w_stride_ = width_ * format_.bits / 8;
    w_.emplace(static_cast<size_t>(rows_ * w_stride_));
    const size_t bytes = static_cast<size_t>(rows_ * groups() * type_size());
    scales_.emplace(bytes);
    biases_.emplace(bytes);
    for (int64_t i = 0; i < rows_ * w_stride_; ++i) {
      w_->data()[i] = static_cast<std::byte>(random());
    }
    std::uniform_real_distribution<float> distribution(0.5, 1.5);
    for (int64_t i = 0; i < rows_ * groups(); ++i) {
      testing::write(
          format_.type,
          distribution(random) * 0.01f,
          scales_->data() + i * type_size());
      testing::write(
          format_.type,
          distribution(random) * -0.08f,
          biases_->data() + i * type_size());
    }
    for (int64_t i = 0; i < rows_ * width_; ++i) {
      const int64_t k = i % width_;
      const int64_t group = i / width_ * groups() + k / format_.group_size;
      const double scale =
          testing::read(format_.type, scales_->data() + group * type_size());
      const double bias =
          testing::read(format_.type, biases_->data() + group * type_size());
      uint32_t q = 0;
      for (int b = 0; b < format_.bits; ++b) {
        const int64_t bit = k * format_.bits + b;
        const std::byte from = w_->data()[i / width_ * w_stride_ + bit / 8];
        q |= (std::to_integer<uint32_t>(from) >> bit % 8 & 1) << b;
      }
      values_[i] = scale * q + bias;
      sizes_[i] = std::fabs(scale * q) + std::fabs(bias);
    }
  }

  Format format_;
  int64_t rows_, width_;
  int64_t w_stride_ = 0;
  std::optional<Guarded> w_, scales_, biases_;
  std::vector<double> values_, sizes_;
};

/// 64-byte aligned prepared rows.
class Prepared {
 public:
  Prepared(const Format& format, int64_t width, int count)
      : memory_(stages::prepared_bytes(format, width) * count + 64) {}
  std::byte* data() {
    void* at = memory_.data();
    size_t space = memory_.size();
    return static_cast<std::byte*>(std::align(64, 64, at, space));
  }

 private:
  std::vector<std::byte> memory_;
};

constexpr double kTolerance = 5e-7; // of the sum of the terms' sizes

void expect_product(
    const RandomWeight& weight,
    const float* x,
    const float* y,
    const std::string& what) {
  for (int64_t m = 0; m < weight.rows(); ++m) {
    double sum, size;
    weight.product(x, m, sum, size);
    ASSERT_NEAR(y[m], sum, kTolerance * size) << what << " row " << m;
  }
}

std::vector<float> multiply_all(
    const RandomWeight& weight,
    const std::vector<float>& x,
    int count) {
  const stages::Matrix matrix = weight.matrix();
  const size_t stride = stages::prepared_bytes(matrix.format, matrix.width);
  Prepared prepared(matrix.format, matrix.width, count);
  for (int n = 0; n < count; ++n) {
    stages::prepare(
        matrix.format,
        x.data() + n * matrix.width,
        matrix.width,
        prepared.data() + n * stride);
  }
  std::vector<float> y(static_cast<size_t>(count * matrix.rows), NAN);
  stages::multiply(
      matrix, prepared.data(), count, 0, matrix.rows, y.data(), matrix.rows);
  return y;
}

std::string describe(const Format& f, int64_t rows, int64_t width) {
  return fmt::format(
      "{} bits {} group {} {} ({}, {})",
      f.format == WeightFormat::Dense ? "dense" : "affine",
      f.bits,
      f.group_size,
      lang::name_of(f.type),
      rows,
      width);
}

std::vector<Format> all_formats() {
  std::vector<Format> formats;
  for (const Type type : {Type::F32, Type::F16, Type::BF16}) {
    formats.push_back({WeightFormat::Dense, type, 0, 0});
    for (const int bits : {2, 4, 8}) {
      for (const int group_size : {32, 64, 128}) {
        formats.push_back({WeightFormat::Affine, type, bits, group_size});
      }
    }
  }
  return formats;
}

void check_format(std::mt19937& random, const Format& format, int64_t width) {
  if (format.group_size != 0 && width % format.group_size != 0) {
    return;
  }
  for (const int64_t rows : {1, 3, 16, 17, 100, 1001}) {
    if (rows > 100 && width > 96) {
      continue;
    }
    const RandomWeight weight(random, format, rows, width);
    const std::vector<float> x = testing::normal(random, kRowsAtOnce * width);
    testing::on_every_target([&](const char* target) {
      for (const int count : {1, 3, kRowsAtOnce}) {
        const std::vector<float> y = multiply_all(weight, x, count);
        for (int n = 0; n < count; ++n) {
          expect_product(
              weight,
              x.data() + n * width,
              y.data() + n * rows,
              fmt::format(
                  "{} {} x {}/{}",
                  describe(format, rows, width),
                  target,
                  n,
                  count));
        }
      }
    });
  }
}

TEST(Product, EveryFormatGivesTheSumsOfDoubles) {
  std::mt19937 random(1);
  for (const Format& format : all_formats()) {
    for (const int64_t width : {32, 64, 96, 192, 544, 576, 1536, 2048}) {
      check_format(random, format, width);
    }
  }
}

// What no struct of this device reads goes through the table's decode.
TEST(Product, FormatsWithoutFastCodeGiveTheSumsOfDoubles) {
  std::mt19937 random(11);
  for (const Type type : {Type::F32, Type::F16, Type::BF16}) {
    for (const int bits : {3, 5, 6}) {
      for (const int64_t width : {32, 96, 288, 544}) {
        check_format(random, {WeightFormat::Affine, type, bits, 32}, width);
      }
    }
  }
}

TEST(Product, DenseRowsOfAnyLength) {
  std::mt19937 random(2);
  for (const Type type : {Type::F32, Type::F16, Type::BF16}) {
    for (const int64_t width : {1, 2, 7, 15, 17, 31, 33, 101}) {
      check_format(random, {WeightFormat::Dense, type, 0, 0}, width);
    }
  }
}

TEST(Product, LongRows) {
  std::mt19937 random(3);
  const Format format{WeightFormat::Affine, Type::F16, 4, 32};
  const RandomWeight weight(random, format, 1001, 576);
  const std::vector<float> x = testing::normal(random, 576);
  expect_product(weight, x.data(), multiply_all(weight, x, 1).data(), "long");
}

TEST(Product, OutliersKeepTheSmallNumbersOfOtherGroups) {
  std::mt19937 random(4);
  for (const int bits : {2, 4, 8}) {
    const Format format{WeightFormat::Affine, Type::F32, bits, 32};
    const RandomWeight weight(random, format, 16, 256);
    std::vector<float> x = testing::normal(random, 256, 1e-4f);
    x[40] = 3e4f;
    testing::on_every_target([&](const char* target) {
      const std::vector<float> y = multiply_all(weight, x, 1);
      expect_product(weight, x.data(), y.data(), target);
    });
    x[40] = 0;
    std::fill(x.begin() + 64, x.begin() + 96, 0.f);
    expect_product(weight, x.data(), multiply_all(weight, x, 1).data(), "zero");
  }
}

TEST(Product, NumbersTooSmallToScale) {
  std::mt19937 random(5);
  const Format format{WeightFormat::Affine, Type::F32, 4, 64};
  const RandomWeight weight(random, format, 16, 256);
  const std::vector<float> x = testing::normal(random, 256, 1e-33f);
  testing::on_every_target([&](const char* target) {
    const std::vector<float> y = multiply_all(weight, x, 1);
    expect_product(weight, x.data(), y.data(), target);
  });
}

TEST(Product, InfinityAndNaNReachTheResult) {
  std::mt19937 random(6);
  for (const Format& format : all_formats()) {
    const RandomWeight weight(random, format, 5, 256);
    std::vector<float> x = testing::normal(random, 3 * 256);
    x[256 + 3] = std::numeric_limits<float>::quiet_NaN();
    x[512 + 200] = std::numeric_limits<float>::infinity();
    testing::on_every_target([&](const char* target) {
      const std::vector<float> y = multiply_all(weight, x, 3);
      expect_product(weight, x.data(), y.data(), target);
      for (int m = 0; m < 5; ++m) {
        EXPECT_TRUE(std::isnan(y[5 + m])) << target;
        EXPECT_FALSE(std::isfinite(y[10 + m])) << target;
      }
    });
  }
}

// ------------------------------------------------- with row and store programs

lang::Program lowered(const lang::Body& body, std::span<const View> inputs) {
  std::vector<Type> types;
  for (const View& view : inputs) {
    types.push_back(view.type);
  }
  std::string why;
  std::optional<lang::Program> program = lang::lower(body, types, &why);
  if (!program) {
    ADD_FAILURE() << why;
    std::abort();
  }
  EXPECT_EQ(stages::product_unsupported(*program), std::nullopt);
  return *program;
}

/// Runs all shares one after the other.
void run(
    const lang::Program& program,
    std::span<const View> inputs,
    std::span<const View> outputs,
    int parts) {
  const auto launch = stages::make_product(program)->bind(inputs, outputs);
  for (int part = parts - 1; part >= 0; --part) {
    launch->run(part, parts);
  }
}

/// Inputs of a body, collected with their roles.
struct Operands {
  lang::Body body;
  std::vector<View> views;

  lang::Expr element(const char* name, View view) {
    body.inputs.push_back({name, lang::Role::Element});
    views.push_back(std::move(view));
    return lang::input(static_cast<int>(views.size()) - 1);
  }

  lang::Weight weight(const RandomWeight& weight) {
    const int first = static_cast<int>(views.size());
    for (View& view : weight.views()) {
      body.inputs.push_back(
          {fmt::format("w{}", views.size()), lang::Role::Whole});
      views.push_back(std::move(view));
    }
    return weight.operand(first);
  }
};

std::vector<float> normalized(
    const std::vector<float>& x,
    const std::vector<float>& w) {
  const size_t width = w.size();
  std::vector<float> y(x.size());
  for (size_t row = 0; row < x.size(); row += width) {
    double sum = 0;
    for (size_t k = 0; k < width; ++k) {
      sum += double{x[row + k]} * x[row + k];
    }
    for (size_t k = 0; k < width; ++k) {
      y[row + k] = static_cast<float>(
          x[row + k] / std::sqrt(sum / static_cast<double>(width) + 1e-5) *
          w[k]);
    }
  }
  return y;
}

const Format kAffine4{WeightFormat::Affine, Type::F16, 4, 32};
const Format kAffine8{WeightFormat::Affine, Type::BF16, 8, 64};
const Format kDense{WeightFormat::Dense, Type::F32, 0, 0};

TEST(ProductStage, NormThenSiluGate) {
  std::mt19937 random(7);
  for (const Format& format : {kAffine4, kAffine8, kDense}) {
    for (const int64_t rows : {1, 2, 4, 5, 9}) {
      const int64_t width = 192, places = 544;
      std::vector<float> x = testing::normal(random, rows * width);
      std::vector<float> norm = testing::normal(random, width);
      const RandomWeight gate(random, format, places, width);
      const RandomWeight up(random, kAffine4, places, width);
      Operands in;
      const lang::Expr row =
          rms_norm(in.element("x", testing::view_of(x, {rows, width})), 1e-5) *
          in.element("norm", testing::view_of(norm, {width}));
      const lang::Expr g = product(row, in.weight(gate));
      const lang::Expr u = product(row, in.weight(up));
      in.body.outputs = {{"out", g * sigmoid(g) * u}};
      const lang::Program program = lowered(in.body, in.views);
      const std::vector<float> normed = normalized(x, norm);

      std::vector<float> first;
      for (const int parts : {1, 2, 3, 7}) {
        std::vector<float> y(static_cast<size_t>(rows * places), NAN);
        const View out = testing::view_of(y, {rows, places});
        run(program, in.views, {&out, 1}, parts);
        if (first.empty()) {
          first = y;
        }
        EXPECT_EQ(first, y) << parts << " parts";
      }
      for (int64_t i = 0; i < rows * places; ++i) {
        double a, b, size_a, size_b;
        const float* from = normed.data() + i / places * width;
        gate.product(from, i % places, a, size_a);
        up.product(from, i % places, b, size_b);
        const double silu = a / (1 + std::exp(-a));
        ASSERT_NEAR(
            first[i],
            silu * b,
            2e-6 *
                (size_a * (std::fabs(b) + 1) + (std::fabs(silu) + 1) * size_b))
            << i;
      }
    }
  }
}

TEST(ProductStage, ThreeWeightsOfDifferentSizesAndStridedOutputs) {
  std::mt19937 random(8);
  const int64_t width = 576;
  const int64_t sizes[] = {576, 192, 193};
  std::vector<float> x = testing::normal(random, width);
  Operands in;
  const lang::Expr row = in.element("x", testing::view_of(x, {1, width}));
  std::deque<RandomWeight> weights;
  for (const int64_t size : sizes) {
    weights.emplace_back(random, kAffine4, size, width);
  }
  for (int t = 0; t < 3; ++t) {
    in.body.outputs.push_back(
        {fmt::format("y{}", t), product(row, in.weight(weights[t]))});
  }
  const lang::Program program = lowered(in.body, in.views);
  std::vector<std::vector<float>> first;
  for (const int parts : {1, 2, 3}) {
    std::vector<std::vector<float>> y;
    std::vector<View> outputs;
    for (const int64_t size : sizes) {
      y.emplace_back(static_cast<size_t>(3 * size), -7.f);
      outputs.push_back({y.back().data(), Type::F32, {1, size}, {3 * size, 3}});
    }
    run(program, in.views, outputs, parts);
    if (first.empty()) {
      first = y;
    }
    EXPECT_EQ(first, y) << parts << " parts";
  }
  for (int t = 0; t < 3; ++t) {
    std::vector<float> adjacent;
    for (size_t i = 0; i < first[t].size(); ++i) {
      if (i % 3 == 0) {
        adjacent.push_back(first[t][i]);
      } else {
        EXPECT_EQ(first[t][i], -7.f);
      }
    }
    expect_product(weights[t], x.data(), adjacent.data(), "strided");
  }
}

TEST(ProductStage, TwoOutputsOfOneSize) {
  std::mt19937 random(9);
  std::vector<float> x = testing::normal(random, 128);
  const RandomWeight a(random, kAffine4, 100, 128);
  const RandomWeight b(random, kAffine8, 100, 128);
  Operands in;
  const lang::Expr row = in.element("x", testing::view_of(x, {1, 128}));
  in.body.outputs = {
      {"a", product(row, in.weight(a))}, {"b", product(row, in.weight(b))}};
  std::vector<float> ya(100), yb(100);
  const std::vector<View> outputs = {
      testing::view_of(ya, {1, 100}), testing::view_of(yb, {1, 100})};
  run(lowered(in.body, in.views), in.views, outputs, 2);
  expect_product(a, x.data(), ya.data(), "a");
  expect_product(b, x.data(), yb.data(), "b");
}

TEST(ProductStage, EachRowTakesTheMatrixThatItNames) {
  std::mt19937 random(12);
  const int64_t rows = 7, places = 133, width = 192, count = 3;
  std::vector<float> x = testing::normal(random, rows * width);
  // One after the other in memory: (E, M, K).
  const RandomWeight weight(random, kAffine4, count * places, width);
  std::vector<int32_t> expert = {2, 0, 0, 3, 1, -1, 2};
  Operands in;
  const lang::Expr row = in.element("x", testing::view_of(x, {rows, width}));
  lang::Weight w = in.weight(weight);
  for (size_t i = 1; i < in.views.size(); ++i) {
    View& view = in.views[i];
    const int64_t columns = view.shape[1];
    view.shape = {count, places, columns};
    view.strides = {places * columns, columns, 1};
  }
  w.experts = static_cast<int>(in.views.size());
  in.body.inputs.push_back({"expert", lang::Role::EachRow});
  in.views.push_back({expert.data(), Type::I32, {rows}, {1}});
  in.body.outputs = {{"out", product(row, w)}};
  const lang::Program program = lowered(in.body, in.views);
  const auto executable = stages::make_product(program);
  EXPECT_TRUE(executable->can_fault());
  for (const int parts : {1, 2, 3}) {
    std::vector<float> y(static_cast<size_t>(rows * places), NAN);
    const View out = testing::view_of(y, {rows, places});
    const auto launch = executable->bind(in.views, {&out, 1});
    for (int part = 0; part < parts; ++part) {
      launch->run(part, parts);
    }
    for (int64_t i = 0; i < rows * places; ++i) {
      const int64_t e = expert[i / places];
      if (e < 0 || e >= count) {
        EXPECT_EQ(y[i], 0) << i;
        continue;
      }
      double sum, size;
      weight.product(
          x.data() + i / places * width, e * places + i % places, sum, size);
      ASSERT_NEAR(y[i], sum, kTolerance * size) << i;
    }
    const auto fault = launch->fault();
    ASSERT_TRUE(fault);
    EXPECT_EQ(fault->length, count);
    EXPECT_TRUE(fault->index == 3 || fault->index == -1);
    EXPECT_EQ(fault->number, w.parts[0]);
  }
}

TEST(ProductStage, AddsInPlace) {
  std::mt19937 random(10);
  for (const int64_t rows : {1, 6}) {
    std::vector<float> x = testing::normal(random, rows * 1536);
    std::vector<float> h = testing::normal(random, rows * 577);
    const std::vector<float> before = h;
    const RandomWeight weight(random, kAffine4, 577, 1536);
    Operands in;
    const lang::Expr row = in.element("x", testing::view_of(x, {rows, 1536}));
    const View stream = testing::view_of(h, {rows, 577});
    const lang::Expr old = in.element("h", stream);
    in.body.outputs = {{"out", old + product(row, in.weight(weight))}};
    run(lowered(in.body, in.views), in.views, {&stream, 1}, 2);
    for (int64_t i = 0; i < rows * 577; ++i) {
      double sum, size;
      weight.product(x.data() + i / 577 * 1536, i % 577, sum, size);
      ASSERT_NEAR(h[i], before[i] + sum, kTolerance * (size + 1));
    }
  }
}

TEST(ProductStage, SaysWhatItCannotRun) {
  lang::Program program;
  program.inputs = {Type::F32, Type::U32, Type::F32, Type::F32};
  program.outputs = {Type::F32};
  program.weights = {{WeightFormat::Affine, 3, 64, {1, 2, 3}}};
  EXPECT_EQ(stages::product_unsupported(program), "affine weights of 3 bits");
  program.weights[0].bits = 4;
  program.weights[0].group_size = 16;
  EXPECT_EQ(
      stages::product_unsupported(program), "affine weights in groups of 16");
  program.weights[0].group_size = 64;
  EXPECT_EQ(stages::product_unsupported(program), std::nullopt);
  program.inputs[3] = Type::F16;
  EXPECT_EQ(
      stages::product_unsupported(program),
      "scales and biases of different types");
  program.weights = {{WeightFormat::Dense, 0, 0, {1}}};
  EXPECT_EQ(stages::product_unsupported(program), "weights of type uint32");
  const lang::Body body = lang::Kernel("k", "", [](lang::Define& k) {
                            auto x = k.input("x");
                            k.output(product(x, k.weight("w", 4, 64)));
                          }).body();
  EXPECT_EQ(
      stages::product_unsupported(*lang::lower(
          body, {Type::F64, Type::U32, Type::F32, Type::F32}, nullptr)),
      "a product with rows of float64");
}

} // namespace
} // namespace zmlx::backend
