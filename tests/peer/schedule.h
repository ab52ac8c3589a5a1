#pragma once

#include <vector>

#include "zmlx/backend/order.h"

/// The most inconvenient order that the effects of a sequence allow.
namespace zmlx::test_peer {

/// An input of an item that is copied before the item runs, and read from the
/// copy.
struct EarlyRead {
  int item, input;
};

struct Step {
  int item;
  /// What nobody reads any more once the item has run.
  std::vector<backend::Extent> dead;
  /// What may be read from now on.
  std::vector<EarlyRead> early;
};

struct Schedule {
  /// Memory that means nothing before the run.
  std::vector<backend::Extent> meaningless;
  /// What may be read before anything has run.
  std::vector<EarlyRead> early;
  std::vector<Step> steps;
};

/// Every item runs as late as those that wait for it allow, so that of items
/// that do not wait for each other the later one runs first. What may be read
/// early is read at the first moment, where some item writes there at all.
Schedule schedule_of(
    const std::vector<backend::SequenceItem>& items,
    const backend::Memory& scratch,
    const std::vector<backend::View>& kept);

/// Numbers of items in the order in which they run.
std::vector<int> latest_order(const std::vector<backend::Waits>& waits);

} // namespace zmlx::test_peer
