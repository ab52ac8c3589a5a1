#pragma once

#include <array>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "zmlx/export.h"
#include "zmlx/measure/tolerance.h"
#include "zmlx/op/op.h"

/// Whether kernels compute what their formulas say: every kernel in every case,
/// type and layout, values and gradients. Names no kernel.
namespace zmlx::lab {

namespace mx = mlx::core;

/// What is held against what.
enum class Check {
  /// The outputs against op::reference in float64.
  value,
  /// NaN and infinities in one float input at a time, against the same. Not for
  /// kernels with weights.
  special,
  /// Rows with equal values, for kernels that choose among the values of a row.
  ties,
  /// A row of zeros in one float input at a time, for kernels whose gradient
  /// divides by what is made of a row: where all outputs are finite, so is the
  /// gradient.
  zeros,
  /// No rows, and rows without elements.
  empty,
  /// The gradient through mx::vjp against the body of the gradient in float64.
  gradient,
  /// Of the formula, so on the default device alone.
  /// The gradient in float64 (in float32 through mx::vjp where it is no kernel)
  /// against central differences of the reference in float64: along
  /// random directions, and by element for small inputs. A stop_gradient must
  /// not change the derivative.
  derivative,
  /// Whether what ran, gradients included, was our kernel, not the reference.
  fallback,
};
inline constexpr size_t kChecks = 8;
ZMLX_API const char* name_of(Check check);

struct CheckFailure {
  Check check = Check::value;
  std::string where; // "(33, 64) with (64), float16, strided, output out"
  std::string what;
};

/// What was found about one kernel.
struct ZMLX_API KernelCheck {
  /// Where the kernel runs; nothing is MLX's default device.
  mx::StreamOrDevice stream = {};
  std::string kernel;
  std::string family;
  std::vector<std::string> input_types; // "indices: int32"; "x: tested types"
  bool on_cpu = true; // our kernel ran, in every case
  std::string why_not_on_cpu;
  /// Inputs whose gradient is a kernel, and those whose is not, with the
  /// reason.
  std::vector<std::string> gradient_inputs;
  std::map<std::string, std::string> no_gradient;
  bool gradient_on_cpu = true; // of the gradients that are kernels
  std::string why_gradient_not_on_cpu;
  int cases = 0;
  std::array<int64_t, kChecks> comparisons{}; // arrays, by Check
  int64_t values = 0;
  std::vector<CheckFailure> failures; // the first kKept
  int64_t failed = 0; // all of them

  bool ok() const {
    return failed == 0;
  }
  int64_t all_comparisons() const;
  void compared(
      Check check,
      const std::string& where,
      const measure::Comparison& result);
  void fail(Check check, std::string where, std::string what);

  static constexpr size_t kKept = 20;
};

/// One kernel, all checks. What a check throws is a failure of the kernel.
/// `progress` is told before each case; what it throws ends the check. The
/// kernel runs on `stream`; what it is held against does not.
ZMLX_API KernelCheck check_kernel(
    const op::Op& kernel,
    const std::function<void(const lang::Case&)>& progress = {},
    mx::StreamOrDevice stream = {});

/// Told before each case: which kernel, cases done, of how many.
using CheckProgress =
    std::function<void(const std::string& kernel, int done, int total)>;

ZMLX_API std::vector<KernelCheck> check_kernels(
    const std::vector<const op::Op*>& kernels,
    const CheckProgress& progress = {},
    mx::StreamOrDevice stream = {});

} // namespace zmlx::lab
