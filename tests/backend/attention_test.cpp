#include "zmlx/backend/stages/attention/cpu.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/backend/stage_inputs.h"

namespace zmlx::backend {
namespace {

using lang::Type;

struct Sizes {
  int64_t batch, heads, key_heads, capacity, dim;
};

/// A stored array of random numbers and its values.
struct Stored {
  std::vector<std::byte> bytes;
  std::vector<float> values;
  View view;

  Stored(
      std::mt19937& random,
      Type type,
      const lang::Shape& shape,
      lang::Strides strides = {}) {
    int64_t count = 1;
    for (const int64_t n : shape) {
      count *= n;
    }
    const int64_t size = static_cast<int64_t>(lang::size_of(type));
    values = testing::normal(random, count);
    const lang::Strides dense = testing::dense_strides(shape);
    if (strides.empty()) {
      strides = dense;
    }
    int64_t room = 1;
    for (size_t i = 0; i < shape.size(); ++i) {
      room += (shape[i] - 1) * strides[i];
    }
    bytes.resize(static_cast<size_t>(room * size));
    view = {bytes.data(), type, shape, strides};
    for (int64_t i = 0; i < count; ++i) {
      std::byte* at = bytes.data() + offset(i, dense) * size;
      testing::write(type, values[i], at);
      values[i] = testing::read(type, at);
    }
  }

  /// Elements from the start to number i in order.
  int64_t offset(int64_t i, const lang::Strides& dense) const {
    int64_t at = 0;
    for (size_t axis = 0; axis < dense.size(); ++axis) {
      at += i / dense[axis] * view.strides[axis];
      i %= dense[axis];
    }
    return at;
  }
};

lang::Program attention_program(Type q, Type kv, Type out, double scale) {
  lang::Program program;
  program.stage = lang::Stage::Attention;
  program.inputs = {q, kv, kv, Type::I32};
  program.outputs = {out};
  program.attention = {0, 1, 2, 3, scale};
  return program;
}

std::vector<double> reference(
    const Stored& q,
    const Stored& k,
    const Stored& v,
    const Sizes& s,
    int64_t length,
    double scale) {
  std::vector<double> out;
  for (int64_t bh = 0; bh < s.batch * s.heads; ++bh) {
    const int64_t kv =
        bh / s.heads * s.key_heads + bh % s.heads / (s.heads / s.key_heads);
    const float* keys = k.values.data() + kv * s.capacity * s.dim;
    const float* from = v.values.data() + kv * s.capacity * s.dim;
    std::vector<double> score(static_cast<size_t>(length), 0);
    double most = -std::numeric_limits<double>::infinity(), total = 0;
    for (int64_t j = 0; j < length; ++j) {
      for (int64_t i = 0; i < s.dim; ++i) {
        score[j] += scale * q.values[bh * s.dim + i] * keys[j * s.dim + i];
      }
      most = std::max(most, score[j]);
    }
    for (double& value : score) {
      value = std::exp(value - most);
      total += value;
    }
    for (int64_t i = 0; i < s.dim; ++i) {
      double sum = 0;
      for (int64_t j = 0; j < length; ++j) {
        sum += score[j] * from[j * s.dim + i];
      }
      out.push_back(length == 0 ? 0 : sum / total);
    }
  }
  return out;
}

struct Attended {
  Stored q, k, v;
  int32_t length = 0;
  std::vector<View> inputs;

