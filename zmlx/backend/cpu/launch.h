#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "zmlx/backend/backend.h"

namespace zmlx::backend::cpu {

class Runner;

/// Where an address of the CPU's memory points.
template <typename T = std::byte>
T* pointer(Address address) {
  return reinterpret_cast<T*>(address.value());
}

/// A kernel bound to memory. What the views point to is read when it runs, so
/// one launch can be run any number of times on changing contents.
class Launch {
 public:
  virtual ~Launch() = default;
  /// Does share `part` of `parts` of the work. All shares must be run, in any
  /// order or at once; shares never wait for each other. Does not allocate.
  virtual void run(int part, int parts) const noexcept = 0;
  /// Asks the memory for constants (weights) that this share will read first:
  /// a hint to give while earlier launches are still finishing.
  virtual void prefetch(int /*part*/, int /*parts*/) const noexcept {}
  /// Goes over to other memory of the same layout, in the order of bind(), that
  /// overlaps no more than before. False, and nothing is changed, where that
  /// takes a new bind.
  virtual bool rebind(
      std::span<void* const> /*inputs*/,
      std::span<void* const> /*outputs*/) {
    return false;
  }
  /// Whether there is so little to do that one thread alone is done sooner.
  virtual bool is_small() const noexcept {
    return false;
  }
  /// What was wrong with the data of the runs so far, the first that was met.
  virtual std::optional<Fault> fault() const {
    return {};
  }
};

/// A program compiled for the CPU.
class ZMLX_API Executable : public backend::Executable,
                            public std::enable_shared_from_this<Executable> {
 public:
  explicit Executable(lang::Program program);
  ~Executable() override;

  /// Resolves loops, strides and temporary memory for these arrays, whose
  /// shapes fit the program (infer_shapes): outputs may be strided views, and
  /// may be inputs' memory only where element i of the output is made from
  /// element i of that input alone.
  virtual std::unique_ptr<Launch> bind(
      std::span<const View> inputs,
      std::span<const View> outputs) const = 0;

  const lang::Program& program() const {
    return program_;
  }
  const Effects& effects() const override {
    return effects_;
  }
  bool can_fault() const override {
    return can_fault_;
  }
  std::optional<Fault> evaluate(
      mx::Stream stream,
      const std::vector<mx::array>& inputs,
      std::vector<mx::array>& outputs) const override;

 private:
  const lang::Program program_;
  const Effects effects_;
  const bool can_fault_;
  const std::unique_ptr<Runner> runner_;
};

/// Runs a launch on all threads, a small one in the calling thread.
ZMLX_API void run(const Launch& launch);

} // namespace zmlx::backend::cpu
