#include "zmlx/op/call.h"

#include <algorithm>

#include "zmlx/backend/backend.h"
#include "zmlx/base/errors.h"
#include "zmlx/lang/derive.h"
#include "zmlx/op/convert.h"
#include "zmlx/op/executables.h"
#include "zmlx/op/split.h"

namespace zmlx::op {

namespace {

// Shapes of one model are few; a chain of calls has one.
constexpr size_t kSeen = 4;

bool same_types(
    const std::vector<mx::array>& arrays,
    const std::vector<mx::Dtype>& dtypes) {
  return std::equal(
      arrays.begin(),
      arrays.end(),
      dtypes.begin(),
      dtypes.end(),
      [](const mx::array& a, mx::Dtype dtype) { return a.dtype() == dtype; });
}

} // namespace

Call::Call(std::string name, lang::Body b, lang::Attributes a)
    : body(std::move(b)),
      kernel(std::move(name)),
      attributes(std::move(a)),
      key(lang::content_key(body)),
      split(split_product(kernel, body, attributes)) {}

bool Call::Seen::fits(const std::vector<mx::array>& inputs) const {
  return same_types(inputs, dtypes) &&
      std::equal(
             inputs.begin(),
             inputs.end(),
             shapes.begin(),
             shapes.end(),
             [](const mx::array& a, const mx::Shape& shape) {
               return a.shape() == shape;
             });
}

std::shared_ptr<const Call::Results> Call::results(
    const std::vector<mx::array>& inputs) const {
  {
    std::lock_guard lock(mutex_);
    for (const Seen& seen : seen_) {
      if (seen.fits(inputs)) {
        return seen.results;
      }
    }
  }
  auto results = std::make_shared<Results>();
  try {
    for (const auto& shape : lang::infer_shapes(body, shapes_of(inputs))) {
      results->shapes.push_back(to_mlx(shape));
    }
    for (auto type : lang::infer_types(body, types_of(inputs))) {
      results->dtypes.push_back(to_mlx(type));
    }
  } catch (const UserError& error) {
    throw user_error("{}: {}", kernel, error.what());
  }
  Seen seen;
  for (const auto& a : inputs) {
    seen.shapes.push_back(a.shape());
    seen.dtypes.push_back(a.dtype());
  }
  seen.results = results;
  std::lock_guard lock(mutex_);
  if (seen_.size() < kSeen) {
    seen_.push_back(std::move(seen));
  } else {
    seen_[next_++ % kSeen] = std::move(seen);
  }
  return results;
}

std::shared_ptr<const Call::Ready> Call::ready(
    const std::vector<mx::array>& inputs,
    mx::Device device) const {
  {
    std::lock_guard lock(mutex_);
    for (const Known& known : known_) {
      if (known.device == device && same_types(inputs, known.dtypes)) {
        return known.ready;
      }
    }
  }
  auto ready = std::make_shared<Ready>();
  ready->executable =
      executable(body, key, types_of(inputs), device, &ready->reason);
  Known known{device, {}, ready};
  for (const auto& a : inputs) {
    known.dtypes.push_back(a.dtype());
  }
  std::lock_guard lock(mutex_);
  known_.push_back(std::move(known));
  return ready;
}

std::shared_ptr<const Call> Call::gradient(
    const std::vector<int>& inputs,
    std::string* why) const {
  std::lock_guard lock(mutex_);
  auto [entry, added] = gradients_.try_emplace(inputs);
  Derived& derived = entry->second;
  if (added) {
    if (auto gradient = lang::derive(body, inputs, &derived.why)) {
      derived.call =
          make_call(kernel + "_gradient", std::move(*gradient), attributes);
    }
  }
  *why = derived.why;
  return derived.call;
}

std::shared_ptr<const Call>
make_call(std::string kernel, lang::Body body, lang::Attributes attributes) {
  return std::make_shared<Call>(
      std::move(kernel), std::move(body), std::move(attributes));
}

std::vector<mx::array> gradient_inputs(
    const lang::Body& gradient,
    const std::vector<mx::array>& inputs,
    const std::vector<mx::array>& cotangents,
    const std::vector<mx::array>& outputs) {
  auto all = inputs;
  all.insert(all.end(), cotangents.begin(), cotangents.end());
  if (gradient.inputs.size() > all.size()) {
    all.insert(all.end(), outputs.begin(), outputs.end());
  }
  return all;
}

} // namespace zmlx::op
