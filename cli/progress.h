#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace zmlx::cli {

/// One line that says how far a work of many bytes, or other units, is: item,
/// share, rate and time left. Drawn at most ten times per second, only where
/// `file` is a terminal, and gone when the object is.
class Progress {
 public:
  /// `unit` is what is counted where that is not bytes: "cases".
  explicit Progress(std::FILE* file = stderr, std::string unit = "");
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` of `total`; any order of calls is fine, a total of 0 too.
  void update(const std::string& item, uint64_t done, uint64_t total);

 private:
  using Clock = std::chrono::steady_clock;

  std::string line(const std::string& item, uint64_t done, uint64_t total)
      const;

  std::FILE* file_;
  std::string unit_;
  bool visible_;
  bool drawn_ = false;
  Clock::time_point start_;
  Clock::time_point last_;
};

} // namespace zmlx::cli
