#pragma once

#include "zmlx/backend/order.h"

namespace zmlx::test_peer {

/// What of the scratch memory of a sequence means nothing, and when.
struct Liveness {
  /// Before the run: all but what is kept.
  std::vector<backend::Extent> meaningless;
  /// By position in `order`: values that nobody reads after it.
  std::vector<std::vector<backend::Extent>> dead;
};

Liveness liveness_of(
    const std::vector<backend::SequenceItem>& items,
    const std::vector<int>& order,
    const backend::Memory& scratch,
    const std::vector<backend::View>& kept);

} // namespace zmlx::test_peer
