#include "zmlx/io/gguf.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <type_traits>

#include "zmlx/io/file_reader.h"
#include "zmlx/io/gguf_types.h"
#include "zmlx/io/quote.h"

namespace zmlx::io {

namespace {

enum ValueType : uint32_t {
  uint8_type = 0,
  int8_type,
  uint16_type,
  int16_type,
  uint32_type,
  int32_type,
  float32_type,
  bool_type,
  string_type,
  array_type,
  uint64_type,
  int64_type,
  float64_type,
};

constexpr const char* alignment_key = "general.alignment";
// The format allows keys of 65535 bytes and, in ggml, names of 63.
constexpr uint64_t max_key_length = 65535;
constexpr uint64_t max_tensor_name = 1024;
constexpr uint32_t max_dims = 4;
// Far above any vocabulary, and bounds the memory that metadata can take.
constexpr uint64_t max_array_length = uint64_t{1} << 24;
constexpr uint64_t max_alignment = uint64_t{1} << 20;
// The least that an entry takes: lengths, one letter, type, one byte.
constexpr uint64_t min_key_entry = 8 + 1 + 4 + 1;
constexpr uint64_t min_tensor_entry = 8 + 1 + 4 + 8 + 4 + 8;

template <typename T>
auto widened(T value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value;
  } else if constexpr (std::is_floating_point_v<T>) {
    return static_cast<double>(value);
  } else {
    return static_cast<int64_t>(value);
  }
}

class Parser {
 public:
  explicit Parser(const std::filesystem::path& path) : file_(path) {}

  GgufHeader parse() {
    read_magic();
    auto n_tensors = read_count("tensors", min_tensor_entry);
    auto n_keys = read_count("metadata keys", min_key_entry);
    for (uint64_t i = 0; i < n_keys; i++) {
      read_key();
    }
    read_alignment();
    std::set<std::string> names;
    for (uint64_t i = 0; i < n_tensors; i++) {
      auto tensor = read_tensor();
      if (!names.insert(tensor.name).second) {
        throw user_error(
            "{}: duplicate tensor {}", file_.name(), quote(tensor.name));
      }
      header_.tensors.push_back(std::move(tensor));
    }
    place_tensors();
    check_packed_names(names);
    return std::move(header_);
  }

 private:
  UserError
  error_at(const char* what, const std::string& name, const std::string& why) {
    return user_error("{}: {} {}: {}", file_.name(), what, quote(name), why);
  }

  void read_magic() {
    char magic[4];
    file_.read(magic, 4, "the magic 'GGUF'");
    if (std::string_view(magic, 4) != "GGUF") {
      throw user_error(
          "{}: not a GGUF file: starts with {}, expected 'GGUF'",
          file_.name(),
          quote({magic, 4}));
    }
    header_.version = file_.read<uint32_t>("the version");
    if (header_.version != 2 && header_.version != 3) {
      bool swapped = header_.version != 0 && (header_.version & 0xffff) == 0;
      throw user_error(
          "{}: GGUF version {}{}, expected 2 or 3",
          file_.name(),
          header_.version,
          swapped ? " (a big-endian file)" : "");
    }
  }

  uint64_t read_count(const char* what, uint64_t min_bytes) {
    auto count = file_.read<uint64_t>("the counts of tensors and keys");
    if (count > file_.remaining() / min_bytes) {
      throw user_error(
          "{}: {} {} do not fit in a file of {} bytes",
          file_.name(),
          count,
          what,
          file_.size());
    }
    return count;
  }

  std::string read_name(const char* what, uint64_t max_length) {
    auto length = file_.read<uint64_t>(what);
    if (length == 0 || length > max_length) {
      throw user_error(
          "{}: {} at byte {} has length {}, expected 1 to {}",
          file_.name(),
          what,
          file_.position(),
          length,
          max_length);
    }
    return file_.read_string(length, what);
  }

  void read_key() {
    auto key = read_name("a metadata key", max_key_length);
    auto type = file_.read<uint32_t>("the type of a metadata value");
    if (key == alignment_key && type != uint32_type) {
      throw error_at("key", key, "expected a 32-bit unsigned integer");
    }
    auto value = type == array_type ? read_array(key) : read_value(key, type);
    if (!header_.metadata.emplace(key, std::move(value)).second) {
      throw user_error("{}: duplicate key {}", file_.name(), quote(key));
    }
  }

  template <typename T>
  T read_number() {
    return file_.read<T>("a metadata value");
  }

  bool read_bool(const std::string& key) {
    auto byte = read_number<uint8_t>();
    if (byte > 1) {
      throw error_at(
          "key", key, fmt::format("bool is {}, expected 0 or 1", byte));
    }
    return byte == 1;
  }

