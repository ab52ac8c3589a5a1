#pragma once

#include <string>
#include <string_view>

namespace zmlx::backend::cuda {

struct Compiled {
  std::string image;
  std::string warnings; // "" where there are none
};

/// A kernel's text as the code of one architecture ("sm_90a"). EnvironmentError
/// where there is no NVRTC; InternalError with the compiler's words where it
/// refuses the text.
Compiled compile_text(const std::string& source, std::string_view architecture);

/// "13.0"; EnvironmentError where there is no NVRTC.
std::string nvrtc_version();

/// The code that a device of this compute capability (10 * major + minor)
/// runs: "sm_80", "sm_90a".
std::string architecture_name(int capability);

} // namespace zmlx::backend::cuda
