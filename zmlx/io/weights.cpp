#include "zmlx/io/weights.h"

#include "zmlx/base/errors.h"
#include "zmlx/io/quote.h"

namespace zmlx::io {

namespace {

bool matches(const mx::Shape& shape, const mx::Shape& expected) {
  if (shape.size() != expected.size()) {
    return false;
  }
  for (size_t i = 0; i < shape.size(); i++) {
    if (expected[i] != -1 && shape[i] != expected[i]) {
      return false;
    }
  }
  return true;
}

std::string shown(const mx::Shape& shape) {
  std::string out = "(";
  for (size_t i = 0; i < shape.size(); i++) {
    out += i ? ", " : "";
    out += shape[i] == -1 ? "any" : std::to_string(shape[i]);
  }
  return out + ")";
}

} // namespace

std::optional<mx::array> take_optional(
    Weights& weights,
    const std::string& name,
    const mx::Shape& expected) {
  auto node = weights.extract(name);
  if (!node) {
    return std::nullopt;
  }
  if (!matches(node.mapped().shape(), expected)) {
    throw user_error(
        "the model's files: {} has shape {}, expected {}",
        quote(name),
        shown(node.mapped().shape()),
        shown(expected));
  }
  return std::move(node.mapped());
}

mx::array
take(Weights& weights, const std::string& name, const mx::Shape& expected) {
  auto array = take_optional(weights, name, expected);
  if (!array) {
    throw user_error(
        "the model's files: {} is missing, expected with shape {}",
        quote(name),
        shown(expected));
  }
  return std::move(*array);
}

} // namespace zmlx::io
