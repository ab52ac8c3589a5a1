#pragma once

#include <string>
#include <vector>

#include "zmlx/backend/cfamily/kernel.h"
#include "zmlx/backend/cfamily/text.h"

namespace zmlx::backend::cfamily {

/// The parameters that a kernel turns out to need while its text is written.
class Signature {
 public:
  Signature(const lang::Program& program, const Layout& layout)
      : program_(program), layout_(layout) {}

  /// The name of a parameter, which the kernel has from now on.
  std::string name(const Parameter& parameter);
  std::string rows() {
    return name({Parameter::Rows});
  }
  std::string width() {
    return name({Parameter::Width});
  }

  /// "const bfloat16* __restrict__ in0, ..."
  std::string text(const Dialect& dialect) const;
  const std::vector<Parameter>& parameters() const {
    return parameters_;
  }

 private:
  const lang::Program& program_;
  const Layout& layout_;
  std::vector<Parameter> parameters_;
};

/// "in0", "out1"
std::string array_name(bool output, int number);

} // namespace zmlx::backend::cfamily
