#include "tests/peer/queue.h"

#include <cstring>

#include "tests/peer/memory.h"
#include "tests/peer/worker.h"
#include "zmlx/base/errors.h"

namespace zmlx::test_peer {

using backend::Address;

namespace {

void copy_bytes(void* to, const void* from, size_t bytes) {
  if (bytes > 0) {
    std::memcpy(to, from, bytes);
  }
}

std::vector<Array> find_arrays(const std::vector<backend::View>& views) {
  std::vector<Array> arrays;
  for (const auto& view : views) {
    arrays.push_back(find_array(view));
  }
  return arrays;
}

} // namespace

Queue::~Queue() {
  Worker::shared().wait(last_);
}

uint64_t Queue::post(std::function<void()> task) {
  last_ = Worker::shared().post([task = std::move(task), failure = failure_] {
    try {
      task();
    } catch (...) {
      std::lock_guard lock(failure->mutex);
      if (!failure->error) {
        failure->error = std::current_exception();
      }
    }
  });
  return last_;
}

void Queue::copy_in(Address to, const void* from, size_t bytes) {
  const auto* begin = static_cast<const std::byte*>(from);
  post([to, held = std::vector<std::byte>(begin, begin + bytes)] {
    copy_bytes(reach(to, held.size()), held.data(), held.size());
  });
}

void Queue::copy_out(void* to, Address from, size_t bytes) {
  wait_for(begin_copy_out(to, from, bytes));
}

uint64_t Queue::begin_copy_out(void* to, Address from, size_t bytes) {
  auto held = std::make_shared<std::vector<std::byte>>(bytes);
  const uint64_t mark = post([from, held] {
    copy_bytes(held->data(), reach(from, held->size()), held->size());
  });
  deliveries_.push_back({mark, to, std::move(held)});
  return mark;
}

void Queue::copy(Address to, Address from, size_t bytes) {
  post([to, from, bytes] {
    copy_bytes(reach(to, bytes), reach(from, bytes), bytes);
  });
}

void Queue::run(backend::Sequence& sequence) {
  auto* mine = dynamic_cast<Sequence*>(&sequence);
  if (!mine) {
    throw internal_error("test peer: asked to run a sequence of another peer");
  }
  const uint64_t mark = post([mine] { mine->run(); });
  runs_.push_back({mark, mine});
}

void Queue::launch(
    std::shared_ptr<const Executable> executable,
    std::vector<backend::View> inputs,
    std::vector<backend::View> outputs,
    std::optional<backend::Fault>* fault) {
  post([executable = std::move(executable),
        inputs = std::move(inputs),
        outputs = std::move(outputs),
        fault] {
    *fault = executable->run(find_arrays(inputs), find_arrays(outputs));
  });
}

void Queue::wait() {
  wait_for(last_);
}

void Queue::wait_for(uint64_t mark) {
  Worker::shared().wait(mark);
  for (const Delivery& delivery : deliveries_) {
    if (delivery.mark <= mark) {
      copy_bytes(delivery.to, delivery.bytes->data(), delivery.bytes->size());
    }
  }
  std::erase_if(deliveries_, [&](const Delivery& d) { return d.mark <= mark; });
  for (const Run& run : runs_) {
    if (run.mark <= mark) {
      run.sequence->tell_fault();
    }
  }
  std::erase_if(runs_, [&](const Run& r) { return r.mark <= mark; });
  std::lock_guard lock(failure_->mutex);
  if (failure_->error) {
    std::rethrow_exception(std::exchange(failure_->error, nullptr));
  }
}

} // namespace zmlx::test_peer
