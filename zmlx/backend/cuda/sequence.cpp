#include "zmlx/backend/cuda/sequence.h"

#include "zmlx/base/errors.h"

namespace zmlx::backend::cuda {

Sequence::Sequence(std::vector<SequenceItem> items) {
  for (auto& given : items) {
    const auto* executable =
        dynamic_cast<const Executable*>(given.executable.get());
    if (!executable) {
      throw internal_error(
          "CUDA: a sequence has an executable of another peer");
    }
    Item item;
    if (executable->can_fault()) {
      item.cell = std::make_unique<FaultCell>();
    }
    item.launches = executable->bind(
        given.inputs,
        given.outputs,
        item.cell ? item.cell->address() : Address(),
        [&](size_t bytes) { return scratch_.add(bytes); });
    item.bound = std::move(given);
    items_.push_back(std::move(item));
  }
}

void Sequence::run(CUstream stream) const {
  for (const Item& item : items_) {
    for (const Launch& launch : item.launches) {
      check(
          driver().cuLaunchKernel(
              launch.function(),
              launch.blocks(),
              1,
              1,
              launch.threads(),
              1,
              1,
              0,
              stream,
              launch.pointers().data(),
              nullptr),
          "cuLaunchKernel");
    }
  }
}

std::optional<std::pair<int, Fault>> Sequence::fault() const {
  for (size_t i = 0; i < items_.size(); ++i) {
    if (items_[i].cell) {
      if (auto fault = items_[i].cell->fault()) {
        return std::pair(static_cast<int>(i), *fault);
      }
    }
  }
  return std::nullopt;
}

} // namespace zmlx::backend::cuda
