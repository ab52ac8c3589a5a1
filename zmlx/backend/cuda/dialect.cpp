#include "zmlx/backend/cuda/dialect.h"

#include "zmlx/backend/cuda/functions.h"

namespace zmlx::backend::cuda {
namespace {

using lang::Op;

std::string_view function_name(Op op) {
  switch (op) {
    case Op::Abs:
      return "fabsf";
    case Op::Exp:
      return "expf";
    case Op::Expm1:
      return "expm1f";
    case Op::Log:
      return "logf";
    case Op::Log1p:
      return "log1pf";
    case Op::Sqrt:
      return "sqrtf";
    case Op::Rsqrt:
      return "rsqrtf";
    case Op::Sin:
      return "sinf";
    case Op::Cos:
      return "cosf";
    case Op::Tanh:
      return "tanhf";
    case Op::Erf:
      return "erff";
    case Op::Floor:
      return "floorf";
    case Op::Ceil:
      return "ceilf";
    case Op::Round:
      return "rintf";
    case Op::Pow:
      return "powf";
    default:
      return "";
  }
}

std::string_view function_name_of_halves(Op op) {
  switch (op) {
    case Op::Exp:
      return "exp_of_halves";
    case Op::Erf:
      return "erf_of_halves";
    case Op::Sigmoid:
      return "sigmoid_of_halves";
    default:
      return "";
  }
}

// Names that are declared and not used are left by what the optimiser removes.
constexpr std::string_view kPrelude = R"(
#pragma nv_diag_suppress 177, 550
typedef signed char schar;
typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
struct bfloat16 { ushort bits; };
struct float16 { ushort bits; };
struct FaultCell { int set, number; long index, length; int rows, output; };
#define FUNCTION static __device__ __forceinline__
#define MEMBER __device__ __forceinline__
#define INFINITE __int_as_float(0x7f800000)
)";

} // namespace

const cfamily::Dialect& dialect() {
  static const cfamily::Dialect cuda{
      .stored =
          {"bool",
           "uchar",
           "schar",
           "ushort",
           "short",
           "uint",
           "int",
           "ulong",
           "long",
           "float16",
           "bfloat16",
           "float",
           "double"},
      .value =
          {"bool",
           "",
           "",
           "",
           "",
           "uint",
           "int",
           "ulong",
           "long",
           "",
           "",
           "float",
           "double"},
      .function_name = function_name,
      .function_name_of_halves = function_name_of_halves,
      .kernel = "extern \"C\" __global__ void",
      .threads_attribute = "__launch_bounds__({})",
      .thread = "threadIdx.x",
      .block = "blockIdx.x",
      .shared = "__shared__",
      .barrier = "__syncthreads()",
      .unroll = "#pragma unroll",
      .restrict_input = "__restrict__ ",
      .prelude = kPrelude,
      .functions = functions(),
  };
  return cuda;
}

} // namespace zmlx::backend::cuda
