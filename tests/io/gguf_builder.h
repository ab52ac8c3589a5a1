#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace zmlx::io::testing {

/// Numbers of the GGUF format.
enum GgufValueType : uint32_t {
  gguf_u8 = 0,
  gguf_u32 = 4,
  gguf_f32 = 6,
  gguf_bool = 7,
  gguf_string = 8,
  gguf_array = 9,
  gguf_u64 = 10,
  gguf_f64 = 12,
};
enum GgmlType : uint32_t {
  ggml_f32 = 0,
  ggml_f16 = 1,
  ggml_q4_0 = 2,
  ggml_q4_1 = 3,
  ggml_q5_0 = 6,
  ggml_q8_0 = 8,
  ggml_q2_k = 10,
  ggml_q4_k = 12,
  ggml_q6_k = 14,
  ggml_bf16 = 30,
};

/// The bytes of a number, as the file has them.
template <typename T>
std::string le(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof(T)};
}
/// A string with its length before it.
std::string gguf_text(std::string_view text);

/// Writes GGUF files, right ones and, through its fields, wrong ones.
struct GgufBuilder {
  struct Key {
    std::string name;
    uint32_t type;
    std::string value; // encoded
  };
  struct Tensor {
    std::string name;
    std::vector<uint64_t> dims; // innermost first
    uint32_t type;
    std::string bytes;
    std::optional<uint64_t> offset; // instead of the next aligned one
  };

  std::string magic = "GGUF";
  uint32_t version = 3;
  std::optional<uint64_t> n_tensors, n_keys; // instead of the true counts
  uint64_t alignment = 32; // that the layout follows
  std::vector<Key> keys;
  std::vector<Tensor> tensors;

  void u32(const std::string& name, uint32_t value);
  void f32(const std::string& name, float value);
  void text(const std::string& name, std::string_view value);
  /// The key of that name, to change it.
  Key& key(const std::string& name);
  void remove_key(const std::string& name);
  Tensor& tensor(const std::string& name);
  void remove_tensor(const std::string& name);

  /// What stands before the data, padding included.
  std::string header() const;
  std::string bytes() const;
};

/// A llama with one layer: hidden 32, 2 heads, 1 kv head, ffn 64, vocabulary 8,
/// tied; matrices Q4_0, the embedding Q8_0, norms F32.
GgufBuilder tiny_llama_gguf();

} // namespace zmlx::io::testing
