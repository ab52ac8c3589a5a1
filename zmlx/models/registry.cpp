#include "zmlx/models/registry.h"

#include <map>

#include "zmlx/base/errors.h"

namespace zmlx::models {

namespace {

// A function's static: registrations run before main, in any order.
std::map<std::string, Maker>& makers() {
  static std::map<std::string, Maker> all;
  return all;
}

} // namespace

Registration::Registration(const std::string& model_type, Maker maker) {
  makers()[model_type] = maker;
}

std::shared_ptr<nn::Model> make_model(io::ModelFiles files) {
  const auto type = files.config.require_string("model_type");
  auto found = makers().find(type);
  if (found == makers().end()) {
    throw user_error(
        "{}: model_type \"{}\" is not supported; known: {}",
        files.config.source(),
        type,
        fmt::join(known_model_types(), ", "));
  }
  return found->second(std::move(files));
}

std::vector<std::string> known_model_types() {
  std::vector<std::string> names;
  for (auto& [name, maker] : makers()) {
    names.push_back(name);
  }
  return names;
}

} // namespace zmlx::models
