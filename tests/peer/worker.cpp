#include "tests/peer/worker.h"

#include <thread>

namespace zmlx::test_peer {

Worker& Worker::shared() {
  static auto* instance = new Worker;
  return *instance;
}

Worker::Worker() {
  std::thread([this] { run(); }).detach();
}

uint64_t Worker::post(std::function<void()> task) {
  std::lock_guard lock(mutex_);
  tasks_.push_back(std::move(task));
  posted_.notify_one();
  return ++last_posted_;
}

void Worker::wait(uint64_t mark) {
  std::unique_lock lock(mutex_);
  done_.wait(lock, [&] { return last_done_ >= mark; });
}

void Worker::run() {
  while (true) {
    std::function<void()> task;
    {
      std::unique_lock lock(mutex_);
      posted_.wait(lock, [&] { return !tasks_.empty(); });
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
    task = nullptr; // what it holds is released before anybody is told
    {
      std::lock_guard lock(mutex_);
      ++last_done_;
    }
    done_.notify_all();
  }
}

} // namespace zmlx::test_peer
