#include "zmlx/base/other_load.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

namespace zmlx {

namespace {

constexpr double kShortest = 0.2; // seconds

std::vector<int> own_cpus() {
  std::vector<int> cpus;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) {
        cpus.push_back(cpu);
      }
    }
  }
  return cpus;
}

std::string read_stat() {
  std::ifstream file("/proc/stat");
  return {std::istreambuf_iterator<char>(file), {}};
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * time.tv_usec;
}

/// The number of "cpu3"; -1 for other words, and for "cpu", the sum of all.
int cpu_number(std::string_view word) {
  int number = -1;
  if (word.starts_with("cpu")) {
    std::from_chars(word.data() + 3, word.data() + word.size(), number);
  }
  return number;
}

} // namespace

std::optional<double>
busy_seconds(std::string_view stat, std::span<const int> cpus, double tick) {
  double ticks = 0;
  size_t found = 0;
  std::istringstream lines{std::string(stat)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name;
    // proc(5): what guests had is part of user and nice.
    double user = 0, nice = 0, system = 0, idle = 0, iowait = 0;
    double irq = 0, softirq = 0, steal = 0;
    words >> name;
    if (std::ranges::count(cpus, cpu_number(name)) == 0) {
      continue;
    }
    words >> user >> nice >> system >> idle >> iowait >> irq >> softirq >>
        steal;
    if (!words) {
      return std::nullopt;
    }
    ticks += user + nice + system + irq + softirq + steal;
    ++found;
  }
  if (found == 0 || found != cpus.size()) {
    return std::nullopt;
  }
  return ticks * tick;
}

OtherLoad::Moment OtherLoad::now() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const double tick = 1.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
  return {
      std::chrono::steady_clock::now(),
      busy_seconds(read_stat(), own_cpus(), tick),
      seconds(usage.ru_utime) + seconds(usage.ru_stime)};
}

OtherLoad::OtherLoad() : begin_(now()) {}

std::optional<double> OtherLoad::cpus() const {
  const auto end = now();
  const double passed =
      std::chrono::duration<double>(end.time - begin_.time).count();
  if (!end.busy || !begin_.busy || passed < kShortest) {
    return std::nullopt;
  }
  const double others = (*end.busy - *begin_.busy) - (end.own - begin_.own);
  return std::max(0.0, others / passed);
}

} // namespace zmlx
