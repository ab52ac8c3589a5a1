#pragma once

#include <cstdint>
#include <string>

namespace zmlx::io {

enum class GgufReader {
  none, // not supported
  mlx, // mx::load_gguf
  own, // zmlx/io/gguf_decode.h
};

/// One of ggml's tensor types.
struct GgufType {
  const char* name;
  uint32_t block; // elements that are packed together
  uint32_t block_bytes;
  GgufReader reader = GgufReader::none;
  uint32_t packed_bits = 0; // stays packed with so many bits, group 32, affine
};

/// Null for numbers that ggml does not know.
const GgufType* find_gguf_type(uint32_t type);

/// "F32, F16, Q4_0": the types that can be loaded.
std::string supported_gguf_types();

} // namespace zmlx::io
