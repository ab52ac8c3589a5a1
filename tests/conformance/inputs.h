#pragma once

#include <string>
#include <vector>

#include <mlx/mlx.h>

#include "zmlx/lang/kernel.h"

namespace zmlx::conformance {

namespace mx = mlx::core;

/// How the memory of inputs lies.
enum class Layout {
  dense,
  strided, // every second element of a longer row
  transposed, // the last two axes swapped
  offset, // behind other elements of one buffer
  reversed, // negative strides
  broadcast, // the first axis has stride 0
};
inline constexpr Layout kLayouts[] = {
    Layout::dense,
    Layout::strided,
    Layout::transposed,
    Layout::offset,
    Layout::reversed,
    Layout::broadcast};
std::string name_of(Layout layout);

/// Evaluated inputs of a case, the same in every run: what the kernel's fills
/// say, in `type` where they leave it open.
std::vector<mx::array> inputs_of(
    const lang::Define& kernel,
    const lang::Case& c,
    mx::Dtype type,
    Layout layout);

} // namespace zmlx::conformance
