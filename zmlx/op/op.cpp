#include "zmlx/op/op.h"

#include <cmath>
#include <filesystem>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "zmlx/base/errors.h"
#include "zmlx/base/text.h"

namespace zmlx::op {

namespace {

struct Registry {
  std::mutex mutex;
  std::map<std::string, const Op*> by_name; // other names too
};

// Made when the first kernel registers, which may be before main.
Registry& registry() {
  static auto* instance = new Registry;
  return *instance;
}

void enter(const std::string& name, const Op& kernel) {
  std::lock_guard lock(registry().mutex);
  const auto [known, is_new] = registry().by_name.emplace(name, &kernel);
  if (!is_new && !known->second->same_definition(kernel)) {
    throw internal_error("two kernels are named '{}'", name);
  }
}

} // namespace

int32_t Operand::to_int32(int64_t value) {
  if (value < std::numeric_limits<int32_t>::min() ||
      value > std::numeric_limits<int32_t>::max()) {
    throw user_error(
        "{} does not fit into the int32 that a whole number becomes; give an "
        "array of another type",
        value);
  }
  return static_cast<int32_t>(value);
}

std::vector<mx::array> BoundOp::all(
    const std::vector<Operand>& operands) const {
  std::vector<mx::array> inputs;
  inputs.reserve(operands.size());
  for (const auto& operand : operands) {
    inputs.push_back(operand.array());
  }
  return op::apply(call_, std::move(inputs));
}

mx::array BoundOp::one(const std::vector<Operand>& operands) const {
  if (call_->body.outputs.size() != 1) {
    std::vector<std::string> names;
    for (const auto& output : call_->body.outputs) {
      names.push_back(output.name);
    }
    throw user_error(
        "{}: gives {} arrays ({}); ask for them with all({{...}})",
        call_->kernel,
        names.size(),
        fmt::join(names, ", "));
  }
  return all(operands)[0];
}

Op::Op(
    std::string name,
    std::string summary,
    Definition define,
    Composition mlx,
    std::source_location where)
    : Kernel(std::move(name), std::move(summary), std::move(define)),
      mlx_(std::move(mlx)),
      family_(std::filesystem::path(where.file_name()).stem().string()),
      line_(where.line()) {
  enter(this->name(), *this);
}

bool Op::same_definition(const Op& other) const {
  return name() == other.name() && family_ == other.family_ &&
      line_ == other.line_;
}

BoundOp Op::with(const lang::Attributes& attributes) const {
  // NaN has no place in an order, and would be taken for every other value.
  for (const auto& [attribute, value] : attributes) {
    if (std::isnan(value)) {
      throw user_error(
          "{}: attribute '{}': expected a number, got NaN", name(), attribute);
    }
  }
  std::lock_guard lock(mutex_);
  auto& call = calls_[attributes];
  if (!call) {
    try {
      const auto defined = define(attributes);
      call = make_call(name(), defined.body(), defined.attributes());
    } catch (...) {
      calls_.erase(attributes);
      throw;
    }
  }
  return BoundOp(call);
}

std::vector<const Op*> catalogue() {
  std::lock_guard lock(registry().mutex);
  std::vector<const Op*> list;
  for (const auto& [name, op] : registry().by_name) {
    if (name == op->name()) {
      list.push_back(op);
    }
  }
  return list;
}

const Op& alias(std::string name, const Op& kernel) {
  enter(name, kernel);
  return kernel;
}

std::vector<std::string> aliases_of(const Op& kernel) {
  std::lock_guard lock(registry().mutex);
  std::vector<std::string> names;
  for (const auto& [name, op] : registry().by_name) {
    if (op->same_definition(kernel) && name != op->name()) {
      names.push_back(name);
    }
  }
  return names;
}

const Op& find_op(const std::string& name) {
  std::lock_guard lock(registry().mutex);
  std::vector<std::string> names;
  for (const auto& [known, op] : registry().by_name) {
    if (known == name) {
      return *op;
    }
    names.push_back(known);
  }
  throw user_error(
      "no kernel is named '{}'.{} `zmlx kernels` lists them.",
      name,
      did_you_mean(name, names));
}

} // namespace zmlx::op
