#include "zmlx/io/gguf_types.h"

#include <iterator>

namespace zmlx::io {

namespace {

constexpr auto mlx = GgufReader::mlx, own = GgufReader::own;

// By ggml's number. Block sizes only where they are used. Not by MLX: Q4_K,
// whose odd sub-blocks it scales by the even ones' scales, and BF16, which it
// narrows to float16.
constexpr GgufType types[] = {
    {"F32", 1, 4, mlx},
    {"F16", 1, 2, mlx},
    {"Q4_0", 32, 18, mlx, 4},
    {"Q4_1", 32, 20, mlx, 4},
    {"Q4_2", 0, 0},
    {"Q4_3", 0, 0},
    {"Q5_0", 0, 0},
    {"Q5_1", 0, 0},
    {"Q8_0", 32, 34, mlx, 8},
    {"Q8_1", 0, 0},
    {"Q2_K", 256, 84, mlx},
    {"Q3_K", 0, 0},
    {"Q4_K", 256, 144, own, 4},
    {"Q5_K", 0, 0},
    {"Q6_K", 256, 210, mlx},
    {"Q8_K", 0, 0},
    {"IQ2_XXS", 0, 0},
    {"IQ2_XS", 0, 0},
    {"IQ3_XXS", 0, 0},
    {"IQ1_S", 0, 0},
    {"IQ4_NL", 0, 0},
    {"IQ3_S", 0, 0},
    {"IQ2_S", 0, 0},
    {"IQ4_XS", 0, 0},
    {"I8", 1, 1, mlx},
    {"I16", 1, 2, mlx},
    {"I32", 1, 4, mlx},
    {"I64", 0, 0},
    {"F64", 0, 0},
    {"IQ1_M", 0, 0},
    {"BF16", 1, 2, own},
};

} // namespace

const GgufType* find_gguf_type(uint32_t type) {
  return type < std::size(types) ? &types[type] : nullptr;
}

std::string supported_gguf_types() {
  std::string out;
  for (const auto& type : types) {
    if (type.reader != GgufReader::none) {
      out += (out.empty() ? "" : ", ") + std::string(type.name);
    }
  }
  return out;
}

} // namespace zmlx::io
