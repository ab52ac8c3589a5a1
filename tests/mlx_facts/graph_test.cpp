#include <cstring>
#include <map>
#include <string>
#include <typeinfo>

#include <gtest/gtest.h>
#include <mlx/mlx.h>
#include <mlx/primitives.h>

namespace mx = mlx::core;

namespace {

mx::array placeholder(mx::Shape shape, mx::Dtype dtype) {
  return mx::array(std::move(shape), dtype, nullptr, {});
}

// Builds the graph of `a` again on what `known` holds for its leaves.
mx::array rebuilt(
    const mx::array& a,
    std::map<std::uintptr_t, mx::array>& known) {
  auto found = known.find(a.id());
  if (found != known.end()) {
    return found->second;
  }
  if (!a.has_primitive()) {
    return a; // a constant
  }
  std::vector<mx::array> inputs;
  for (const auto& input : a.inputs()) {
    inputs.push_back(rebuilt(input, known));
  }
  if (a.siblings().empty()) {
    mx::array copy(a.shape(), a.dtype(), a.primitive_ptr(), inputs);
    known.insert({a.id(), copy});
    return copy;
  }
  auto outputs = a.outputs();
  std::vector<mx::Shape> shapes;
  std::vector<mx::Dtype> dtypes;
  for (const auto& output : outputs) {
    shapes.push_back(output.shape());
    dtypes.push_back(output.dtype());
  }
  auto copies = mx::array::make_arrays(
      std::move(shapes), dtypes, a.primitive_ptr(), inputs);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    known.insert({outputs[i].id(), copies[i]});
  }
  return known.at(a.id());
}

bool same_bits(mx::array a, mx::array b) {
  a = mx::contiguous(a);
  b = mx::contiguous(b);
  mx::eval(a, b);
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
      std::memcmp(a.data<char>(), b.data<char>(), a.nbytes()) == 0;
}

mx::array step(const mx::array& x, const mx::array& w) {
  auto quantized = mx::quantize(w, 32, 4);
  auto y = mx::quantized_matmul(
      x, quantized[0], quantized[1], quantized[2], true, 32, 4);
  auto parts = mx::split(mx::softmax(y, -1), 2, -1);
  auto quotient = mx::divmod(mx::multiply(parts[0], mx::array(7.0f)), parts[1]);
  return mx::add(quotient[1], mx::sigmoid(mx::transpose(quotient[0])));
}

TEST(MlxFacts, APlaceholderWithoutDataBuildsGraphs) {
  auto x = placeholder({4, 64}, mx::float32);
  auto w = placeholder({8, 64}, mx::float32);
  EXPECT_FALSE(x.has_primitive());
  EXPECT_TRUE(x.inputs().empty());
  auto y = step(x, w);
  EXPECT_EQ(y.shape(), (mx::Shape{4, 4}));
  EXPECT_EQ(y.dtype(), mx::float32);
}

TEST(MlxFacts, APlaceholderThrowsWhereItsValueIsAskedFor) {
  auto x = placeholder({}, mx::float32);
  EXPECT_THROW(x.item<float>(), std::exception);
  auto y = mx::add(x, mx::array(1.0f));
  EXPECT_THROW(mx::eval(y), std::exception);
}

TEST(MlxFacts, IdentityTellsPlaceholdersApartAndSurvivesCopies) {
  auto x = placeholder({2}, mx::float32);
  auto y = placeholder({2}, mx::float32);
  auto copy = x;
  EXPECT_NE(x.id(), y.id());
  EXPECT_EQ(x.id(), copy.id());
  auto sum = mx::add(x, y);
  EXPECT_EQ(sum.inputs()[0].id(), x.id());
  EXPECT_EQ(sum.inputs()[1].id(), y.id());
}

TEST(MlxFacts, AGraphIsWalkedAndEmittedAgainOnOtherInputsWithEqualBits) {
  auto x = placeholder({4, 64}, mx::float32);
  auto w = placeholder({8, 64}, mx::float32);
  auto captured = step(x, w);
  auto real_x = mx::random::normal({4, 64}, mx::random::key(1));
  auto real_w = mx::random::normal({8, 64}, mx::random::key(2));
  std::map<std::uintptr_t, mx::array> known{{x.id(), real_x}, {w.id(), real_w}};
  EXPECT_TRUE(same_bits(rebuilt(captured, known), step(real_x, real_w)));
}

TEST(MlxFacts, AnEmittedGraphHasTheExactGradient) {
  auto f = [](const mx::array& x) {
    return mx::sum(mx::multiply(mx::tanh(x), mx::exp(x)));
  };
  auto x = placeholder({16}, mx::float32);
  auto captured = f(x);
  auto again = [&](const mx::array& real) {
    std::map<std::uintptr_t, mx::array> known{{x.id(), real}};
    return rebuilt(captured, known);
  };
  auto real = mx::random::normal({16}, mx::random::key(3));
  EXPECT_TRUE(same_bits(mx::grad(again)(real), mx::grad(f)(real)));
}

TEST(MlxFacts, SeveralResultsAreSiblings) {
  auto x = placeholder({4}, mx::float32);
  auto both = mx::divmod(x, mx::array(2.0f));
  EXPECT_EQ(both[0].siblings().size(), 1u);
  EXPECT_EQ(both[0].siblings()[0].id(), both[1].id());
  EXPECT_EQ(both[0].primitive_id(), both[1].primitive_id());
}

// Type information of most primitives is not exported, so there is no
// dynamic_cast: the class is known by its name, and its members by a cast.
TEST(MlxFacts, APrimitiveIsKnownByTheNameOfItsTypeAndCastStatically) {
  auto x = placeholder({1, 64}, mx::float32);
  auto q = mx::quantize(mx::ones({8, 64}), 32, 4);
  auto y = mx::quantized_matmul(x, q[0], q[1], q[2], true, 32, 4);
  auto& p = y.primitive();
  EXPECT_STREQ(typeid(p).name(), "N3mlx4core15QuantizedMatmulE");
  auto [group_size, bits, mode, transpose] =
      static_cast<const mx::QuantizedMatmul&>(p).state();
  EXPECT_EQ(group_size, 32);
  EXPECT_EQ(bits, 4);
  EXPECT_EQ(mode, mx::QuantizationMode::Affine);
  EXPECT_TRUE(transpose);
  EXPECT_EQ(y.inputs().size(), 4u);
}

TEST(MlxFacts, OneClassMayHaveSeveralNames) {
  auto x = placeholder({4}, mx::float32);
  auto sum = mx::sum(x, 0, true), largest = mx::max(x, 0, true);
  EXPECT_EQ(typeid(sum.primitive()), typeid(largest.primitive()));
  EXPECT_STRNE(sum.primitive().name(), largest.primitive().name());
}

} // namespace
