#include "zmlx/io/quantization.h"

#include <algorithm>
#include <sstream>

#include "zmlx/base/errors.h"
#include "zmlx/io/quote.h"

namespace zmlx::io {

namespace {

constexpr std::string_view scales_suffix = ".scales";
constexpr std::string_view weight_suffix = ".weight";

template <typename T>
std::string shown(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

Quantization read_entry(const Config& entry) {
  auto mode = entry.optional_string("mode", "affine");
  bool affine = mode == "affine";
  if (!affine && mode != "mxfp4") {
    throw user_error(
        "{}: 'mode' is {}, expected 'affine' or 'mxfp4'",
        entry.source(),
        quote(mode));
  }
  Quantization q{
      entry.optional_int("group_size", affine ? 64 : 32, 1, 1 << 20),
      entry.optional_int("bits", 4, 1, 64),
      mode};
  bool group_ok = affine
      ? q.group_size == 32 || q.group_size == 64 || q.group_size == 128
      : q.group_size == 32;
  if (!group_ok) {
    throw user_error(
        "{}: 'group_size' is {}, expected {}",
        entry.source(),
        q.group_size,
        affine ? "32, 64 or 128" : "32 for mode 'mxfp4'");
  }
  bool bits_ok =
      affine ? q.bits >= 2 && q.bits <= 8 && q.bits != 7 : q.bits == 4;
  if (!bits_ok) {
    throw user_error(
        "{}: 'bits' is {}, expected {}",
        entry.source(),
        q.bits,
        affine ? "2, 3, 4, 5, 6 or 8" : "4 for mode 'mxfp4'");
  }
  return q;
}

std::optional<Config> quantization_of(const Config& config) {
  auto entry = config.object("quantization");
  if (!entry) {
    entry = config.object("quantization_config");
  }
  if (entry && entry->has("quant_method")) {
    throw user_error(
        "{}: 'quant_method' is {}; only models quantised by mlx_lm.convert "
        "(affine or mxfp4) are supported",
        entry->source(),
        quote(entry->json()["quant_method"].dump()));
  }
  return entry;
}

/// The entry of `layer` where it overrides `all`; nothing where it is `false`.
std::optional<Quantization> layer_entry(
    const Config& config,
    const Quantization& all,
    const std::string& layer) {
  auto it = config.json().find(layer);
  if (it == config.json().end() || *it == true) {
    return all;
  }
  if (*it == false) {
    return std::nullopt;
  }
  return read_entry(Config(*it, config.source() + ": " + quote(layer)));
}

[[noreturn]] void misfit(
    const std::string& source,
    const std::string& name,
    const mx::array& got,
    const std::string& why) {
  throw user_error(
      "{}: {} is {} {}, {}",
      source,
      quote(name),
      shown(got.dtype()),
      shown(got.shape()),
      why);
}

const mx::array& part(
    const Weights& weights,
    const std::string& name,
    const std::string& source) {
  auto it = weights.find(name);
  if (it == weights.end()) {
    throw user_error(
        "{}: {} is missing, a part of a packed layer", source, quote(name));
  }
  return it->second;
}

void check_layer(
    const std::string& layer,
    const Quantization& q,
    const Weights& weights,
    const std::string& source) {
  const auto& weight = part(weights, layer + ".weight", source);
  const auto& scales = part(weights, layer + ".scales", source);
  if (weight.dtype() != mx::uint32 || weight.ndim() < 2) {
    misfit(
        source,
        layer + ".weight",
        weight,
        "expected packed uint32 with 2 dimensions or more beside .scales");
  }
  bool affine = q.mode == "affine";
  bool type_ok = affine ? mx::issubdtype(scales.dtype(), mx::floating)
                        : scales.dtype() == mx::uint8;
  auto expected = weight.shape();
  // 64 bits: the number of columns may pass what a dimension can hold.
  auto columns = int64_t{expected.back()} * 32;
  bool divides = columns % q.bits == 0 && columns / q.bits % q.group_size == 0;
  expected.back() =
      divides ? static_cast<int>(columns / q.bits / q.group_size) : -1;
  if (!type_ok || scales.shape() != expected) {
    misfit(
        source,
        layer + ".scales",
        scales,
        fmt::format(
            "which does not fit weight {} at {} bits, group size {}, mode {}",
            shown(weight.shape()),
            q.bits,
            q.group_size,
            quote(q.mode)));
  }
  if (affine) {
    const auto& biases = part(weights, layer + ".biases", source);
    if (biases.shape() != expected || biases.dtype() != scales.dtype()) {
      misfit(
          source,
          layer + ".biases",
          biases,
          fmt::format(
              "expected as its scales, {} {}",
              shown(scales.dtype()),
              shown(scales.shape())));
    }
  }
}

} // namespace

QuantizedLayers config_quantization(
    const Config& config,
    const Weights& weights) {
  auto entry = quantization_of(config);
  std::optional<Quantization> all;
  if (entry) {
    all = read_entry(*entry);
  }
  QuantizedLayers layers;
  for (const auto& [name, array] : weights) {
    if (!name.ends_with(scales_suffix)) {
      continue;
    }
    auto layer = name.substr(0, name.size() - scales_suffix.size());
    if (!all) {
      throw user_error(
          "{}: 'quantization' is missing, but the weights of {} are packed",
          config.source(),
          quote(layer));
    }
    if (auto quantization = layer_entry(*entry, *all, layer)) {
      layers.emplace(layer, *quantization);
    } else {
      throw user_error(
          "{}: {} is false, but the weights of that layer are packed",
          entry->source(),
          quote(layer));
    }
  }
  return layers;
}

void check_packed_weights(
    const QuantizedLayers& layers,
    const Weights& weights,
    const std::string& source) {
  for (const auto& [layer, quantization] : layers) {
    check_layer(layer, quantization, weights, source);
  }
  for (const auto& [name, array] : weights) {
    if (!name.ends_with(weight_suffix)) {
      continue;
    }
    auto layer = name.substr(0, name.size() - weight_suffix.size());
    if (!layers.count(layer) && !mx::issubdtype(array.dtype(), mx::floating)) {
      misfit(
          source,
          name,
          array,
          "expected a floating-point type, or packed uint32 with .scales");
    }
  }
}

} // namespace zmlx::io
