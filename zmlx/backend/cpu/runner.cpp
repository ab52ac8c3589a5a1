#include "zmlx/backend/cpu/runner.h"

#include <algorithm>

namespace zmlx::backend::cpu {

namespace {

constexpr size_t kLayouts = 4;
// As many as a chain of calls has under way at once; some kilobytes each.
constexpr size_t kFree = 64;

std::vector<void*> memory_of(std::span<const View> views) {
  std::vector<void*> memory;
  memory.reserve(views.size());
  for (const auto& view : views) {
    memory.push_back(pointer<void>(view.data));
  }
  return memory;
}

bool lie_alike(const std::vector<View>& a, const std::vector<View>& b) {
  return std::ranges::equal(a, b, [](const View& x, const View& y) {
    return x.shape == y.shape && x.strides == y.strides;
  });
}

} // namespace

std::shared_ptr<Runner::Layout> Runner::layout_of(
    const std::vector<View>& inputs,
    const std::vector<View>& outputs) {
  for (const auto& layout : layouts_) {
    if (lie_alike(layout->inputs, inputs) &&
        lie_alike(layout->outputs, outputs)) {
      return layout;
    }
  }
  auto layout = std::make_shared<Layout>(inputs, outputs);
  if (layouts_.size() < kLayouts) {
    layouts_.push_back(layout);
  } else {
    layouts_[next_++ % kLayouts] = layout;
  }
  return layout;
}

std::shared_ptr<const Launch> Runner::bind(
    std::shared_ptr<const Executable> executable,
    const std::vector<View>& inputs,
    const std::vector<View>& outputs) {
  std::unique_ptr<Launch> launch;
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
    launch = executable->bind(inputs, outputs);
  }
  return {
      launch.release(),
      [this, executable = std::move(executable), layout](const Launch* used) {
        give_back(*layout, std::unique_ptr<Launch>(const_cast<Launch*>(used)));
      }};
}

void Runner::give_back(Layout& layout, std::unique_ptr<Launch> launch) {
  if (launch->fault()) {
    return; // it would say so again
  }
  std::lock_guard lock(mutex_);
  if (layout.free.size() < kFree) {
    layout.free.push_back(std::move(launch));
  }
}

} // namespace zmlx::backend::cpu
