#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <tuple>
#include <vector>

#include "zmlx/backend/backend.h"
#include "zmlx/backend/cuda/launch.h"

namespace zmlx::backend::cuda {

/// Gives memory of the device until what was bound with it has run.
using Scratch = std::function<Address(size_t bytes)>;

/// A program of which unsupported() says nothing. Kernels are compiled for each
/// layout of arrays when it is first met.
class Executable : public backend::Executable,
                   public std::enable_shared_from_this<Executable> {
 public:
  explicit Executable(lang::Program program);

  const Effects& effects() const override {
    return effects_;
  }
  bool can_fault() const override {
    return can_fault_;
  }
  const lang::Program& program() const {
    return program_;
  }

  /// What runs the program on these arrays; nothing where there is nothing to
  /// do. `fault` is the address of a FaultCell where it can fault.
  /// InternalError for arrays that do not fit the program.
  std::vector<Launch> bind(
      std::span<const View> inputs,
      std::span<const View> outputs,
      Address fault,
      const Scratch& scratch) const;

  std::optional<Fault> evaluate(
      mx::Stream stream,
      const std::vector<mx::array>& inputs,
      std::vector<mx::array>& outputs) const override;

 private:
  class Binding;

  /// What `text` gives, once for each part, layout and threads.
  std::shared_ptr<const Kernel> kernel(
      int part,
      const cfamily::Layout& layout,
      const cfamily::Threads& threads,
      const std::function<cfamily::KernelText()>& text) const;

  lang::Program program_;
  Effects effects_;
  bool can_fault_;
  mutable std::mutex mutex_;
  mutable std::map<
      std::tuple<int, cfamily::Layout, cfamily::Threads>,
      std::shared_ptr<const Kernel>>
      kernels_;
};

} // namespace zmlx::backend::cuda
