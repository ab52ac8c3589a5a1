#pragma once

#include <vector>

#include "zmlx/backend/backend.h"
#include "zmlx/backend/cuda/executable.h"
#include "zmlx/backend/cuda/fault_cell.h"
#include "zmlx/backend/cuda/memory.h"

namespace zmlx::backend::cuda {

/// Launches in the order of their items.
class Sequence : public backend::Sequence {
 public:
  /// InternalError for an executable of another peer.
  explicit Sequence(std::vector<SequenceItem> items);

  void run(CUstream stream) const;
  std::optional<std::pair<int, Fault>> fault() const override;

 private:
  struct Item {
    SequenceItem bound; // keeps the executable
    std::unique_ptr<FaultCell> cell;
    std::vector<Launch> launches;
  };
  std::vector<Item> items_;
  Blocks scratch_;
};

std::unique_ptr<Queue> make_queue();

} // namespace zmlx::backend::cuda
