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

mx::array
take(ModelFiles& files, const std::string& name, const mx::Shape& expected) {
  const auto found = files.weights.find(name);
  if (found == files.weights.end()) {
    throw user_error(
        "{}: tensor {} is missing, expected with shape {}",
        files.root.string(),
        quote(name),
        shown(expected));
  }
  if (!matches(found->second.shape(), expected)) {
    throw user_error(
        "{}: tensor {} has shape {}, expected {}",
        files.root.string(),
        quote(name),
        shown(found->second.shape()),
        shown(expected));
  }
  return std::move(files.weights.extract(found).mapped());
}

} // namespace zmlx::io