  int64_t read_unsigned(const std::string& key) {
    auto value = read_number<uint64_t>();
    if (value > INT64_MAX) {
      throw error_at(
          "key",
          key,
          fmt::format(
              "{} is too large, expected at most {}", value, INT64_MAX));
    }
    return static_cast<int64_t>(value);
  }

  std::string read_text() {
    auto length = file_.read<uint64_t>("the length of a string");
    return file_.read_string(length, "a string");
  }

  GgufValue read_value(const std::string& key, uint32_t type) {
    switch (type) {
      case uint8_type:
        return widened(read_number<uint8_t>());
      case int8_type:
        return widened(read_number<int8_t>());
      case uint16_type:
        return widened(read_number<uint16_t>());
      case int16_type:
        return widened(read_number<int16_t>());
      case uint32_type:
        return widened(read_number<uint32_t>());
      case int32_type:
        return widened(read_number<int32_t>());
      case uint64_type:
        return read_unsigned(key);
      case int64_type:
        return read_number<int64_t>();
      case float32_type:
        return widened(read_number<float>());
      case float64_type:
        header_.has_float64 = true;
        return read_number<double>();
      case bool_type:
        return read_bool(key);
      case string_type:
        return read_text();
      default:
        throw error_at("key", key, fmt::format("unknown value type {}", type));
    }
  }

  /// The elements, one call of `read` each.
  template <typename Read>
  auto read_elements(uint64_t length, Read read) {
    std::vector<std::decay_t<decltype(read())>> out;
    out.reserve(length);
    for (uint64_t i = 0; i < length; i++) {
      out.push_back(read());
    }
    return out;
  }

  template <typename T>
  GgufValue read_numbers(uint64_t length) {
    return read_elements(length, [&] { return widened(read_number<T>()); });
  }

  GgufValue read_array(const std::string& key) {
    auto type = file_.read<uint32_t>("the element type of an array");
    auto length = file_.read<uint64_t>("the length of an array");
    if (type == array_type) {
      throw error_at("key", key, "arrays of arrays are not supported");
    }
    auto element = element_bytes(key, type);
    if (length > max_array_length || length > file_.remaining() / element) {
      throw error_at(
          "key",
          key,
          fmt::format(
              "an array of {} elements does not fit in the {} bytes left",
              length,
              file_.remaining()));
    }
    switch (type) {
      case uint8_type:
        return read_numbers<uint8_t>(length);
      case int8_type:
        return read_numbers<int8_t>(length);
      case uint16_type:
        return read_numbers<uint16_t>(length);
      case int16_type:
        return read_numbers<int16_t>(length);
      case uint32_type:
        return read_numbers<uint32_t>(length);
      case int32_type:
        return read_numbers<int32_t>(length);
      case float32_type:
        return read_numbers<float>(length);
      case int64_type:
        return read_numbers<int64_t>(length);
      case uint64_type:
        return read_elements(length, [&] { return read_unsigned(key); });
      case float64_type:
        header_.has_float64 = true;
        return read_numbers<double>(length);
      case bool_type:
        return read_elements(length, [&] { return read_bool(key); });
      default:
        return read_elements(length, [&] { return read_text(); });
    }
  }

  /// The least that one element takes.
  uint64_t element_bytes(const std::string& key, uint32_t type) {
    constexpr uint8_t bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 0, 8, 8, 8};
    if (type >= std::size(bytes)) {
      throw error_at("key", key, fmt::format("unknown element type {}", type));
    }
    return bytes[type];
  }

  void read_alignment() {
    if (auto* value = find_gguf<int64_t>(header_.metadata, alignment_key)) {
      header_.alignment = static_cast<uint64_t>(*value);
    }
    auto alignment = header_.alignment;
    if (alignment < 8 || alignment > max_alignment ||
        (alignment & (alignment - 1)) != 0) {
      throw user_error(
          "{}: {} is {}, expected a power of two from 8 to {}",
          file_.name(),
          alignment_key,
          alignment,
          max_alignment);
    }
  }

