#pragma once

#include <string>

#include "zmlx/export.h"
#include "zmlx/graph/node.h"

namespace zmlx::graph {

/// The stage that a body's trees need, told from their operations alone. Alone:
/// it counts places, sums over rows or reads tables, so that its meaning hangs
/// on the space it was written for; it stays a kernel of its own.
enum class Form : uint8_t { Map, Row, Product, Attention, Alone };
ZMLX_API Form form_of(const lang::Body& body);

/// Puts the formula of `producer` in the place of what `consumer` reads of it:
/// the consumer becomes one kernel that does both, and the producer is left
/// without readers (compact() drops it). Changes nothing and returns false,
/// with the reason in *why, where
///  - another node or an output also reads the producer,
///  - the consumer reads it in another order than it is made in,
///  - no back end has a stage for the resulting formula.
ZMLX_API bool fuse(Graph& graph, int producer, int consumer, std::string* why);

/// Makes one kernel with the results of both nodes out of two that share no
/// result, in the place of `first`, and points the readers of `second` at it.
/// False with the reason where an operand of `second` is made after `first`, or
/// no back end has a stage for both.
ZMLX_API bool merge(Graph& graph, int first, int second, std::string* why);

} // namespace zmlx::graph
