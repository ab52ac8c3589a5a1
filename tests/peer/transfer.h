#pragma once

#include "tests/peer/array.h"

/// Explicit copies between arrays of MLX and memory of the peer.
namespace zmlx::test_peer {

/// An array of MLX by its memory, which the host may touch. Its data need not
/// be there yet. Axes along which it is broadcast have one element.
Array host_array(const backend::mx::array& a);

/// The elements in row-major order.
std::vector<std::byte> gather(const Array& array);

/// The view of adjacent elements in row-major order.
backend::View
dense_view(backend::Address data, lang::Type type, const lang::Shape& shape);

/// An array's elements, which lie in row-major order, as the array that MLX
/// sees: broadcast to `shape`.
backend::View broadcast_view(
    const backend::View& dense,
    const lang::Shape& shape);

lang::Type type_of(const backend::mx::array& a);

} // namespace zmlx::test_peer