  GgufTensor read_tensor() {
    GgufTensor tensor;
    tensor.name = read_name("a tensor name", max_tensor_name);
    auto n_dims = file_.read<uint32_t>("the dimensions of a tensor");
    if (n_dims < 1 || n_dims > max_dims) {
      throw error_at(
          "tensor",
          tensor.name,
          fmt::format("{} dimensions, expected 1 to {}", n_dims, max_dims));
    }
    for (uint32_t i = 0; i < n_dims; i++) {
      auto dim = file_.read<uint64_t>("the dimensions of a tensor");
      if (dim < 1 || dim > INT32_MAX) {
        throw error_at(
            "tensor",
            tensor.name,
            fmt::format("dimension {}, expected 1 to {}", dim, INT32_MAX));
      }
      // The file has the innermost dimension first.
      tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(dim));
    }
    tensor.type = file_.read<uint32_t>("the type of a tensor");
    tensor.offset = file_.read<uint64_t>("the offset of a tensor");
    set_size(tensor);
    return tensor;
  }

  void set_size(GgufTensor& tensor) {
    const auto& type = supported_type(tensor);
    tensor.type_name = type.name;
    uint64_t elements = 1;
    for (auto dim : tensor.shape) {
      if (__builtin_mul_overflow(elements, dim, &elements)) {
        throw error_at(
            "tensor", tensor.name, "the product of its dimensions overflows");
      }
    }
    if (tensor.shape.back() % type.block != 0) {
      throw error_at(
          "tensor",
          tensor.name,
          fmt::format(
              "rows of {} do not divide into {}'s blocks of {}",
              tensor.shape.back(),
              type.name,
              type.block));
    }
    if (elements / type.block > file_.size() / type.block_bytes) {
      throw error_at(
          "tensor",
          tensor.name,
          fmt::format(
              "{} elements do not fit in a file of {} bytes",
              elements,
              file_.size()));
    }
    // The words of packed weights are counted in 32 bits.
    if (type.packed_bits && elements / 32 * type.packed_bits > INT32_MAX) {
      throw error_at("tensor", tensor.name, "too large for a packed tensor");
    }
    tensor.nbytes = elements / type.block * type.block_bytes;
  }

  const GgufType& supported_type(const GgufTensor& tensor) {
    auto* type = find_gguf_type(tensor.type);
    if (!type || type->reader == GgufReader::none) {
      throw error_at(
          "tensor",
          tensor.name,
          fmt::format(
              "type {} is not supported, expected one of {}",
              type ? type->name : std::to_string(tensor.type),
              supported_gguf_types()));
    }
    return *type;
  }

  void place_tensors() {
    auto start = file_.position();
    auto alignment = header_.alignment;
    header_.data_offset = (start + alignment - 1) / alignment * alignment;
    std::vector<const GgufTensor*> by_offset;
    for (auto& tensor : header_.tensors) {
      if (tensor.offset % alignment != 0) {
        throw error_at(
            "tensor",
            tensor.name,
            fmt::format(
                "offset {} is not a multiple of the alignment {}",
                tensor.offset,
                alignment));
      }
      auto available =
          file_.size() - std::min(file_.size(), header_.data_offset);
      if (tensor.offset > available ||
          tensor.nbytes > available - tensor.offset) {
        throw error_at(
            "tensor",
            tensor.name,
            fmt::format(
                "{} bytes at offset {} pass the end of the file's {} bytes "
                "of data (truncated?)",
                tensor.nbytes,
                tensor.offset,
                available));
      }
      tensor.offset += header_.data_offset;
      by_offset.push_back(&tensor);
    }
    std::sort(by_offset.begin(), by_offset.end(), [](auto* a, auto* b) {
      return a->offset < b->offset;
    });
    for (size_t i = 1; i < by_offset.size(); i++) {
      auto *before = by_offset[i - 1], *tensor = by_offset[i];
      if (before->offset + before->nbytes > tensor->offset) {
        throw error_at(
            "tensor",
            tensor->name,
            "its data overlap with those of " + quote(before->name));
      }
    }
  }

  /// MLX splits x.weight into x.weight, x.scales and x.biases.
  void check_packed_names(const std::set<std::string>& names) {
    for (const auto& tensor : header_.tensors) {
      if (!find_gguf_type(tensor.type)->packed_bits) {
        continue;
      }
      constexpr std::string_view suffix = ".weight";
      if (!tensor.name.ends_with(suffix)) {
        throw error_at(
            "tensor",
            tensor.name,
            "a packed tensor's name must end in '.weight'");
      }
      auto layer = tensor.name.substr(0, tensor.name.size() - suffix.size());
      for (const char* part : {".scales", ".biases"}) {
        if (names.count(layer + part)) {
          throw error_at(
              "tensor",
              layer + part,
              "the name is taken by the parts of " + quote(tensor.name));
        }
      }
    }
  }

  FileReader file_;
  GgufHeader header_;
};

} // namespace

const char* gguf_kind(const GgufValue& value) {
  constexpr const char* kinds[] = {
      "a bool",
      "an integer",
      "a number",
      "a string",
      "an array of bools",
      "an array of integers",
      "an array of numbers",
      "an array of strings"};
  static_assert(std::size(kinds) == std::variant_size_v<GgufValue>);
  return kinds[value.index()];
}

GgufHeader read_gguf_header(const std::filesystem::path& path) {
  return Parser(path).parse();
}

bool is_gguf(const std::filesystem::path& path) {
  std::error_code error;
  if (path.extension() == ".gguf" ||
      !std::filesystem::is_regular_file(path, error)) {
    return path.extension() == ".gguf";
  }
  std::ifstream file(path, std::ios::binary);
  char magic[4] = {};
  file.read(magic, sizeof(magic));
  return std::string_view(magic, sizeof(magic)) == "GGUF";
}

} // namespace zmlx::io
