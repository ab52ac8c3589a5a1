#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "zmlx/backend/cpu/launch.h"

namespace zmlx::backend::cpu {

/// Launches of one executable that have run and wait for other arrays of the
/// same layout. Safe from any thread.
class Runner {
 public:
  /// A launch on this memory, where no output touches an input. It comes back
  /// here, and the executable lives so long, when the last owner lets it go.
  std::shared_ptr<const Launch> bind(
      std::shared_ptr<const Executable> executable,
      const std::vector<View>& inputs,
      const std::vector<View>& outputs);

 private:
  /// Launches on arrays that lie like these, whatever their memory.
  struct Layout {
    std::vector<View> inputs, outputs;
    std::vector<std::unique_ptr<Launch>> free;
  };

  std::shared_ptr<Layout> layout_of(
      const std::vector<View>& inputs,
      const std::vector<View>& outputs);
  void give_back(Layout& layout, std::unique_ptr<Launch> launch);

  std::mutex mutex_;
  std::vector<std::shared_ptr<Layout>> layouts_; // the last few
  size_t next_ = 0; // of them, to be replaced
};

} // namespace zmlx::backend::cpu
