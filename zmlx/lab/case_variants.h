#pragma once

#include <string>
#include <vector>

#include <mlx/mlx.h>

#include "zmlx/export.h"
#include "zmlx/lang/kernel.h"

/// Cases made from those that a kernel lists.
namespace zmlx::lab {

namespace mx = mlx::core;

/// Evaluated inputs of a case that was changed.
struct Variant {
  std::string name; // "x has NaN"
  std::vector<mx::array> inputs;
};

/// A few cases that stand for all: with each set of attributes the largest of
/// at most `elements` elements, none of them empty.
ZMLX_API std::vector<lang::Case> typical_cases(
    const lang::Kernel& kernel,
    int64_t elements);

/// A few elements of one float input replaced by NaN, by infinity, by minus
/// infinity; an input at a time. Inputs whose type or range is fixed keep their
/// values.
ZMLX_API std::vector<Variant> special_variants(
    const lang::Define& kernel,
    const lang::Case& c,
    mx::Dtype type);

/// Float inputs take three values only, so that rows have equal ones.
ZMLX_API Variant
tied_variant(const lang::Define& kernel, const lang::Case& c, mx::Dtype type);

/// The first row of one float input is zeros; an input at a time.
ZMLX_API std::vector<Variant>
zero_variants(const lang::Define& kernel, const lang::Case& c, mx::Dtype type);

/// The case with no rows, and with rows of no elements; those of the two that
/// the kernel takes.
ZMLX_API std::vector<lang::Case> empty_cases(
    const lang::Define& kernel,
    const lang::Case& c);

} // namespace zmlx::lab
