#pragma once

#include <cstdint>
#include <string>

namespace zmlx::io {

/// One of ggml's tensor types.
struct GgufType {
  const char* name;
  uint32_t block; // elements that are packed together
  uint32_t block_bytes;
  bool supported = false; // MLX decodes it
  uint32_t packed_bits = 0; // stays packed in MLX with so many bits, group 32
};

/// Null for numbers that ggml does not know.
const GgufType* find_gguf_type(uint32_t type);

/// "F32, F16, Q4_0": the types that can be loaded.
std::string supported_gguf_types();

} // namespace zmlx::io
