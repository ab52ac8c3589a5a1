#include <algorithm>
#include <atomic>
#include <barrier>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <thread>
#include <vector>

#include <sys/mman.h>

#include "zmlx/base/errors.h"
#include "zmlx/measure/bandwidth_loops.h"
#include "zmlx/measure/device.h"

namespace zmlx::measure {
namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;

// Memory of its own pages; large pages, so that the loops measure memory and
// not address translation.
class Pages {
 public:
  explicit Pages(std::size_t floats) : floats_(floats) {
    // One huge page more, to start on a border.
    bytes_ = floats * sizeof(float) + huge_page;
    start_ = mmap(
        nullptr,
        bytes_,
        PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS,
        -1,
        0);
    if (start_ == MAP_FAILED) {
      throw environment_error(
          "memory rate: cannot map {} bytes: {}", bytes_, std::strerror(errno));
    }
    madvise(start_, bytes_, MADV_HUGEPAGE); // a wish: it may be refused
  }
  ~Pages() {
    munmap(start_, bytes_);
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  std::span<float> floats() const {
    auto address = reinterpret_cast<std::uintptr_t>(start_);
    address = (address + huge_page - 1) / huge_page * huge_page;
    return {reinterpret_cast<float*>(address), floats_};
  }

 private:
  std::size_t floats_;
  std::size_t bytes_;
  void* start_;
};

void check(const BandwidthOptions& options) {
  if (options.threads < 1 || options.threads > 1024 || options.repeats < 1) {
    throw user_error(
        "memory rate: expected 1 to 1024 threads and at least one repeat, got "
        "{} and {}",
        options.threads,
        options.repeats);
  }
}

std::size_t pass_bytes(const BandwidthOptions& options) {
  if (options.bytes != 0) {
    return options.bytes;
  }
  auto facts = device_facts();
  std::size_t least = std::size_t{256} << 20, most = std::size_t{1} << 30;
  auto wanted =
      std::clamp(2 * std::max(facts.l3_bytes, facts.l2_bytes), least, most);
  return facts.memory_bytes ? std::min(wanted, facts.memory_bytes / 8) : wanted;
}

// The part of thread t: whole blocks, so that every loop runs without a tail.
std::size_t border(std::size_t floats, int t, int threads) {
  auto blocks = floats / bandwidth_block;
  return blocks * static_cast<std::size_t>(t) /
      static_cast<std::size_t>(threads) * bandwidth_block;
}

// Runs `prepare` and then `repeats` timed passes of `pass` on every thread's
// part [begin, end). Threads live through all passes; a pass lasts from the
// last to start until the last to end.
std::vector<double> time_passes(
    std::size_t floats,
    const BandwidthOptions& options,
    const std::function<void(std::size_t begin, std::size_t end)>& prepare,
    const std::function<void(std::size_t begin, std::size_t end)>& pass) {
  using Clock = std::chrono::steady_clock;
  std::vector<Clock::time_point> ticks;
  ticks.reserve(static_cast<std::size_t>(options.repeats) + 2);
  // The last to arrive takes the time, once for all.
  std::barrier line(
      options.threads, [&]() noexcept { ticks.push_back(Clock::now()); });
  auto work = [&](int t) {
    auto begin = border(floats, t, options.threads);
    auto end = border(floats, t + 1, options.threads);
    prepare(begin, end);
    pass(begin, end);
    line.arrive_and_wait();
    for (int i = 0; i < options.repeats; ++i) {
      pass(begin, end);
      line.arrive_and_wait();
    }
  };
  {
    std::vector<std::jthread> others;
    for (int t = 1; t < options.threads; ++t) {
      others.emplace_back(work, t);
    }
    work(0);
  }
  std::vector<double> seconds;
  for (std::size_t i = 1; i < ticks.size(); ++i) {
    seconds.push_back(
        std::chrono::duration<double>(ticks[i] - ticks[i - 1]).count());
  }
  return seconds;
}

Bandwidth
make_bandwidth(std::vector<double> seconds, std::size_t bytes, int threads) {
  for (auto& value : seconds) {
    value = static_cast<double>(bytes) / value;
  }
  return {summarize(seconds), bytes, threads};
}

std::size_t whole_blocks(std::size_t bytes) {
  auto floats = bytes / sizeof(float) / bandwidth_block * bandwidth_block;
  return std::max(floats, bandwidth_block);
}

} // namespace

Bandwidth read_bandwidth(const BandwidthOptions& options) {
  check(options);
  auto floats = whole_blocks(pass_bytes(options));
  Pages pages(floats);
  auto data = pages.floats();
  std::atomic<std::uint32_t> sink{0};
  auto rate_of = [&](auto read) {
    auto seconds = time_passes(
        floats,
        options,
        [&](std::size_t begin, std::size_t end) {
          std::fill(data.begin() + begin, data.begin() + end, 1.0f);
        },
        [&](std::size_t begin, std::size_t end) {
          sink += read(data.data() + begin, end - begin);
        });
    return make_bandwidth(
        std::move(seconds), floats * sizeof(float), options.threads);
  };
  auto forward = rate_of(read_forward), four = rate_of(read_four);
  return forward.bytes_per_second.median > four.bytes_per_second.median
      ? forward
      : four;
}

Bandwidth triad_bandwidth(const BandwidthOptions& options) {
  check(options);
  auto floats = whole_blocks(pass_bytes(options) / 3);
  Pages a_pages(floats), b_pages(floats), c_pages(floats);
  auto a = a_pages.floats(), b = b_pages.floats(), c = c_pages.floats();
  auto seconds = time_passes(
      floats,
      options,
      [&](std::size_t begin, std::size_t end) {
        std::fill(b.begin() + begin, b.begin() + end, 1.0f);
        std::fill(c.begin() + begin, c.begin() + end, 2.0f);
      },
      [&](std::size_t begin, std::size_t end) {
        triad(
            a.data() + begin, b.data() + begin, c.data() + begin, end - begin);
      });
  if (std::any_of(a.begin(), a.end(), [](float v) { return v != 7.0f; })) {
    throw internal_error("memory rate: the triad gave a wrong sum");
  }
  return make_bandwidth(
      std::move(seconds), 3 * floats * sizeof(float), options.threads);
}

} // namespace zmlx::measure
