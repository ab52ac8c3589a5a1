#pragma once

#include <memory>
#include <string>
#include <vector>

#include <mlx/mlx.h>

#include "zmlx/export.h"
#include "zmlx/lang/kernel.h"
#include "zmlx/op/call.h"

/// Kernels as nodes of MLX's graph. A node works under eval, async_eval, grad,
/// vjp, jvp, vmap and compile. Gradients are kernels too (lang/derive.h), with
/// MLX's matrix product where the body has a product (op/split.h), and the
/// reference's (op/reference.h) where one cannot be derived; vmap is one call
/// or several (op/vmap.h), jvp the reference's.
namespace zmlx::op {

namespace mx = mlx::core;

/// The outputs of a body on these inputs, in MLX's graph. Evaluates nothing:
/// inputs may be placeholders without data. UserError, naming the kernel, where
/// number, types or shapes of the inputs do not fit.
ZMLX_API std::vector<mx::array> apply(
    const std::shared_ptr<const Call>& call,
    std::vector<mx::array> inputs,
    mx::StreamOrDevice stream = {});

ZMLX_API std::vector<mx::array> apply(
    const std::string& kernel,
    const lang::Body& body,
    std::vector<mx::array> inputs,
    const lang::Attributes& attributes = {});

/// The call whose output `a` is (number a.sibling_position()); null where
/// another primitive, or none, made it. Lives as long as a's primitive.
ZMLX_API const Call* call_of(const mx::array& a);
/// The same, to keep.
ZMLX_API std::shared_ptr<const Call> shared_call_of(const mx::array& a);

/// Evaluations and gradients that the reference did because no peer could, or
/// because there is no gradient as a kernel.
struct Fallback {
  std::string kernel;
  std::string reason;
  int64_t count;
};
ZMLX_API std::vector<Fallback> fallbacks();

} // namespace zmlx::op
