#include "tests/io/gguf_builder.h"

#include <algorithm>
#include <stdexcept>

namespace zmlx::io::testing {

namespace {

template <typename Items>
auto position(Items& items, const std::string& name) {
  auto it = std::find_if(items.begin(), items.end(), [&](const auto& item) {
    return item.name == name;
  });
  if (it == items.end()) {
    throw std::runtime_error("nothing is called " + name);
  }
  return it;
}

void pad(std::string& bytes, uint64_t alignment) {
  bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
}

/// Any bytes will do as the blocks of a packed matrix, but scales are finite.
std::string blocks(size_t count, size_t scale_bytes, size_t quant_bytes) {
  std::string out;
  for (size_t i = 0; i < count; i++) {
    for (size_t j = 0; j < scale_bytes; j += 2) {
      out += le<uint16_t>(0x2c00 + i % 64);
    }
    for (size_t j = 0; j < quant_bytes; j++) {
      out += static_cast<char>(i * 31 + j * 7);
    }
  }
  return out;
}

} // namespace

std::string gguf_text(std::string_view text) {
  return le<uint64_t>(text.size()).append(text);
}

void GgufBuilder::u32(const std::string& name, uint32_t value) {
  keys.push_back({name, gguf_u32, le(value)});
}

void GgufBuilder::f32(const std::string& name, float value) {
  keys.push_back({name, gguf_f32, le(value)});
}

void GgufBuilder::text(const std::string& name, std::string_view value) {
  keys.push_back({name, gguf_string, gguf_text(value)});
}

GgufBuilder::Key& GgufBuilder::key(const std::string& name) {
  return *position(keys, name);
}

void GgufBuilder::remove_key(const std::string& name) {
  keys.erase(position(keys, name));
}

GgufBuilder::Tensor& GgufBuilder::tensor(const std::string& name) {
  return *position(tensors, name);
}

void GgufBuilder::remove_tensor(const std::string& name) {
  tensors.erase(position(tensors, name));
}

std::string GgufBuilder::header() const {
  std::string out = magic + le(version) +
      le<uint64_t>(n_tensors.value_or(tensors.size())) +
      le<uint64_t>(n_keys.value_or(keys.size()));
  for (const auto& key : keys) {
    out += gguf_text(key.name) + le(key.type) + key.value;
  }
  uint64_t end = 0;
  for (const auto& tensor : tensors) {
    out +=
        gguf_text(tensor.name) + le(static_cast<uint32_t>(tensor.dims.size()));
    for (auto dim : tensor.dims) {
      out += le(dim);
    }
    end = (end + alignment - 1) / alignment * alignment;
    out += le(tensor.type) + le(tensor.offset.value_or(end));
    end += tensor.bytes.size();
  }
  pad(out, alignment);
  return out;
}

std::string GgufBuilder::bytes() const {
  auto out = header();
  for (const auto& tensor : tensors) {
    pad(out, alignment);
    out += tensor.bytes;
  }
  return out;
}

GgufBuilder tiny_llama_gguf() {
  GgufBuilder file;
  file.text("general.architecture", "llama");
  file.u32("llama.embedding_length", 32);
  file.u32("llama.block_count", 1);
  file.u32("llama.attention.head_count", 2);
  file.u32("llama.attention.head_count_kv", 1);
  file.u32("llama.feed_forward_length", 64);
  file.f32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  file.u32("llama.context_length", 128);
  file.f32("llama.rope.freq_base", 10000.0f);
  file.u32("llama.rope.dimension_count", 16);
  file.u32("tokenizer.ggml.eos_token_id", 2);
  auto matrix = [&](const std::string& name, uint64_t rows, uint64_t columns) {
    file.tensors.push_back(
        {name,
         {columns, rows},
         ggml_q4_0,
         blocks(rows * columns / 32, 2, 16),
         {}});
  };
  auto norm = [&](const std::string& name) {
    std::string ones;
    for (int i = 0; i < 32; i++) {
      ones += le(1.0f);
    }
    file.tensors.push_back({name, {32}, ggml_f32, ones, {}});
  };
  file.tensors.push_back(
      {"token_embd.weight", {32, 8}, ggml_q8_0, blocks(8, 2, 32), {}});
  norm("output_norm.weight");
  norm("blk.0.attn_norm.weight");
  norm("blk.0.ffn_norm.weight");
  matrix("blk.0.attn_q.weight", 32, 32);
  matrix("blk.0.attn_k.weight", 16, 32);
  matrix("blk.0.attn_v.weight", 16, 32);
  matrix("blk.0.attn_output.weight", 32, 32);
  matrix("blk.0.ffn_gate.weight", 64, 32);
  matrix("blk.0.ffn_up.weight", 64, 32);
  matrix("blk.0.ffn_down.weight", 32, 64);
  return file;
}

} // namespace zmlx::io::testing
