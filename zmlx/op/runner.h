#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "zmlx/backend/backend.h"

namespace zmlx::op {

/// A call on the CPU for inputs of certain types: its executable, and launches
/// that have run and wait for other arrays of the same layout. Safe from any
/// thread.
class Runner : public std::enable_shared_from_this<Runner> {
 public:
  /// Without an executable `reason` says why there is none.
  Runner(
      std::shared_ptr<const backend::Executable> executable,
      std::string reason);

  const backend::Executable* executable() const {
    return executable_.get();
  }
  const std::string& reason() const {
    return reason_;
  }

  /// A launch on this memory, where no output touches an input. It comes back
  /// here when the last owner lets it go.
  std::shared_ptr<const backend::Launch> bind(
      const std::vector<backend::View>& inputs,
      const std::vector<backend::View>& outputs);

 private:
  /// How arrays lie, whatever their memory.
  struct Layout {
    std::vector<lang::Shape> shapes;
    std::vector<lang::Strides> strides;
    std::vector<std::unique_ptr<backend::Launch>> free;

    bool fits(std::span<const backend::View> views, size_t first) const;
    void add(std::span<const backend::View> views);
  };

  std::shared_ptr<Layout> layout_of(
      const std::vector<backend::View>& inputs,
      const std::vector<backend::View>& outputs);
  void give_back(Layout& layout, std::unique_ptr<backend::Launch> launch);

  const std::shared_ptr<const backend::Executable> executable_;
  const std::string reason_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Layout>> layouts_; // the last few
  size_t next_ = 0; // of them, to be replaced
};

} // namespace zmlx::op