  Attended(
      std::mt19937& random,
      const Sizes& s,
      Type q_type,
      Type kv_type,
      const lang::Strides& kv_strides = {})
      : q(random, q_type, {s.batch, s.heads, 1, s.dim}),
        k(random,
          kv_type,
          {s.batch, s.key_heads, s.capacity, s.dim},
          kv_strides),
        v(random,
          kv_type,
          {s.batch, s.key_heads, s.capacity, s.dim},
          kv_strides) {
    inputs = {q.view, k.view, v.view, {&length, Type::I32, {}, {}}};
  }
};

/// Runs one launch at several lengths and numbers of parts.
void check(
    Attended& in,
    const Sizes& s,
    Type out_type,
    const std::vector<int>& lengths) {
  const double scale = 1 / std::sqrt(static_cast<double>(s.dim));
  const lang::Program program =
      attention_program(in.q.view.type, in.k.view.type, out_type, scale);
  ASSERT_EQ(stages::attention_unsupported(program), std::nullopt);
  std::mt19937 random(99);
  Stored out(random, out_type, {s.batch, s.heads, 1, s.dim});
  const auto launch =
      stages::make_attention(program)->bind(in.inputs, {&out.view, 1});
  const double rounding = out_type == Type::F32 ? 0
      : out_type == Type::F16                   ? 0x1p-11
                                                : 0x1p-8;
  for (const int length : lengths) {
    in.length = length;
    const std::vector<double> expected = reference(
        in.q, in.k, in.v, s, std::clamp<int64_t>(length, 0, s.capacity), scale);
    std::vector<std::byte> first;
    for (const int parts : {1, 2, 3, 5}) {
      std::fill(out.bytes.begin(), out.bytes.end(), std::byte{0xff});
      for (int part = parts - 1; part >= 0; --part) {
        launch->run(part, parts);
      }
      if (first.empty()) {
        first = out.bytes;
      }
      EXPECT_EQ(first, out.bytes) << length << " keys, " << parts << " parts";
    }
    const int64_t size = static_cast<int64_t>(lang::size_of(out_type));
    for (size_t i = 0; i < expected.size(); ++i) {
      ASSERT_NEAR(
          testing::read(out_type, out.bytes.data() + i * size),
          expected[i],
          3e-6 + rounding * (std::fabs(expected[i]) + 1e-3))
          << "length " << length << " dim " << s.dim << " at " << i;
    }
  }
}

TEST(Attention, EveryDimensionAndLength) {
  std::mt19937 random(1);
  for (const int64_t dim : {1, 4, 20, 32, 64, 80, 100, 128, 256}) {
    const Sizes sizes{1, 9, 3, 1000, dim};
    Attended in(random, sizes, Type::F32, Type::F32);
    testing::on_every_target([&](const char*) {
      check(in, sizes, Type::F32, {0, 1, 2, 15, 16, 17, 63, 64, 65, 255, 1000});
    });
  }
}

TEST(Attention, EveryTypeAndGrouping) {
  std::mt19937 random(2);
  for (const Type kv : {Type::F32, Type::F16, Type::BF16}) {
    for (const Type q : {Type::F32, Type::F16, Type::BF16}) {
      for (const Sizes& sizes :
           {Sizes{1, 1, 1, 130, 64},
            Sizes{2, 8, 2, 70, 36},
            Sizes{3, 4, 4, 20, 64}}) {
        Attended in(random, sizes, q, kv);
        testing::on_every_target([&](const char*) {
          check(in, sizes, q, {0, 1, 19, 20, 70});
        });
      }
    }
  }
}

TEST(Attention, KeysLieAnywhere) {
  std::mt19937 random(3);
  const Sizes sizes{2, 6, 3, 200, 64};
  // (B, capacity, H_kv, D) seen as (B, H_kv, capacity, D), with gaps.
  Attended in(
      random, sizes, Type::F32, Type::F16, {200 * 3 * 72 + 5, 72, 3 * 72, 1});
  check(in, sizes, Type::F32, {1, 77, 200});
}

TEST(Attention, LengthOutsideTheCapacityIsClamped) {
  std::mt19937 random(4);
  const Sizes sizes{1, 4, 2, 48, 64};
  Attended in(random, sizes, Type::F32, Type::F32);
  check(in, sizes, Type::F32, {-1, 49, 1 << 30});
}

TEST(Attention, ManyKeys) {
  std::mt19937 random(5);
  const Sizes sizes{1, 2, 1, 20000, 32};
  Attended in(random, sizes, Type::F32, Type::F32);
  check(in, sizes, Type::F32, {4095, 4096, 4097, 20000});
}

TEST(Attention, LargeScoresDoNotOverflow) {
  std::mt19937 random(6);
  const Sizes sizes{1, 3, 1, 300, 64};
  Attended in(random, sizes, Type::F32, Type::F32);
  float* q = reinterpret_cast<float*>(in.q.bytes.data());
  for (size_t i = 0; i < in.q.values.size(); ++i) {
    // Powers of two: scores stay exact, so that the two softmaxes agree.
    q[i] = in.q.values[i] = std::copysign(i % 8 == 0 ? 4096.f : 0.f, q[i]);
  }
  float* k = reinterpret_cast<float*>(in.k.bytes.data());
  for (size_t i = 0; i < in.k.values.size(); ++i) {
    k[i] = in.k.values[i] = std::round(k[i] * 4) / 4;
  }
  check(in, sizes, Type::F32, {1, 100, 300});
}

TEST(Attention, NaNStaysWithItsHead) {
  std::mt19937 random(7);
  const Sizes sizes{1, 2, 2, 100, 64};
  Attended in(random, sizes, Type::F32, Type::F32);
  reinterpret_cast<float*>(in.k.bytes.data())[70 * 64 + 3] = NAN;
  in.length = 100;
  std::vector<float> y(128);
  const View out = testing::view_of(y, {1, 2, 1, 64});
  testing::on_every_target([&](const char* target) {
    stages::make_attention(
        attention_program(Type::F32, Type::F32, Type::F32, 1))
        ->bind(in.inputs, {&out, 1})
        ->run(0, 1);
    for (int i = 0; i < 64; ++i) {
      EXPECT_TRUE(std::isnan(y[i])) << target;
      EXPECT_TRUE(std::isfinite(y[64 + i])) << target;
    }
  });
}

TEST(Attention, SharesAtOnceGiveTheSameBits) {
  std::mt19937 random(8);
  const Sizes sizes{1, 9, 3, 700, 64};
  Attended in(random, sizes, Type::F32, Type::F32);
  in.length = 700;
  std::vector<float> y(9 * 64);
  const View out = testing::view_of(y, {1, 9, 1, 64});
  const auto launch =
      stages::make_attention(
          attention_program(Type::F32, Type::F32, Type::F32, 0.125))
          ->bind(in.inputs, {&out, 1});
  launch->run(0, 1);
  const std::vector<float> alone = y;
  for (int round = 0; round < 50; ++round) {
    std::fill(y.begin(), y.end(), NAN);
    std::thread other([&] { launch->run(1, 2); });
    launch->run(0, 2);
    other.join();
    ASSERT_EQ(alone, y);
  }
}

TEST(Attention, SaysWhatItCannotRun) {
  EXPECT_EQ(
      stages::attention_unsupported(
          attention_program(Type::F64, Type::F32, Type::F32, 1)),
      "attention in float64");
  lang::Program program = attention_program(Type::F32, Type::F32, Type::F32, 1);
  program.inputs[2] = Type::F16;
  EXPECT_EQ(
      stages::attention_unsupported(program),
      "attention with keys and values of different types");
  program = attention_program(Type::F32, Type::F32, Type::F32, 1);
  program.inputs[3] = Type::I64;
  EXPECT_EQ(stages::attention_unsupported(program), "a length of type int64");
}

} // namespace
} // namespace zmlx::backend
