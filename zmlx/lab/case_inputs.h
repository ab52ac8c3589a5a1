#pragma once

#include <functional>
#include <string>
#include <vector>

#include <mlx/mlx.h>

#include "zmlx/export.h"
#include "zmlx/lang/kernel.h"

/// Inputs for the cases that kernels list.
namespace zmlx::lab {

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
ZMLX_API std::string name_of(Layout layout);

using MakeDense = std::function<mx::array(const mx::Shape&)>;
/// An array of this shape, cut out of what `dense` makes; as made where it has
/// too few axes for the layout.
ZMLX_API mx::array
laid_out(const mx::Shape& shape, Layout layout, const MakeDense& dense);

/// What an input takes in a case: the case's own fill, else the kernel's, else
/// the ordinary one.
ZMLX_API lang::Fill
fill_of(const lang::Define& kernel, const lang::Case& c, size_t input);

/// Evaluated inputs of a case, the same in every run: what the fills say, in
/// `type` where they leave it open.
ZMLX_API std::vector<mx::array> inputs_of(
    const lang::Define& kernel,
    const lang::Case& c,
    mx::Dtype type,
    Layout layout);

/// Evaluated arrays of these shapes, evenly drawn from -1 to 1: cotangents and
/// directions.
ZMLX_API std::vector<mx::array> random_arrays(
    const std::vector<mx::Shape>& shapes,
    const std::vector<mx::Dtype>& types,
    Layout layout,
    uint64_t seed);

/// Whether an input is of a float type when float types are tested.
ZMLX_API bool
is_float_input(const lang::Define& kernel, const lang::Case& c, size_t input);
/// The inputs that gradients are taken of.
ZMLX_API std::vector<int> float_inputs(
    const lang::Define& kernel,
    const lang::Case& c);

} // namespace zmlx::lab
