#include "zmlx/backend/cpu/attendance.h"

#include <algorithm>

namespace zmlx::backend::cpu {

namespace {

using std::chrono::milliseconds;

constexpr Attendance::Clock::duration kLongWait =
    std::chrono::microseconds(300);
constexpr Attendance::Clock::duration kFirstPause = milliseconds(10);
constexpr Attendance::Clock::duration kLongestPause = milliseconds(160);
// Who was back for longer than this starts again with the first pause.
constexpr Attendance::Clock::duration kSoon = milliseconds(50);

} // namespace

bool Attendance::take_back(Clock::time_point now) {
  bool any = false;
  for (auto& thread : threads_) {
    if (thread.away && now >= thread.back) {
      thread.away = false;
      thread.back = now;
      --away_;
      any = true;
    }
  }
  return any;
}

bool Attendance::waited_for(
    int number,
    Clock::duration waited,
    Clock::duration had_core,
    Clock::time_point now) {
  auto& thread = threads_[number];
  if (number == 0 || thread.away || waited < kLongWait ||
      had_core >= waited / 2) {
    return false;
  }
  const bool again =
      thread.pause > Clock::duration{} && now - thread.back < kSoon;
  thread.pause =
      again ? std::min(2 * thread.pause, kLongestPause) : kFirstPause;
  thread.away = true;
  thread.back = now + thread.pause;
  ++away_;
  return true;
}

} // namespace zmlx::backend::cpu
