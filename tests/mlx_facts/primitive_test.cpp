#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include <gtest/gtest.h>
#include <mlx/backend/cpu/encoder.h>
#include <mlx/mlx.h>
#include <mlx/primitives.h>

namespace mx = mlx::core;

namespace {

std::atomic<int> evaluations{0};

// factor * x: a primitive of ours, outside libmlx.
class Scale : public mx::UnaryPrimitive {
 public:
  Scale(mx::Stream stream, float factor)
      : UnaryPrimitive(stream), factor_(factor) {}

  void eval_cpu(const std::vector<mx::array>& inputs, mx::array& out) override {
    ++evaluations;
    out.set_data(mx::allocator::malloc(out.nbytes()));
    mx::cpu::get_command_encoder(stream()).dispatch(
        [from = inputs[0].data<float>(),
         to = out.data<float>(),
         n = out.size(),
         factor = factor_] {
          for (std::size_t i = 0; i < n; ++i) {
            to[i] = factor * from[i];
          }
        });
  }
  void eval_gpu(const std::vector<mx::array>&, mx::array&) override {
    throw std::runtime_error("no GPU here");
  }
  std::vector<mx::array> vjp(
      const std::vector<mx::array>&,
      const std::vector<mx::array>& cotangents,
      const std::vector<int>&,
      const std::vector<mx::array>&) override;
  const char* name() const override {
    return "Scale";
  }
  bool is_equivalent(const mx::Primitive& other) const override {
    return factor_ == static_cast<const Scale&>(other).factor_;
  }
  std::vector<mx::Shape> output_shapes(
      const std::vector<mx::array>& inputs) override {
    return {inputs[0].shape()};
  }

 private:
  float factor_;
};

mx::array scale(const mx::array& x, float factor) {
  auto contiguous = mx::contiguous(x);
  return mx::array(
      x.shape(),
      x.dtype(),
      std::make_shared<Scale>(mx::default_stream(mx::default_device()), factor),
      {contiguous});
}

std::vector<mx::array> Scale::vjp(
    const std::vector<mx::array>&,
    const std::vector<mx::array>& cotangents,
    const std::vector<int>&,
    const std::vector<mx::array>&) {
  return {scale(cotangents[0], factor_)};
}

bool all_equal(const mx::array& a, const mx::array& b) {
  return mx::array_equal(a, b).item<bool>();
}

TEST(MlxFacts, OurPrimitiveIsEvaluated) {
  auto x = mx::arange(1000, mx::float32);
  auto y = mx::add(scale(mx::sqrt(x), 3), x);
  EXPECT_TRUE(
      all_equal(y, mx::add(mx::multiply(mx::sqrt(x), mx::array(3.0f)), x)));
}

TEST(MlxFacts, OurPrimitiveIsDifferentiatedByItsVjp) {
  auto x = mx::arange(5, mx::float32);
  auto gradient = mx::grad(
      [](const mx::array& a) { return mx::sum(mx::square(scale(a, 3))); })(x);
  EXPECT_TRUE(all_equal(gradient, mx::multiply(x, mx::array(18.0f))));
}

TEST(MlxFacts, VmapOfAPrimitiveWithoutOneThrows) {
  auto mapped = mx::vmap([](const mx::array& a) { return scale(a, 3); });
  EXPECT_THROW(mapped(mx::zeros({2, 3})), std::exception);
}

TEST(MlxFacts, CompileKeepsWhatIsNotEquivalentAndMergesWhatIs) {
  auto f = [](const std::vector<mx::array>& inputs) {
    auto& x = inputs[0];
    return std::vector<mx::array>{
        mx::subtract(scale(x, 5), scale(x, 2)),
        mx::add(scale(x, 2), scale(x, 2))};
  };
  auto compiled = mx::compile(f);
  auto x = mx::arange(1, 9, 1, mx::float32);
  mx::eval(x);
  evaluations = 0;
  auto y = compiled({x});
  mx::eval(y);
  EXPECT_EQ(evaluations, 2);
  EXPECT_TRUE(all_equal(y[0], mx::multiply(x, mx::array(3.0f))));
  EXPECT_TRUE(all_equal(y[1], mx::multiply(x, mx::array(4.0f))));
}

// eval_cpu runs on the caller's thread when its inputs are merely queued. The
// first node's work waits here until the second node's eval_cpu has been
// called: were inputs ready by then, the wait would run out.
class Meeting : public mx::UnaryPrimitive {
 public:
  struct Place {
    std::mutex mutex;
    std::condition_variable arrived;
    bool second_called = false;
    bool met = false;
  };

  Meeting(mx::Stream stream, Place& place, bool first)
      : UnaryPrimitive(stream), place_(place), first_(first) {}

  void eval_cpu(const std::vector<mx::array>&, mx::array& out) override {
    out.set_data(mx::allocator::malloc(out.nbytes()));
    if (!first_) {
      std::lock_guard lock(place_.mutex);
      place_.second_called = true;
      place_.arrived.notify_all();
      return;
    }
    mx::cpu::get_command_encoder(stream()).dispatch([&place = place_] {
      std::unique_lock lock(place.mutex);
      place.met = place.arrived.wait_for(
          lock, std::chrono::seconds(30), [&] { return place.second_called; });
    });
  }
  void eval_gpu(const std::vector<mx::array>&, mx::array&) override {
    throw std::runtime_error("no GPU here");
  }
  const char* name() const override {
    return "Meeting";
  }

 private:
  Place& place_;
  bool first_;
};

TEST(MlxFacts, EvalCpuIsCalledBeforeItsInputsAreThere) {
  Meeting::Place place;
  auto stream = mx::default_stream(mx::default_device());
  mx::array first(
      {1}, mx::float32, std::make_shared<Meeting>(stream, place, true), {});
  mx::array second(
      {1},
      mx::float32,
      std::make_shared<Meeting>(stream, place, false),
      {first});
  mx::eval(second);
  EXPECT_TRUE(place.met);
}

} // namespace
