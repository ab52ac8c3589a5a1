#include "zmlx/io/safetensors.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "zmlx/base/errors.h"
#include "zmlx/io/config.h"
#include "zmlx/io/file_reader.h"
#include "zmlx/io/quote.h"

namespace zmlx::io {

namespace {

using nlohmann::json;

// The limit of the reference implementation, and of MLX.
constexpr uint64_t max_header = 100'000'000;
constexpr size_t max_dims = 8;

struct Dtype {
  std::string_view name;
  uint64_t size;
};

// Those that MLX loads.
constexpr std::array<Dtype, 15> dtypes{{
    {"BOOL", 1},
    {"U8", 1},
    {"I8", 1},
    {"F8_E4M3", 1},
    {"F8_E8M0", 1},
    {"U16", 2},
    {"I16", 2},
    {"F16", 2},
    {"BF16", 2},
    {"U32", 4},
    {"I32", 4},
    {"F32", 4},
    {"U64", 8},
    {"I64", 8},
    {"C64", 8},
}};

/// One tensor's entry of the header; `where` names file and tensor.
class Entry {
 public:
  Entry(const std::string& file, const std::string& name, const json& entry)
      : where_(file + ": tensor " + quote(name)), entry_(entry) {
    if (!entry.is_object()) {
      throw user_error("{}: expected an object", where_);
    }
  }

  SafetensorsTensor checked(const std::string& name, uint64_t data_bytes) {
    SafetensorsTensor tensor{name, dtype(), shape(), 0, 0};
    auto offsets = integers("data_offsets");
    if (offsets.size() != 2 || offsets[0] > offsets[1]) {
      throw user_error(
          "{}: data_offsets must be two numbers, begin and end", where_);
    }
    tensor.begin = offsets[0];
    tensor.end = offsets[1];
    if (tensor.end > data_bytes) {
      throw user_error(
          "{}: data ends at {} and the file holds {} bytes of data "
          "(truncated?)",
          where_,
          tensor.end,
          data_bytes);
    }
    check_size(tensor);
    return tensor;
  }

 private:
  const json& field(const char* key) {
    auto it = entry_.find(key);
    if (it == entry_.end()) {
      throw user_error("{}: {} is missing", where_, key);
    }
    return *it;
  }

  std::string dtype() {
    const auto& value = field("dtype");
    if (!value.is_string()) {
      throw user_error("{}: dtype must be a string", where_);
    }
    return value.get<std::string>();
  }

  std::vector<uint64_t> integers(const char* key) {
    const auto& value = field(key);
    if (!value.is_array()) {
      throw user_error("{}: {} must be an array of integers", where_, key);
    }
    std::vector<uint64_t> out;
    for (const auto& item : value) {
      if (!item.is_number_unsigned()) {
        throw user_error(
            "{}: {} must hold integers of at least 0", where_, key);
      }
      out.push_back(item.get<uint64_t>());
    }
    return out;
  }

  std::vector<int64_t> shape() {
    std::vector<int64_t> out;
    auto dims = integers("shape");
    if (dims.size() > max_dims) {
      throw user_error(
          "{}: {} dimensions, expected at most {}",
          where_,
          dims.size(),
          max_dims);
    }
    for (auto dim : dims) {
      if (dim > INT32_MAX) {
        throw user_error(
            "{}: dimension {} is too large, expected at most {}",
            where_,
            dim,
            INT32_MAX);
      }
      out.push_back(static_cast<int64_t>(dim));
    }
    return out;
  }

  void check_size(const SafetensorsTensor& tensor) {
    auto dtype = std::find_if(dtypes.begin(), dtypes.end(), [&](auto& d) {
      return d.name == tensor.dtype;
    });
    if (dtype == dtypes.end()) {
      throw user_error(
          "{}: dtype {} is not supported", where_, quote(tensor.dtype));
    }
    bool empty = std::count(tensor.shape.begin(), tensor.shape.end(), 0) > 0;
    uint64_t expected = empty ? 0 : dtype->size;
    for (auto dim : tensor.shape) {
      if (__builtin_mul_overflow(expected, dim, &expected)) {
        expected = UINT64_MAX;
        break;
      }
    }
    if (tensor.end - tensor.begin != expected) {
      throw user_error(
          "{}: data_offsets span {} bytes, its shape and dtype need {}",
          where_,
          tensor.end - tensor.begin,
          expected == UINT64_MAX ? "more than any file has"
                                 : std::to_string(expected));
    }
  }

  std::string where_;
  const json& entry_;
};

// MLX writes null where it has none.
void check_metadata(const std::string& file, const json& metadata) {
  bool strings = (metadata.is_object() || metadata.is_null()) &&
      std::all_of(metadata.begin(), metadata.end(), [](const json& value) {
                   return value.is_string();
                 });
  if (!strings) {
    throw user_error("{}: __metadata__ must map strings to strings", file);
  }
}

void check_layout(
    const std::string& file,
    const std::vector<SafetensorsTensor>& tensors,
    uint64_t data_bytes) {
  uint64_t end = 0;
  for (const auto& tensor : tensors) {
    if (tensor.begin != end) {
      throw user_error(
          "{}: tensor {} starts at byte {} of the data, {} byte {}",
          file,
          quote(tensor.name),
          tensor.begin,
          tensor.begin < end ? "inside the one before that ends at"
                             : "after a gap from",
          end);
    }
    end = tensor.end;
  }
  if (end != data_bytes) {
    throw user_error(
        "{}: {} bytes follow the last tensor", file, data_bytes - end);
  }
}

std::string read_header_text(FileReader& file) {
  auto length = file.read<uint64_t>("the length of the header");
  if (length < 2 || length >= max_header) {
    throw user_error(
        "{}: header length is {}, expected 2 to {} (not a safetensors file?)",
        file.name(),
        length,
        max_header);
  }
  auto text = file.read_string(length, "the header");
  if (text[0] != '{') {
    throw user_error(
        "{}: the header must start with '{{' (not a safetensors file?)",
        file.name());
  }
  return text;
}

} // namespace

std::vector<SafetensorsTensor> read_safetensors_header(
    const std::filesystem::path& path) {
  FileReader file(path);
  auto header = parse_json(read_header_text(file), file.name() + ": header");
  uint64_t data_bytes = file.remaining();
  std::vector<SafetensorsTensor> tensors;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      check_metadata(file.name(), entry);
    } else {
      tensors.push_back(
          Entry(file.name(), name, entry).checked(name, data_bytes));
    }
  }
  std::sort(tensors.begin(), tensors.end(), [](auto& a, auto& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  check_layout(file.name(), tensors, data_bytes);
  return tensors;
}

} // namespace zmlx::io
