#include "cli/progress.h"

#include <fmt/format.h>

#include "zmlx/base/settings.h"
#include "zmlx/base/text.h"

namespace zmlx::cli {

namespace {

constexpr auto interval = std::chrono::milliseconds(100);
constexpr int narrowest = 40;
// To the start of the line, and clear it.
constexpr char erase[] = "\r\033[K";

} // namespace

Progress::Progress(std::FILE* file, std::string unit)
    : file_(file),
      unit_(std::move(unit)),
      visible_(is_terminal(file)),
      start_(Clock::now()),
      last_(start_) {}

Progress::~Progress() {
  if (drawn_) {
    std::fputs(erase, file_);
    std::fflush(file_);
  }
}

void Progress::update(const std::string& item, uint64_t done, uint64_t total) {
  const auto now = Clock::now();
  if (!visible_ || now - last_ < interval) {
    return;
  }
  last_ = now;
  drawn_ = true;
  std::fputs((erase + line(item, done, total)).c_str(), file_);
  std::fflush(file_);
}

std::string
Progress::line(const std::string& item, uint64_t done, uint64_t total) const {
  const double seconds = std::chrono::duration<double>(last_ - start_).count();
  const double rate = seconds > 0 ? done / seconds : 0;
  std::string numbers = fmt::format(
      "{:3.0f} %  {}",
      total ? 100.0 * done / total : 0.0,
      unit_.empty() ? format_rate(rate)
                    : fmt::format("{} {}/s", format_number(rate), unit_));
  if (rate > 0 && total > done) {
    numbers += fmt::format("  {} left", format_seconds((total - done) / rate));
  }
  const int width = terminal_width(file_).value_or(80);
  const int room =
      std::max(width, narrowest) - 3 - static_cast<int>(display_width(numbers));
  return fmt::format("{:.{}}  {}", item, std::max(room, 0), numbers);
}

} // namespace zmlx::cli
