#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "zmlx/export.h"

namespace zmlx::io {

/// One tensor of a safetensors file.
struct SafetensorsTensor {
  std::string name;
  std::string dtype; // "BF16"
  std::vector<int64_t> shape;
  uint64_t begin; // bytes from the start of the data
  uint64_t end;
};

/// Reads and checks the header of a safetensors file: its length against the
/// file (at most 100 MB), strict JSON without duplicate keys, known dtypes,
/// dimensions that fit 31 bits, offsets inside the file that match shape and
/// dtype, neither overlap nor gap, nothing after the last tensor. UserError
/// names the file, the tensor, what was found and what was expected. Tensors
/// come in the order of their data. A header that passes is safe for
/// mx::load_safetensors.
ZMLX_API std::vector<SafetensorsTensor> read_safetensors_header(
    const std::filesystem::path& path);

} // namespace zmlx::io
