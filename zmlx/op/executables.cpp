#include "zmlx/op/executables.h"

#include <chrono>
#include <future>
#include <mutex>
#include <unordered_map>

#include <fmt/format.h>

#include "zmlx/backend/backend.h"
#include "zmlx/lang/lower.h"

namespace zmlx::op {

namespace {

struct Entry {
  std::shared_ptr<const backend::Executable> executable;
  std::string reason; // where there is none
};

struct Cache {
  std::mutex mutex;
  // A future, so that whoever comes second waits for the first one's work
  // while other keys go on.
  std::unordered_map<std::string, std::shared_future<Entry>> entries;
  ExecutableCounts counts;
};

Cache& cache() {
  static auto* instance = new Cache; // streams' threads may outlive statics
  return *instance;
}

/// The program that the device's peer runs; nothing, with the reason, where
/// there is none.
std::optional<lang::Program> runnable_program(
    const lang::Body& body,
    const std::vector<lang::Type>& types,
    mx::Device device,
    std::string* why) {
  const backend::Peer* peer = backend::find_peer(device);
  if (!peer) {
    *why = fmt::format(
        "no peer for {} {}",
        device.type == mx::Device::cpu ? "CPU" : "GPU",
        device.index);
    return std::nullopt;
  }
  auto program = lang::lower(body, types, why);
  if (!program) {
    return std::nullopt;
  }
  if (auto reason = peer->unsupported(*program)) {
    *why = *reason;
    return std::nullopt;
  }
  return program;
}

Entry make(
    const lang::Body& body,
    const std::vector<lang::Type>& types,
    mx::Device device) {
  Entry entry;
  if (auto program = runnable_program(body, types, device, &entry.reason)) {
    entry.executable = backend::find_peer(device)->compile(*program);
  }
  return entry;
}

Entry find(
    const lang::Body& body,
    const std::string& content_key,
    const std::vector<lang::Type>& types,
    mx::Device device) {
  std::string key = fmt::format(
      "{}{}:{}", static_cast<int>(device.type), device.index, content_key);
  for (auto type : types) {
    key.push_back(static_cast<char>(type));
  }
  Cache& c = cache();
  std::promise<Entry> promise;
  {
    std::unique_lock lock(c.mutex);
    if (auto it = c.entries.find(key); it != c.entries.end()) {
      c.counts.hits++;
      auto entry = it->second;
      lock.unlock();
      return entry.get();
    }
    c.counts.misses++;
    c.entries.emplace(key, promise.get_future().share());
  }
  const auto start = std::chrono::steady_clock::now();
  try {
    Entry entry = make(body, types, device);
    promise.set_value(entry);
    const std::chrono::duration<double> took =
        std::chrono::steady_clock::now() - start;
    std::lock_guard lock(c.mutex);
    c.counts.seconds += took.count();
    c.counts.unsupported += entry.executable == nullptr;
    return entry;
  } catch (...) {
    promise.set_exception(std::current_exception());
    std::lock_guard lock(c.mutex);
    c.entries.erase(key); // a later call may succeed, say after bad_alloc
    throw;
  }
}

} // namespace

std::shared_ptr<const backend::Executable> executable(
    const lang::Body& body,
    const std::string& content_key,
    const std::vector<lang::Type>& types,
    mx::Device device,
    std::string* why) {
  Entry entry = find(body, content_key, types, device);
  if (!entry.executable && why) {
    *why = entry.reason;
  }
  return entry.executable;
}

std::shared_ptr<const backend::Executable> executable(
    const lang::Body& body,
    const std::vector<lang::Type>& types,
    mx::Device device,
    std::string* why) {
  return executable(body, lang::content_key(body), types, device, why);
}

std::optional<std::string> unsupported(
    const lang::Body& body,
    const std::vector<lang::Type>& types,
    mx::Device device) {
  std::string why;
  return runnable_program(body, types, device, &why) ? std::nullopt
                                                     : std::optional(why);
}

ExecutableCounts executable_counts() {
  std::lock_guard lock(cache().mutex);
  return cache().counts;
}

} // namespace zmlx::op
