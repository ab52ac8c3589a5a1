#include "zmlx/io/gguf_decode.h"

#include <cstring>

#include "zmlx/base/errors.h"

namespace zmlx::io {

namespace {

mx::Shape mlx_shape(const GgufTensor& tensor) {
  return mx::Shape(tensor.shape.begin(), tensor.shape.end());
}

template <typename T>
T number_at(const uint8_t* p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}

/// 256 weights: float16 scales of the scales and of the minima, eight 6-bit
/// scales and minima in 12 bytes, and 4-bit weights, of which each 32 bytes
/// hold one group of 32 in their low halves and the next in their high ones.
class Q4KBlock {
 public:
  static constexpr int groups = 8;
  static constexpr int words = 4; // of 8 weights, a group
  static constexpr int bytes = 144;

  explicit Q4KBlock(const uint8_t* p) : p_(p) {}

  float scale(int group) const {
    const auto* s = p_ + 4;
    int bits = group < 4 ? s[group] & 63
                         : (s[group + 4] & 15) | (s[group - 4] >> 6) << 4;
    return static_cast<float>(number_at<mx::float16_t>(p_)) * bits;
  }
  float bias(int group) const {
    const auto* s = p_ + 4;
    int bits = group < 4 ? s[group + 4] & 63
                         : s[group + 4] >> 4 | (s[group] >> 6) << 4;
    return -static_cast<float>(number_at<mx::float16_t>(p_ + 2)) * bits;
  }
  /// Eight weights, the first in the lowest bits, as MLX packs them.
  uint32_t word(int group, int index) const {
    const auto* q = p_ + 16 + group / 2 * 32 + index * 8;
    uint32_t out = 0;
    for (int i = 0; i < 8; i++) {
      out |= uint32_t(q[i] >> (group % 2 * 4) & 15) << (4 * i);
    }
    return out;
  }

 private:
  const uint8_t* p_;
};

void unpack_q4_k(
    const std::string& bytes,
    const GgufTensor& tensor,
    Weights& weights) {
  size_t n_blocks = bytes.size() / Q4KBlock::bytes;
  std::vector<uint32_t> words;
  std::vector<mx::float16_t> scales, biases;
  words.reserve(n_blocks * Q4KBlock::groups * Q4KBlock::words);
  scales.reserve(n_blocks * Q4KBlock::groups);
  biases.reserve(n_blocks * Q4KBlock::groups);
  for (size_t i = 0; i < n_blocks; i++) {
    Q4KBlock block(
        reinterpret_cast<const uint8_t*>(bytes.data()) + i * Q4KBlock::bytes);
    for (int group = 0; group < Q4KBlock::groups; group++) {
      for (int index = 0; index < Q4KBlock::words; index++) {
        words.push_back(block.word(group, index));
      }
      scales.push_back(mx::float16_t(block.scale(group)));
      biases.push_back(mx::float16_t(block.bias(group)));
    }
  }
  auto name = tensor.name.substr(0, tensor.name.rfind('.'));
  auto shape = mlx_shape(tensor);
  shape.back() /= 8;
  weights.insert_or_assign(
      name + ".weight", mx::array(words.data(), shape, mx::uint32));
  shape.back() /= 4;
  weights.insert_or_assign(
      name + ".scales", mx::array(scales.data(), shape, mx::float16));
  weights.insert_or_assign(
      name + ".biases", mx::array(biases.data(), shape, mx::float16));
}

} // namespace

void decode_gguf_tensor(
    FileReader& file,
    const GgufTensor& tensor,
    Weights& weights) {
  file.seek(tensor.offset);
  auto bytes = file.read_string(tensor.nbytes, "a tensor");
  if (tensor.type_name == "BF16") {
    const auto* data = reinterpret_cast<const mx::bfloat16_t*>(bytes.data());
    weights.insert_or_assign(
        tensor.name, mx::array(data, mlx_shape(tensor), mx::bfloat16));
  } else if (tensor.type_name == "Q4_K") {
    unpack_q4_k(bytes, tensor, weights);
  } else {
    throw internal_error("no decoder for GGUF type {}", tensor.type_name);
  }
}

} // namespace zmlx::io
