#pragma once

#include <string>

#include "zmlx/io/model_files.h"
#include "zmlx/nn/embedding.h"
#include "zmlx/nn/linear.h"
#include "zmlx/nn/norm.h"

namespace zmlx::models {

namespace mx = mlx::core;

/// Makes layers out of a model's files and keeps account of what is used.
/// Each getter throws a UserError that names the folder or file and the weight
/// when it is missing, has another shape than the config says, or a type that
/// the layer cannot use.
class ZMLX_API LayerReader {
 public:
  explicit LayerReader(io::ModelFiles files);

  const io::Config& config() const {
    return files_.config;
  }
  /// Whether the array `name` is there and not yet taken.
  bool has(const std::string& name) const;

  /// `name`.weight (rows, columns), packed or dense, and `name`.bias (rows).
  nn::Linear linear(const std::string& name, int rows, int columns, bool bias);
  nn::Embedding embedding(const std::string& name, int rows, int columns);
  nn::RMSNorm rms_norm(const std::string& name, int width, float eps);
  /// A plain floating array, say rope factors.
  mx::array array(const std::string& name, const mx::Shape& shape);

  /// Drops the arrays of a layer that the model does not use.
  void ignore(const std::string& layer);
  /// Drops every array whose name ends so.
  void ignore_suffix(const std::string& suffix);

  /// UserError when arrays remain that nothing has taken.
  void finish() const;

 private:
  nn::Matrix matrix(const std::string& name, int rows, int columns);
  nn::Parameter parameter(const std::string& name, const mx::Shape& shape);

  io::ModelFiles files_;
};

} // namespace zmlx::models
