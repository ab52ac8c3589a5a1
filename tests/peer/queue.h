#pragma once

#include <exception>
#include <mutex>

#include "tests/peer/executable.h"
#include "tests/peer/sequence.h"

namespace zmlx::test_peer {

/// Work runs in the peer's thread while the caller goes on. Results are handed
/// over as late as the contract allows: bytes that are copied out, and faults,
/// reach the caller only when it waits for them. What went wrong is thrown
/// then.
class Queue : public backend::Queue {
 public:
  ~Queue() override;

  void copy_in(backend::Address to, const void* from, size_t bytes) override;
  void copy_out(void* to, backend::Address from, size_t bytes) override;
  uint64_t begin_copy_out(void* to, backend::Address from, size_t bytes)
      override;
  void wait_for(uint64_t mark) override;
  void copy(backend::Address to, backend::Address from, size_t bytes) override;
  void run(backend::Sequence& sequence) override;
  void wait() override;

  /// One launch of one executable; its fault is in *fault after a wait.
  void launch(
      std::shared_ptr<const Executable> executable,
      std::vector<backend::View> inputs,
      std::vector<backend::View> outputs,
      std::optional<backend::Fault>* fault);

 private:
  /// Bytes that were copied out, until the caller waits for them.
  struct Delivery {
    uint64_t mark;
    void* to;
    std::shared_ptr<std::vector<std::byte>> bytes;
  };
  struct Run {
    uint64_t mark;
    Sequence* sequence;
  };
  /// The first error of the tasks, which the caller has not been told.
  struct Failure {
    std::mutex mutex;
    std::exception_ptr error;
  };

  uint64_t post(std::function<void()> task);

  std::shared_ptr<Failure> failure_ = std::make_shared<Failure>();
  std::vector<Delivery> deliveries_;
  std::vector<Run> runs_;
  uint64_t last_ = 0;
};

} // namespace zmlx::test_peer
