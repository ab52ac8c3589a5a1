#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "zmlx/base/errors.h"
#include "zmlx/export.h"

/// GGUF files (versions 2 and 3, little-endian), as
/// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md describes them.
/// Only the header is read here: nothing in it is believed before it was
/// checked against the file's size.
namespace zmlx::io {

/// A metadata value. Integers of every width become int64_t, floats of both
/// widths become double, and so do the elements of arrays. Arrays of arrays and
/// unsigned values above 2^63 - 1 are refused.
using GgufValue = std::variant<
    bool,
    int64_t,
    double,
    std::string,
    std::vector<bool>,
    std::vector<int64_t>,
    std::vector<double>,
    std::vector<std::string>>;

using GgufMetadata = std::map<std::string, GgufValue, std::less<>>;

/// What a GgufValue holds, for messages: "an integer", "an array of strings".
ZMLX_API const char* gguf_kind(const GgufValue& value);

/// The value of `key` as a T (one of GgufValue's types); null when the key is
/// missing, UserError when it holds something else.
template <typename T>
const T* find_gguf(const GgufMetadata& metadata, std::string_view key) {
  auto it = metadata.find(key);
  if (it == metadata.end()) {
    return nullptr;
  }
  if (auto* value = std::get_if<T>(&it->second)) {
    return value;
  }
  throw user_error(
      "GGUF metadata {}: expected {}, got {}",
      key,
      gguf_kind(GgufValue(T{})),
      gguf_kind(it->second));
}

/// One tensor of a GGUF file.
struct GgufTensor {
  std::string name;
  std::vector<int64_t> shape; // outermost first, as MLX has it
  uint32_t type; // ggml's type number
  std::string type_name; // "Q4_1"
  uint64_t offset; // bytes from the start of the file
  uint64_t nbytes;
};

/// All that stands before the data of a GGUF file.
struct GgufHeader {
  uint32_t version = 0;
  uint64_t alignment = 32; // of tensor offsets, in bytes
  uint64_t data_offset = 0; // bytes from the start of the file
  GgufMetadata metadata;
  std::vector<GgufTensor> tensors; // in the order of the file
  bool has_float64 = false; // a value that MLX's reader steps over wrongly
};

/// Reads and checks the header: magic, version, counts and lengths against the
/// size of the file, value types, duplicate keys and names, dimensions,
/// supported tensor types, alignment, and that tensors lie inside
/// the file without overlap. UserError names the file, the key or tensor, what
/// was found and what was expected. A header that passes is safe for
/// mx::load_gguf.
ZMLX_API GgufHeader read_gguf_header(const std::filesystem::path& path);

/// Whether a path is that of a GGUF file: by its ending, or by its first bytes,
/// as model caches keep files under other names.
ZMLX_API bool is_gguf(const std::filesystem::path& path);

} // namespace zmlx::io
