#include "tests/peer/liveness.h"

#include <algorithm>
#include <set>

#include "zmlx/lang/space.h"

namespace zmlx::test_peer {

using backend::Address;
using backend::Extent;
using backend::SequenceItem;
using backend::View;

namespace {

/// What an item does to memory.
struct Accesses {
  std::vector<Extent> read;
  std::vector<Extent> replaced; // every byte is written
  std::vector<Extent> changed; // some bytes may be
};

/// Whether every byte of the view's extent is an element's.
bool is_dense(const View& view) {
  int64_t distinct = static_cast<int64_t>(lang::size_of(view.type));
  for (size_t i = 0; i < view.shape.size(); ++i) {
    if (view.strides[i] == 0 && view.shape[i] > 1) {
      return false;
    }
    distinct *= view.shape[i];
  }
  const Extent extent = backend::extent_of(view);
  return !view.at && distinct == extent.end - extent.begin;
}

Accesses accesses_of(const SequenceItem& item) {
  Accesses accesses;
  const auto add_cell = [&](const View& view) {
    if (view.at) {
      accesses.read.push_back({view.at, view.at + sizeof(int32_t)});
    }
  };
  for (const View& view : item.inputs) {
    accesses.read.push_back(backend::extent_of(view));
    add_cell(view);
  }
  for (const View& view : item.outputs) {
    auto& written = is_dense(view) ? accesses.replaced : accesses.changed;
    written.push_back(backend::extent_of(view));
    add_cell(view);
  }
  return accesses;
}

bool any_overlaps(const std::vector<Extent>& extents, const Extent& part) {
  return std::ranges::any_of(
      extents, [&](const Extent& e) { return e.overlaps(part); });
}

/// Parts of the scratch memory that no access or kept value begins or ends
/// within.
std::vector<Extent> parts_of(
    const backend::Memory& scratch,
    const std::vector<Accesses>& accesses,
    const std::vector<Extent>& kept) {
  const Extent all{
      scratch.address, scratch.address + static_cast<int64_t>(scratch.bytes)};
  std::set<Address> cuts{all.begin, all.end};
  const auto cut = [&](const std::vector<Extent>& extents) {
    for (const Extent& e : extents) {
      cuts.insert(std::clamp(e.begin, all.begin, all.end));
      cuts.insert(std::clamp(e.end, all.begin, all.end));
    }
  };
  for (const Accesses& a : accesses) {
    cut(a.read);
    cut(a.replaced);
    cut(a.changed);
  }
  cut(kept);
  std::vector<Extent> parts;
  for (auto at = cuts.begin(); std::next(at) != cuts.end(); ++at) {
    parts.push_back({*at, *std::next(at)});
  }
  return parts;
}

/// The items after which the values that a part holds one after the other are
/// dead; items in the order in which they are listed, not in that of the run.
std::vector<int> deaths_of(
    const Extent& part,
    const std::vector<Accesses>& accesses,
    const std::vector<size_t>& position,
    bool kept) {
  std::vector<int> deaths;
  std::vector<int> users; // of the value now there
  const auto die = [&] {
    if (!users.empty()) {
      deaths.push_back(*std::ranges::max_element(
          users, {}, [&](int item) { return position[item]; }));
    }
  };
  for (size_t i = 0; i < accesses.size(); ++i) {
    const bool uses = any_overlaps(accesses[i].read, part) ||
        any_overlaps(accesses[i].changed, part);
    if (any_overlaps(accesses[i].replaced, part)) {
      if (!uses) { // else it writes over what it has just read
        die();
      }
      users = {static_cast<int>(i)};
    } else if (uses) {
      users.push_back(static_cast<int>(i));
    }
  }
  if (!kept) {
    die();
  }
  return deaths;
}

} // namespace

Liveness liveness_of(
    const std::vector<SequenceItem>& items,
    const std::vector<int>& order,
    const backend::Memory& scratch,
    const std::vector<View>& kept) {
  std::vector<Accesses> accesses;
  for (const auto& item : items) {
    accesses.push_back(accesses_of(item));
  }
  std::vector<Extent> kept_extents;
  for (const View& view : kept) {
    kept_extents.push_back(backend::extent_of(view));
  }
  std::vector<size_t> position(items.size());
  for (size_t p = 0; p < order.size(); ++p) {
    position[order[p]] = p;
  }
  Liveness liveness{{}, std::vector<std::vector<Extent>>(order.size())};
  for (const Extent& part : parts_of(scratch, accesses, kept_extents)) {
    const bool is_kept = any_overlaps(kept_extents, part);
    if (!is_kept) {
      liveness.meaningless.push_back(part);
    }
    for (int item : deaths_of(part, accesses, position, is_kept)) {
      liveness.dead[position[item]].push_back(part);
    }
  }
  return liveness;
}

} // namespace zmlx::test_peer
