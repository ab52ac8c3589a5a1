#include "zmlx/lang/lower.h"

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"
#include "zmlx/lang/functions.h"

namespace zmlx::lang {
namespace {

using Definition = std::function<void(Define&)>;

Body body_of(const Definition& definition) {
  Attributes none;
  Define define(none);
  definition(define);
  return define.body();
}

std::string lowered(const Definition& d, const std::vector<Type>& types) {
  std::string why;
  auto program = lower(body_of(d), types, &why);
  return program ? to_text(*program) : "no: " + why;
}

TEST(Lower, SiluGate) {
  auto text = lowered(
      [](Define& k) {
        auto g = k.input("g"), u = k.input("u");
        k.output(silu(g) * u);
      },
      {Type::F16, Type::F16});
  EXPECT_EQ(text, R"(stage map
input 0 : float16
input 1 : float16
pass 0
  r0 = input 0 : float32
  r1 = sigmoid r0 : float32
  r2 = * r0 r1 : float32
  r3 = input 1 : float32
  r4 = * r2 r3 : float32
  output 0 = r4 : float16
)");
}

TEST(Lower, RmsNorm) {
  auto text = lowered(
      [](Define& k) {
        auto x = k.input("x"), w = k.input("w"), eps = k.scalar("eps");
        k.output(rms_norm(x, w, eps));
      },
      {Type::BF16, Type::F32, Type::F32});
  EXPECT_EQ(text, R"(stage row
input 0 : bfloat16
input 1 : float32
input 2 : float32
pass 0
  r0 = input 0 : float32
  r1 = * r0 r0 : float32
  slot 0 = sum r1
pass 1
  r0 = input 0 : float32
  r1 = slot 0 : float32 uniform
  r2 = width : int32 uniform
  r3 = cast r2 : float32 from int32 uniform
  r4 = / r1 r3 : float32 uniform
  r5 = input 2 : float32 uniform
  r6 = + r4 r5 : float32 uniform
  r7 = rsqrt r6 : float32 uniform
  r8 = * r0 r7 : float32
  r9 = input 1 : float32
  r10 = * r8 r9 : float32
  output 0 = r10 : float32
)");
}

TEST(Lower, Softmax) {
  auto text =
      lowered([](Define& k) { k.output(softmax(k.input("x"))); }, {Type::F32});
  EXPECT_EQ(text, R"(stage row
input 0 : float32
pass 0
  r0 = input 0 : float32
  slot 0 = max_of r0
pass 1
  r0 = input 0 : float32
  r1 = slot 0 : float32 uniform
  r2 = - r0 r1 : float32
  r3 = exp r2 : float32
  slot 1 = sum r3
pass 2
  r0 = input 0 : float32
  r1 = slot 0 : float32 uniform
  r2 = - r0 r1 : float32
  r3 = exp r2 : float32
  r4 = slot 1 : float32 uniform
  r5 = 1 : float32 uniform
  r6 = / r5 r4 : float32 uniform
  r7 = * r3 r6 : float32
  output 0 = r7 : float32
)");
}

TEST(Lower, NormIntoGatedProducts) {
  auto text = lowered(
      [](Define& k) {
        auto x = k.input("x"), w = k.input("w"), eps = k.scalar("eps");
        auto gate = k.weight("gate", 4, 32), up = k.weight("up", 4, 32);
        auto row = rms_norm(x, w, eps);
        k.output(silu(product(row, gate)) * product(row, up));
      },
      {Type::F32,
       Type::F32,
       Type::F32,
       Type::U32,
       Type::F16,
       Type::F16,
       Type::U32,
       Type::F16,
       Type::F16});
  EXPECT_EQ(text, R"(stage product
input 0 : float32
input 1 : float32
input 2 : float32
input 3 : uint32
input 4 : float16
input 5 : float16
input 6 : uint32
input 7 : float16
input 8 : float16
pass 0
  r0 = input 0 : float32
  r1 = * r0 r0 : float32
  slot 0 = sum r1
pass 1
  r0 = input 0 : float32
  r1 = slot 0 : float32 uniform
  r2 = width : int32 uniform
  r3 = cast r2 : float32 from int32 uniform
  r4 = / r1 r3 : float32 uniform
  r5 = input 2 : float32 uniform
  r6 = + r4 r5 : float32 uniform
  r7 = rsqrt r6 : float32 uniform
  r8 = * r0 r7 : float32
  r9 = input 1 : float32
  r10 = * r8 r9 : float32
  multiply r10
weight 0 affine 4 bits, groups of 32, inputs 3 4 5
weight 1 affine 4 bits, groups of 32, inputs 6 7 8
store
  r0 = slot 0 : float32
  r1 = sigmoid r0 : float32
  r2 = * r0 r1 : float32
  r3 = slot 1 : float32
  r4 = * r2 r3 : float32
  output 0 = r4 : float32
)");
}

} // namespace
} // namespace zmlx::lang
