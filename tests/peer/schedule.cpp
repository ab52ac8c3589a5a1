#include "tests/peer/schedule.h"

#include <algorithm>

#include "tests/peer/liveness.h"

namespace zmlx::test_peer {

using backend::Extent;
using backend::SequenceItem;
using backend::View;

std::vector<int> latest_order(const std::vector<backend::Waits>& waits) {
  // From the end on: the first of the items that no item left is waiting for.
  const size_t count = waits.size();
  std::vector<int> waiting(count); // items left that wait for this one
  for (const auto& w : waits) {
    for (int earlier : w.items) {
      waiting[earlier]++;
    }
  }
  std::vector<bool> placed(count);
  std::vector<int> order;
  while (order.size() < count) {
    size_t next = 0;
    while (placed[next] || waiting[next] > 0) {
      ++next;
    }
    placed[next] = true;
    order.push_back(static_cast<int>(next));
    for (int earlier : waits[next].items) {
      waiting[earlier]--;
    }
  }
  std::ranges::reverse(order);
  return order;
}

namespace {

bool is_written(const std::vector<SequenceItem>& items, const View& view) {
  const Extent extent = backend::extent_of(view);
  return std::ranges::any_of(items, [&](const SequenceItem& item) {
    return std::ranges::any_of(item.outputs, [&](const View& output) {
      return backend::extent_of(output).overlaps(extent);
    });
  });
}

} // namespace

Schedule schedule_of(
    const std::vector<SequenceItem>& items,
    const backend::Memory& scratch,
    const std::vector<View>& kept) {
  const auto waits = backend::waits_of(items);
  const auto order = latest_order(waits);
  auto liveness = liveness_of(items, order, scratch, kept);
  Schedule schedule{std::move(liveness.meaningless), {}, {}};
  std::vector<size_t> position(items.size());
  for (size_t p = 0; p < order.size(); ++p) {
    position[order[p]] = p;
    schedule.steps.push_back({order[p], std::move(liveness.dead[p]), {}});
  }
  for (size_t i = 0; i < items.size(); ++i) {
    for (size_t k = 0; k < items[i].inputs.size(); ++k) {
      const int last_writer = waits[i].early[k];
      if (last_writer == -2 || !is_written(items, items[i].inputs[k])) {
        continue;
      }
      auto& early = last_writer < 0
          ? schedule.early
          : schedule.steps[position[last_writer]].early;
      early.push_back({static_cast<int>(i), static_cast<int>(k)});
    }
  }
  return schedule;
}

} // namespace zmlx::test_peer
