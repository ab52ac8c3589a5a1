#include "tests/peer/sequence.h"

#include <algorithm>
#include <cstring>

#include "tests/peer/memory.h"
#include "zmlx/base/errors.h"

namespace zmlx::test_peer {

using backend::Extent;
using backend::View;

namespace {

std::byte* reach(const Extent& extent) {
  return test_peer::reach(
      extent.begin, static_cast<size_t>(extent.end - extent.begin));
}

/// Every bit set: NaN in all float types, -1 in the signed integers.
void poison(const std::vector<Extent>& extents) {
  for (const Extent& extent : extents) {
    std::memset(
        reach(extent), 0xFF, static_cast<size_t>(extent.end - extent.begin));
  }
}

} // namespace

Sequence::Sequence(
    std::vector<backend::SequenceItem> items,
    const backend::Memory& scratch,
    const std::vector<View>& kept)
    : items_(std::move(items)) {
  for (const auto& item : items_) {
    const auto* mine = dynamic_cast<const Executable*>(item.executable.get());
    if (!mine) {
      throw internal_error(
          "test peer: a sequence with an executable of another peer");
    }
    mine->check(item.inputs, item.outputs);
  }
  schedule_ = schedule_of(items_, scratch, kept);
}

const Executable& Sequence::executable(int item) const {
  return static_cast<const Executable&>(*items_[item].executable);
}

void Sequence::run() {
  Found found;
  poison(schedule_.meaningless);
  read_early(schedule_.early);
  for (const Step& step : schedule_.steps) {
    run_item(step.item, found);
    poison(step.dead);
    read_early(step.early);
  }
  std::lock_guard lock(mutex_);
  found_ = found_ ? found_ : found;
}

void Sequence::tell_fault() {
  std::lock_guard lock(mutex_);
  told_ = found_;
}

void Sequence::read_early(const std::vector<EarlyRead>& early) {
  for (const auto& [item, input] : early) {
    const Extent extent = backend::extent_of(items_[item].inputs[input]);
    const std::byte* begin = reach(extent);
    copies_[{item, input}].assign(begin, begin + (extent.end - extent.begin));
  }
}

void Sequence::run_item(int item, Found& found) {
  std::vector<Array> inputs, outputs;
  for (size_t k = 0; k < items_[item].inputs.size(); ++k) {
    inputs.push_back(input(item, static_cast<int>(k)));
  }
  for (const View& view : items_[item].outputs) {
    outputs.push_back(find_array(view));
  }
  const auto fault =
      executable(item).run(std::move(inputs), std::move(outputs));
  if (fault && (!found || item < found->first)) {
    found = std::pair(item, *fault);
  }
}

Array Sequence::input(int item, int number) {
  const View& view = items_[item].inputs[number];
  const Array now = find_array(view);
  const auto copied = copies_.find({item, number});
  if (copied == copies_.end() || !now.data) {
    return now;
  }
  Array copy = now;
  copy.data =
      copied->second.data() + (now.data - reach(backend::extent_of(view)));
  if (executable(item).effects().inputs[number] ==
      backend::Reads::EarlyButLastRow) {
    refresh_last_row(item, now, copy);
  }
  return copy;
}

/// Keys or values of an attention: the last row that its length names is read
/// when the item runs.
void Sequence::refresh_last_row(int item, const Array& now, Array& copy) const {
  const lang::Program& program = executable(item).program();
  if (program.stage != lang::Stage::Attention) {
    return;
  }
  const Array length =
      find_array(items_[item].inputs[program.attention.length]);
  const auto last =
      std::min<int64_t>(read<int32_t>(length.type, length.data), now.shape[2]) -
      1;
  if (last < 0) {
    return;
  }
  for (int64_t b = 0; b < now.shape[0]; ++b) {
    for (int64_t h = 0; h < now.shape[1]; ++h) {
      for (int64_t d = 0; d < now.shape[3]; ++d) {
        const int64_t at = (b * now.strides[0] + h * now.strides[1] +
                            last * now.strides[2] + d * now.strides[3]) *
            now.item();
        std::memcpy(
            copy.data + at, now.data + at, static_cast<size_t>(now.item()));
      }
    }
  }
}

} // namespace zmlx::test_peer
