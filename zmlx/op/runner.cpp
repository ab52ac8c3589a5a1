#include "zmlx/op/runner.h"

#include <algorithm>

namespace zmlx::op {

namespace {

constexpr size_t kLayouts = 4;
// As many as a chain of calls has under way at once; some kilobytes each.
constexpr size_t kFree = 64;

std::vector<void*> memory_of(std::span<const backend::View> views) {
  std::vector<void*> memory;
  memory.reserve(views.size());
  for (const auto& view : views) {
    memory.push_back(view.data);
  }
  return memory;
}

} // namespace

Runner::Runner(
    std::shared_ptr<const backend::Executable> executable,
    std::string reason)
    : executable_(std::move(executable)), reason_(std::move(reason)) {}

bool Runner::Layout::fits(std::span<const backend::View> views, size_t first)
    const {
  return std::equal(
             views.begin(),
             views.end(),
             shapes.begin() + first,
             [](const auto& view, const auto& shape) {
               return view.shape == shape;
             }) &&
      std::equal(
             views.begin(),
             views.end(),
             strides.begin() + first,
             [](const auto& view, const auto& stride) {
               return view.strides == stride;
             });
}

void Runner::Layout::add(std::span<const backend::View> views) {
  for (const auto& view : views) {
    shapes.push_back(view.shape);
    strides.push_back(view.strides);
  }
}

std::shared_ptr<Runner::Layout> Runner::layout_of(
    const std::vector<backend::View>& inputs,
    const std::vector<backend::View>& outputs) {
  for (const auto& layout : layouts_) {
    if (layout->fits(inputs, 0) && layout->fits(outputs, inputs.size())) {
      return layout;
    }
  }
  auto layout = std::make_shared<Layout>();
  layout->add(inputs);
  layout->add(outputs);
  if (layouts_.size() < kLayouts) {
    layouts_.push_back(layout);
  } else {
    layouts_[next_++ % kLayouts] = layout;
  }
  return layout;
}

std::shared_ptr<const backend::Launch> Runner::bind(
    const std::vector<backend::View>& inputs,
    const std::vector<backend::View>& outputs) {
  std::unique_ptr<backend::Launch> launch;
  std::shared_ptr<Layout> layout;
  {
    std::lock_guard lock(mutex_);
    layout = layout_of(inputs, outputs);
    if (!layout->free.empty()) {
      launch = std::move(layout->free.back());
      layout->free.pop_back();
    }
  }
  if (!launch || !launch->rebind(memory_of(inputs), memory_of(outputs))) {
    launch = executable_->bind(inputs, outputs);
  }
  return {
      launch.release(),
      [self = shared_from_this(), layout](const backend::Launch* used) {
        self->give_back(
            *layout,
            std::unique_ptr<backend::Launch>(
                const_cast<backend::Launch*>(used)));
      }};
}

void Runner::give_back(
    Layout& layout,
    std::unique_ptr<backend::Launch> launch) {
  if (launch->fault()) {
    return; // it would say so again
  }
  std::lock_guard lock(mutex_);
  if (layout.free.size() < kFree) {
    layout.free.push_back(std::move(launch));
  }
}

} // namespace zmlx::op
