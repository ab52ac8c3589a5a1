#include "zmlx/backend/cuda/functions.h"

namespace zmlx::backend::cuda {
namespace {

using cfamily::Function;

constexpr Function kFunctions[] = {
    {"Vector", R"(
template <typename T, int N>
struct alignas(sizeof(T) * N > 16 ? 16 : sizeof(T) * N) Vector { T at[N]; };)"},
    {"load",
     R"(
template <int N, typename T>
FUNCTION Vector<T, N> load(const T* from) {
  return *reinterpret_cast<const Vector<T, N>*>(from);
})",
     "Vector"},
    {"load_some",
     R"(
template <int N, typename T>
FUNCTION Vector<T, N> load_some(const T* from, index_t count) {
  if (count >= N) return load<N>(from);
  Vector<T, N> x = {};
  #pragma unroll
  for (int e = 0; e < N; ++e) {
    if (e < count) x.at[e] = from[e];
  }
  return x;
})",
     "load"},
    {"gather",
     R"(
template <int N, typename T>
FUNCTION Vector<T, N> gather(const T* from, index_t step, index_t count) {
  Vector<T, N> x = {};
  #pragma unroll
  for (int e = 0; e < N; ++e) {
    if (e < count) x.at[e] = from[e * step];
  }
  return x;
})",
     "Vector"},
    {"store",
     R"(
template <typename T, int N>
FUNCTION void store(T* to, const Vector<T, N>& x) {
  *reinterpret_cast<Vector<T, N>*>(to) = x;
})",
     "Vector"},
    {"store_some",
     R"(
template <typename T, int N>
FUNCTION void store_some(T* to, const Vector<T, N>& x, index_t count) {
  if (count >= N) return store(to, x);
  #pragma unroll
  for (int e = 0; e < N; ++e) {
    if (e < count) to[e] = x.at[e];
  }
})",
     "store"},
    {"scatter",
     R"(
template <typename T, int N>
FUNCTION void scatter(
    T* to, index_t step, const Vector<T, N>& x, index_t count) {
  #pragma unroll
  for (int e = 0; e < N; ++e) {
    if (e < count) to[e * step] = x.at[e];
  }
})",
     "Vector"},
    {"widen_bfloat16", R"(
FUNCTION float widen_bfloat16(bfloat16 x) {
  return __uint_as_float(uint(x.bits) << 16);
})"},
    {"narrow_bfloat16", R"(
FUNCTION bfloat16 narrow_bfloat16(float x) {
  bfloat16 y;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
  return y;
})"},
    {"pack_bfloat16",
     R"(
template <int N>
FUNCTION Vector<bfloat16, N> pack_bfloat16(const float (&x)[N]) {
  Vector<bfloat16, N> y;
  #pragma unroll
  for (int e = 0; e < N; e += 2) {
    uint two;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(two) : "f"(x[e + 1]), "f"(x[e]));
    y.at[e].bits = ushort(two);
    y.at[e + 1].bits = ushort(two >> 16);
  }
  return y;
})",
     "Vector"},
    {"pack_float16",
     R"(
template <int N>
FUNCTION Vector<float16, N> pack_float16(const float (&x)[N]) {
  Vector<float16, N> y;
  #pragma unroll
  for (int e = 0; e < N; e += 2) {
    uint two;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(two) : "f"(x[e + 1]), "f"(x[e]));
    y.at[e].bits = ushort(two);
    y.at[e + 1].bits = ushort(two >> 16);
  }
  return y;
})",
     "Vector"},
    {"widen_float16", R"(
FUNCTION float widen_float16(float16 x) {
  float y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
  return y;
})"},
    {"narrow_float16", R"(
FUNCTION float16 narrow_float16(float x) {
  float16 y;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
  return y;
})"},
    {"int_of", R"(
FUNCTION int int_of(float x) { return __float2int_rz(x); })"},
    {"uint_of", R"(
FUNCTION uint uint_of(float x) { return __float2uint_rz(x); })"},
    {"long_of", R"(
FUNCTION long long_of(float x) { return x != x ? 0 : __float2ll_rz(x); })"},
    {"ulong_of", R"(
FUNCTION ulong ulong_of(float x) { return x != x ? 0 : __float2ull_rz(x); })"},
    {"schar_of",
     R"(
FUNCTION schar schar_of(float x) {
  return schar(min(max(int_of(x), -128), 127));
})",
     "int_of"},
    {"uchar_of",
     R"(
FUNCTION uchar uchar_of(float x) { return uchar(min(uint_of(x), 255u)); })",
     "uint_of"},
    {"short_of",
     R"(
FUNCTION short short_of(float x) {
  return short(min(max(int_of(x), -32768), 32767));
})",
     "int_of"},
    {"ushort_of",
     R"(
FUNCTION ushort ushort_of(float x) { return ushort(min(uint_of(x), 65535u)); })",
     "uint_of"},
    {"larger", R"(
// NaN where one of them is.
FUNCTION float larger(float x, float y) {
  float z;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(z) : "f"(x), "f"(y));
  return z;
}
template <typename T>
FUNCTION T larger(T x, T y) { return x > y ? x : y; })"},
    {"smaller", R"(
// NaN where one of them is.
FUNCTION float smaller(float x, float y) {
  float z;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(z) : "f"(x), "f"(y));
  return z;
}
template <typename T>
FUNCTION T smaller(T x, T y) { return x < y ? x : y; })"},
    {"erf_of_halves",
     R"(
// A quotient of polynomials up to where erf is 1, within four units in the last
// place, with fewer instructions than erff.
FUNCTION float erf_of_halves(float x) {
  const float size = smaller(fabsf(x), 4.1f);
  const float s = size * size;
  float p = -2.72614225801306e-10f, q = -1.45660718464996e-05f;
  p = fmaf(p, s, 2.77068142495902e-08f);
  p = fmaf(p, s, -2.10102402082508e-06f);
  p = fmaf(p, s, -5.69250639462346e-05f);
  p = fmaf(p, s, -7.34990630326855e-04f);
  p = fmaf(p, s, -2.95459980854025e-03f);
  p = fmaf(p, s, -1.60960333262415e-02f);
  q = fmaf(q, s, -2.13374055278905e-04f);
  q = fmaf(q, s, -1.68282697438203e-03f);
  q = fmaf(q, s, -7.37332916720468e-03f);
  q = fmaf(q, s, -1.42647390514189e-02f);
  float one_by_q;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(one_by_q) : "f"(q));
  return copysignf(smaller(size * p * one_by_q, 1.0f), x);
})",
     "smaller"},
    {"exp_of_halves", R"(
FUNCTION float exp_of_halves(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x * 1.44269504f));
  return y;
})"},
    {"sigmoid_of_halves",
     R"(
FUNCTION float sigmoid_of_halves(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(1.0f + exp_of_halves(-x)));
  return y;
})",
     "exp_of_halves"},
    {"sigmoid", R"(
// The quotient is within two units in the last place, and 0 where the sum is
// infinite.
FUNCTION float sigmoid(float x) { return __fdividef(1.0f, 1.0f + expf(-x)); })"},
    {"quotient", R"(
FUNCTION float quotient(float x, float y) { return __fdiv_rn(x, y); })"},
    {"negative", R"(
template <typename T>
FUNCTION bool negative(T x) { return T(-1) < T(0) && x < T(0); })"},
    {"divide",
     R"(
template <typename T>
FUNCTION T divide(T x, T y) {
  if (y == 0) return 0;
  if (negative(y) && y == T(-1)) return T(ulong(0) - ulong(x));
  return x / y;
})",
     "negative"},
    {"modulo",
     R"(
FUNCTION float modulo(float x, float y) {
  const float r = fmodf(x, y);
  return r != 0.0f && (r < 0.0f) != (y < 0.0f) ? r + y : r;
}
template <typename T>
FUNCTION T modulo(T x, T y) {
  if (y == 0 || (negative(y) && y == T(-1))) return 0;
  const T r = x % y;
  return r != 0 && negative(r) != negative(y) ? r + y : r;
})",
     "negative"},
    {"power",
     R"(
template <typename T>
FUNCTION T power(T x, T y) {
  if (negative(y)) {
    return x == 1 ? T(1) : x == T(-1) ? (y % 2 ? x : T(1)) : T(0);
  }
  ulong result = 1, base = ulong(x);
  for (ulong e = ulong(y); e; e >>= 1) {
    if (e & 1) result *= base;
    base *= base;
  }
  return T(result);
})",
     "negative"},
    {"shift_left", R"(
template <typename T>
FUNCTION T shift_left(T x, T y) {
  return ulong(y) >= 8 * sizeof(T) ? T(0) : T(ulong(x) << ulong(y));
})"},
    {"shift_right",
     R"(
template <typename T>
FUNCTION T shift_right(T x, T y) {
  if (ulong(y) < 8 * sizeof(T)) return T(x >> y);
  return negative(x) ? T(-1) : T(0);
})",
     "negative"},
    {"Sum", R"(
struct Sum {
  MEMBER float operator()(float x, float y) { return x + y; }
  MEMBER int operator()(int x, int y) { return int(uint(x) + uint(y)); }
  MEMBER uint operator()(uint x, uint y) { return x + y; }
  MEMBER long operator()(long x, long y) { return long(ulong(x) + ulong(y)); }
  MEMBER ulong operator()(ulong x, ulong y) { return x + y; }
};)"},
    {"Product", R"(
struct Product {
  MEMBER float operator()(float x, float y) { return x * y; }
  MEMBER int operator()(int x, int y) { return int(uint(x) * uint(y)); }
  MEMBER uint operator()(uint x, uint y) { return x * y; }
  MEMBER long operator()(long x, long y) { return long(ulong(x) * ulong(y)); }
  MEMBER ulong operator()(ulong x, ulong y) { return x * y; }
};)"},
    {"Larger",
     R"(
struct Larger {
  template <typename T>
  MEMBER T operator()(T x, T y) { return larger(x, y); }
};)",
     "larger"},
    {"Smaller",
     R"(
struct Smaller {
  template <typename T>
  MEMBER T operator()(T x, T y) { return smaller(x, y); }
};)",
     "smaller"},
    {"team_reduce", R"(
// Of the TEAM threads that work on one row, in an order of its own for each
// TEAM. Of more than a warp, through memory that no other call may use.
template <int TEAM, typename F, typename T>
FUNCTION T team_reduce(T x, T* memory) {
  constexpr int lanes = TEAM < 32 ? TEAM : 32;
  #pragma unroll
  for (int step = lanes / 2; step > 0; step /= 2) {
    x = F()(x, __shfl_xor_sync(0xFFFFFFFFu, x, step));
  }
  if constexpr (TEAM > 32) {
    constexpr int warps = TEAM / 32;
    if (threadIdx.x % 32 == 0) memory[threadIdx.x / 32] = x;
    __syncthreads();
    x = memory[threadIdx.x % warps];
    #pragma unroll
    for (int step = warps / 2; step > 0; step /= 2) {
      x = F()(x, __shfl_xor_sync(0xFFFFFFFFu, x, step));
    }
  }
  return x;
})"},
    {"team_sum", R"(
// As team_reduce, but what each addition rounds away is added at the end.
FUNCTION void add_exactly(float& x, float& rest, float y, float rest_of_y) {
  const float sum = x + y;
  const float of_y = sum - x;
  const float lost = (x - (sum - of_y)) + (y - of_y);
  x = sum;
  rest = rest + rest_of_y + lost; // the same in both of two threads
}
template <int TEAM>
FUNCTION float team_sum(float x, float* memory) {
  constexpr int lanes = TEAM < 32 ? TEAM : 32;
  float rest = 0.0f;
  #pragma unroll
  for (int step = lanes / 2; step > 0; step /= 2) {
    const float y = __shfl_xor_sync(0xFFFFFFFFu, x, step);
    add_exactly(x, rest, y, __shfl_xor_sync(0xFFFFFFFFu, rest, step));
  }
  if constexpr (TEAM > 32) {
    constexpr int warps = TEAM / 32;
    if (threadIdx.x % 32 == 0) {
      memory[threadIdx.x / 32] = x;
      memory[warps + threadIdx.x / 32] = rest;
    }
    __syncthreads();
    x = memory[threadIdx.x % warps];
    rest = memory[warps + threadIdx.x % warps];
    #pragma unroll
    for (int step = warps / 2; step > 0; step /= 2) {
      const float y = __shfl_xor_sync(0xFFFFFFFFu, x, step);
      add_exactly(x, rest, y, __shfl_xor_sync(0xFFFFFFFFu, rest, step));
    }
  }
  return x - x == 0.0f ? x + rest : x; // infinities lose no part
})"},
    {"team_scan",
     R"(
// The sum of the threads of the team before this one, and of all of them.
template <int TEAM, typename T>
FUNCTION T team_scan(T x, T& total, T* memory) {
  const int lane = int(threadIdx.x) % 32;
  T sum = x;
  #pragma unroll
  for (int step = 1; step < 32; step *= 2) {
    const T below = __shfl_up_sync(0xFFFFFFFFu, sum, step);
    if (lane >= step) sum = Sum()(below, sum);
  }
  T before = __shfl_up_sync(0xFFFFFFFFu, sum, 1);
  if (lane == 0) before = T(0);
  if constexpr (TEAM > 32) {
    constexpr int warps = TEAM / 32;
    if (lane == 31) memory[threadIdx.x / 32] = sum;
    __syncthreads();
    T warps_before = T(0);
    total = T(0);
    #pragma unroll
    for (int warp = 0; warp < warps; ++warp) {
      if (warp == int(threadIdx.x) / 32) warps_before = total;
      total = Sum()(total, memory[warp]);
    }
    before = Sum()(warps_before, before);
    __syncthreads();
  } else {
    total = __shfl_sync(0xFFFFFFFFu, sum, 31);
  }
  return before;
})",
     "Sum"},
    {"named_rows", R"(
FUNCTION uint named_rows(
    const long* names, index_t base, index_t rows, index_t group) {
  const index_t row = base + index_t(threadIdx.x) % 32;
  return __ballot_sync(0xFFFFFFFFu, row < rows && names[row] == group);
})"},
    {"first_bit", R"(
FUNCTION int first_bit(uint bits) { return __ffs(int(bits)) - 1; })"},
    {"sortable", R"(
// As the values are ordered, NaN above all numbers.
FUNCTION uint sortable(float x) {
  if (x != x) return ~0u;
  const uint bits = __float_as_uint(x == 0.0f ? 0.0f : x);
  return bits >> 31 ? ~bits : bits | 1u << 31;
}
FUNCTION uint sortable(int x) { return uint(x) ^ 1u << 31; }
FUNCTION uint sortable(uint x) { return x; })"},
    {"random_word", R"(
// Word `word` of block `block` of Philox4x32-10 with this key.
FUNCTION uint random_word(ulong key, ulong block, int word) {
  uint c0 = uint(block), c1 = uint(block >> 32), c2 = 0, c3 = 0;
  uint k0 = uint(key), k1 = uint(key >> 32);
  #pragma unroll
  for (int round = 0; round < 10; ++round) {
    const uint high0 = __umulhi(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
    const uint high1 = __umulhi(0xCD9E8D57u, c2), low1 = 0xCD9E8D57u * c2;
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return word == 0 ? c0 : word == 1 ? c1 : word == 2 ? c2 : c3;
})"},
    {"record_fault", R"(
FUNCTION void record_fault(
    FaultCell* fault, long index, index_t length, bool rows, bool output,
    int number) {
  if (atomicExch(&fault->set, 1) == 0) {
    fault->number = number;
    fault->index = index;
    fault->length = length;
    fault->rows = rows;
    fault->output = output;
  }
})"},
};

} // namespace

std::span<const Function> functions() {
  return kFunctions;
}

} // namespace zmlx::backend::cuda
