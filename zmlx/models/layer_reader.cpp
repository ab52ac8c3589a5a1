#include "zmlx/models/layer_reader.h"

#include <algorithm>
#include <vector>

#include "zmlx/base/errors.h"
#include "zmlx/io/weights.h"

namespace zmlx::models {

LayerReader::LayerReader(io::ModelFiles files) : files_(std::move(files)) {}

bool LayerReader::has(const std::string& name) const {
  return files_.weights.count(name) != 0;
}

mx::array LayerReader::array(const std::string& name, const mx::Shape& shape) {
  auto value = io::take(files_, name, shape);
  if (!mx::issubdtype(value.dtype(), mx::floating)) {
    throw user_error(
        "{}: {} must hold floating-point numbers, but its elements are "
        "integers of {} bytes",
        files_.root.string(),
        name,
        value.itemsize());
  }
  return value;
}

nn::Parameter LayerReader::parameter(
    const std::string& name,
    const mx::Shape& shape) {
  auto value = array(name, shape);
  const auto compute = nn::compute_dtype(value.dtype());
  return nn::Parameter(std::move(value), compute);
}

nn::Matrix LayerReader::matrix(const std::string& name, int rows, int columns) {
  const auto packing = files_.quantization(name);
  if (!packing) {
    return nn::Matrix(parameter(name + ".weight", {rows, columns}));
  }
  if (columns % packing->group_size != 0) {
    throw user_error(
        "{}: {} has {} columns, which groups of {} do not divide",
        files_.root.string(),
        name,
        columns,
        packing->group_size);
  }
  const int words = static_cast<int>(int64_t{columns} * packing->bits / 32);
  const mx::Shape groups{rows, columns / packing->group_size};
  auto packed = io::take(files_, name + ".weight", {rows, words});
  if (packed.dtype() != mx::uint32) {
    throw user_error(
        "{}: {}.weight is packed and must be of type uint32",
        files_.root.string(),
        name);
  }
  nn::Parameter weight(std::move(packed), mx::float32);
  nn::Packing how{packing->group_size, packing->bits, packing->mode};
  if (packing->mode != "affine") {
    auto scales = io::take(files_, name + ".scales", groups);
    return nn::Matrix(
        std::move(weight),
        nn::Parameter(std::move(scales), mx::float32),
        std::nullopt,
        how);
  }
  auto scales = parameter(name + ".scales", groups);
  auto biases = parameter(name + ".biases", groups);
  return nn::Matrix(
      std::move(weight), std::move(scales), std::move(biases), how);
}

nn::Linear
LayerReader::linear(const std::string& name, int rows, int columns, bool bias) {
  auto weight = matrix(name, rows, columns);
  if (!bias) {
    return nn::Linear(std::move(weight), std::nullopt);
  }
  return nn::Linear(std::move(weight), parameter(name + ".bias", {rows}));
}

nn::Embedding
LayerReader::embedding(const std::string& name, int rows, int columns) {
  return nn::Embedding(matrix(name, rows, columns));
}

nn::RMSNorm
LayerReader::rms_norm(const std::string& name, int width, float eps) {
  return nn::RMSNorm(parameter(name + ".weight", {width}), eps);
}

void LayerReader::ignore(const std::string& layer) {
  for (const char* part : {".weight", ".scales", ".biases", ".bias"}) {
    files_.weights.erase(layer + part);
  }
}

void LayerReader::ignore_suffix(const std::string& suffix) {
  std::erase_if(files_.weights, [&](const auto& entry) {
    return std::string_view(entry.first).ends_with(suffix);
  });
}

void LayerReader::finish() const {
  if (files_.weights.empty()) {
    return;
  }
  std::vector<std::string> names;
  for (auto& [name, value] : files_.weights) {
    names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  const size_t shown = std::min<size_t>(names.size(), 5);
  throw user_error(
      "{}: {} weights that model_type \"{}\" does not have: {}{}",
      files_.root.string(),
      names.size(),
      config().require_string("model_type"),
      fmt::join(names.begin(), names.begin() + shown, ", "),
      shown < names.size() ? ", ..." : "");
}

} // namespace zmlx::models
