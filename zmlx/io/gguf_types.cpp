#include "zmlx/io/gguf_types.h"

#include <iterator>

namespace zmlx::io {

namespace {

// By ggml's number. Block sizes only where they are used.
constexpr GgufType types[] = {
    {"F32", 1, 4, true},
    {"F16", 1, 2, true},
    {"Q4_0", 32, 18, true, 4},
    {"Q4_1", 32, 20, true, 4},
    {"Q4_2", 0, 0},
    {"Q4_3", 0, 0},
    {"Q5_0", 0, 0},
    {"Q5_1", 0, 0},
    {"Q8_0", 32, 34, true, 8},
    {"Q8_1", 0, 0},
    {"Q2_K", 256, 84, true},
    {"Q3_K", 0, 0},
    {"Q4_K", 256, 144, true},
    {"Q5_K", 0, 0},
    {"Q6_K", 256, 210, true},
    {"Q8_K", 0, 0},
    {"IQ2_XXS", 0, 0},
    {"IQ2_XS", 0, 0},
    {"IQ3_XXS", 0, 0},
    {"IQ1_S", 0, 0},
    {"IQ4_NL", 0, 0},
    {"IQ3_S", 0, 0},
    {"IQ2_S", 0, 0},
    {"IQ4_XS", 0, 0},
    {"I8", 1, 1, true},
    {"I16", 1, 2, true},
    {"I32", 1, 4, true},
    {"I64", 0, 0},
    {"F64", 0, 0},
    {"IQ1_M", 0, 0},
    {"BF16", 1, 2, true},
};

} // namespace

const GgufType* find_gguf_type(uint32_t type) {
  return type < std::size(types) ? &types[type] : nullptr;
}

std::string supported_gguf_types() {
  std::string out;
  for (const auto& type : types) {
    if (type.supported) {
      out += (out.empty() ? "" : ", ") + std::string(type.name);
    }
  }
  return out;
}

} // namespace zmlx::io
