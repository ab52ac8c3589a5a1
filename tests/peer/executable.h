#pragma once

#include <memory>

#include "tests/peer/array.h"
#include "zmlx/lang/program.h"

namespace zmlx::test_peer {

class Executable : public backend::Executable,
                   public std::enable_shared_from_this<Executable> {
 public:
  explicit Executable(lang::Program program);
  /// With effects that may be wrong, for tests of what that leads to.
  Executable(lang::Program program, backend::Effects effects);

  const lang::Program& program() const {
    return program_;
  }
  const backend::Effects& effects() const override {
    return effects_;
  }
  bool can_fault() const override {
    return can_fault_;
  }
  std::optional<backend::Fault> evaluate(
      backend::mx::Stream stream,
      const std::vector<backend::mx::array>& inputs,
      std::vector<backend::mx::array>& outputs) const override;

  /// In the peer's thread.
  std::optional<backend::Fault> run(
      std::vector<Array> inputs,
      std::vector<Array> outputs) const;

  /// InternalError where arrays of these views are not what the program takes.
  void check(
      const std::vector<backend::View>& inputs,
      const std::vector<backend::View>& outputs) const;

 private:
  const lang::Program program_;
  const backend::Effects effects_;
  const bool can_fault_;
};

} // namespace zmlx::test_peer
