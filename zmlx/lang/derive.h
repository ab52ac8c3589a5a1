#pragma once

#include <string>
#include <vector>

#include "zmlx/export.h"
#include "zmlx/lang/kernel.h"

namespace zmlx::lang {

/// The inputs of a gradient: those of the body, then one cotangent an output,
/// "d_" and its name, in the shape of the output.
ZMLX_API std::vector<Input> with_cotangents(const Body& body);

/// The output "d_<input>" whose value at each place (each row for a Scalar or
/// EachRow input) is `value`: in the type and shape of the input, summed where
/// it was broadcast.
ZMLX_API Output gradient_output(const Body& body, int input, Expr value);

/// Whether the gradient of an input was given by hand as a kernel of its own:
/// its inputs have other roles, its places another space, than those of the
/// gradients that derive() makes, or the outputs are inputs too.
ZMLX_API bool stands_apart(const Body& body, int input);

/// The vector-Jacobian product of a body as a body: inputs as with_cotangents()
/// says, one output for each of `wanted` (numbers of inputs), in their order.
/// Reverse mode over the tree: one rule an operation (derive.cpp). Nothing,
/// with the reason in *why, where a part has no derivative that is a kernel; a
/// gradient that was given by hand (Body::gradients) is taken as it is. One
/// that stands apart is derived alone, and its inputs may go on with the
/// outputs.
///
/// - Comparisons, roundings, integers, bits, random numbers, places and indices
///   have the derivative 0.
/// - max(a, b) gives its cotangent to a where a > b, else to b, as MLX does;
///   max_of, min_of and top_values to the lowest of equal places.
/// - as(T, x) and cast(T, x) pass their cotangent on where T is a float.
ZMLX_API std::optional<Body>
derive(const Body& body, const std::vector<int>& wanted, std::string* why);

} // namespace zmlx::lang
