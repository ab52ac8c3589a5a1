#pragma once

#include <map>
#include <mutex>

#include "tests/peer/executable.h"
#include "tests/peer/schedule.h"

namespace zmlx::test_peer {

/// Runs its items in the most inconvenient order that their effects allow
/// (schedule.h). Scratch memory without meaning is filled with NaN patterns:
/// before the run, and each value once its last reader has run.
class Sequence : public backend::Sequence {
 public:
  Sequence(
      std::vector<backend::SequenceItem> items,
      const backend::Memory& scratch,
      const std::vector<backend::View>& kept);

  /// In the peer's thread.
  void run();
  /// In the caller's, after it has waited: shows the faults of the runs so far.
  void tell_fault();
  std::optional<std::pair<int, backend::Fault>> fault() const override {
    return told_;
  }

 private:
  using Found = std::optional<std::pair<int, backend::Fault>>;

  const Executable& executable(int item) const;
  void read_early(const std::vector<EarlyRead>& early);
  void run_item(int item, Found& found);
  Array input(int item, int number);
  void refresh_last_row(int item, const Array& now, Array& copy) const;

  std::vector<backend::SequenceItem> items_;
  Schedule schedule_;
  /// Copies of what was read early, by item and input.
  std::map<std::pair<int, int>, std::vector<std::byte>> copies_;
  std::mutex mutex_;
  Found found_; // under the mutex
  Found told_;
};

} // namespace zmlx::test_peer
