#include "zmlx/models/rope_config.h"

#include "zmlx/base/errors.h"

namespace zmlx::models {

namespace {

constexpr double tiny = 1e-6;
constexpr double huge = 1e12;

nn::Llama3RopeScaling llama3(const io::Config& config) {
  nn::Llama3RopeScaling s{config.require_float("factor", tiny, huge)};
  s.low_freq_factor =
      config.optional_float("low_freq_factor", s.low_freq_factor, tiny, huge);
  s.high_freq_factor =
      config.optional_float("high_freq_factor", s.high_freq_factor, tiny, huge);
  s.original_context = config.optional_float(
      "original_max_position_embeddings", s.original_context, 1, huge);
  if (s.high_freq_factor <= s.low_freq_factor) {
    throw user_error(
        "{}: rope_scaling: high_freq_factor {} must exceed low_freq_factor {}",
        config.source(),
        s.high_freq_factor,
        s.low_freq_factor);
  }
  return s;
}

nn::RopeScaling scaling_of(const io::Config& config) {
  auto scaling = config.object("rope_scaling");
  if (!scaling) {
    return {};
  }
  const auto type = scaling->optional_string(
      "type", scaling->optional_string("rope_type", "default"));
  if (type == "default") {
    return {};
  }
  if (type == "linear") {
    return nn::LinearRopeScaling{
        static_cast<float>(scaling->require_float("factor", tiny, huge))};
  }
  if (type == "llama3") {
    return llama3(*scaling);
  }
  throw user_error(
      "{}: rope_scaling type \"{}\" is not supported; known: default, linear, "
      "llama3",
      config.source(),
      type);
}

nn::Rope
make_rope(const io::Config& config, int dims, const nn::RopeScaling& scaling) {
  if (dims % 2 != 0) {
    throw user_error(
        "{}: head_dim must be even for rotary embeddings, got {}",
        config.source(),
        dims);
  }
  const double base = config.optional_float("rope_theta", 10000, tiny, huge);
  return nn::Rope(
      dims,
      static_cast<float>(base),
      config.optional_bool("rope_traditional", false),
      scaling);
}

} // namespace

nn::Rope rope_from_config(const io::Config& config, int dims) {
  return make_rope(config, dims, scaling_of(config));
}

nn::Rope rope_from_config(
    const io::Config& config,
    int dims,
    std::vector<float> factors) {
  return make_rope(config, dims, nn::RopeFactors{std::move(factors)});
}

} // namespace zmlx::models
