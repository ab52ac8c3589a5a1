#include "zmlx/backend/cuda/fault_cell.h"

#include <mutex>
#include <vector>

#include "zmlx/backend/cuda/driver.h"

namespace zmlx::backend::cuda {
namespace {

// Pinned memory takes long to make.
struct Kept {
  std::mutex mutex;
  std::vector<cfamily::FaultCell*> cells;
};

Kept& kept() {
  static auto* all = new Kept;
  return *all;
}

} // namespace

FaultCell::FaultCell() {
  {
    std::lock_guard lock(kept().mutex);
    if (!kept().cells.empty()) {
      cell_ = kept().cells.back();
      kept().cells.pop_back();
    }
  }
  if (!cell_) {
    use_context();
    void* memory = nullptr;
    check(
        driver().cuMemHostAlloc(
            &memory, sizeof(cfamily::FaultCell), CU_MEMHOSTALLOC_PORTABLE),
        "cuMemHostAlloc");
    cell_ = static_cast<cfamily::FaultCell*>(memory);
  }
  *cell_ = {};
}

FaultCell::~FaultCell() {
  std::lock_guard lock(kept().mutex);
  kept().cells.push_back(cell_);
}

std::optional<Fault> FaultCell::fault() const {
  const volatile auto* cell = cell_;
  if (!cell->set) {
    return std::nullopt;
  }
  return Fault{
      cell->index,
      cell->length,
      cell->rows != 0,
      cell->output != 0,
      cell->number};
}

} // namespace zmlx::backend::cuda
