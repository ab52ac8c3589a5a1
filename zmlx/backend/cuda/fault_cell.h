#pragma once

#include <optional>

#include "zmlx/backend/backend.h"
#include "zmlx/backend/cfamily/kernel.h"

namespace zmlx::backend::cuda {

/// A FaultCell that host and device reach. Read when what was launched with it
/// is done.
class FaultCell {
 public:
  FaultCell();
  ~FaultCell();
  FaultCell(const FaultCell&) = delete;
  FaultCell& operator=(const FaultCell&) = delete;

  Address address() const {
    return cell_;
  }
  std::optional<Fault> fault() const;

 private:
  cfamily::FaultCell* cell_ = nullptr;
};

} // namespace zmlx::backend::cuda
