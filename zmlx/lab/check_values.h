#pragma once

#include <functional>
#include <string>
#include <vector>

#include "zmlx/lab/check.h"

/// Parts of check.h: outputs against the reference.
namespace zmlx::lab {

/// How far the outputs of a body may be from exact ones.
ZMLX_API measure::OpClass class_of(const lang::Body& body);

/// Whether any tree of the body has such a node.
ZMLX_API bool has_node(
    const lang::Body& body,
    const std::function<bool(const lang::Node&)>& is_one);

/// Runs `work`; what it throws is a failure.
void guarded(
    KernelCheck& found,
    Check check,
    const std::string& where,
    const std::function<void()>& work);

/// The kernel on these inputs against the reference in float64.
void check_outputs(
    const op::Op& kernel,
    const lang::Attributes& attributes,
    const std::vector<mx::array>& inputs,
    Check check,
    const std::string& where,
    KernelCheck& found);

} // namespace zmlx::lab
