#include <deque>

#include "zmlx/backend/cuda/driver.h"
#include "zmlx/backend/cuda/sequence.h"

namespace zmlx::backend::cuda {
namespace {

CUdeviceptr pointer(Address address) {
  return static_cast<CUdeviceptr>(address.value());
}

/// A stream of its own.
class CudaQueue : public Queue {
 public:
  CudaQueue() {
    use_context();
    check(
        driver().cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING),
        "cuStreamCreate");
  }
  ~CudaQueue() override {
    driver().cuStreamSynchronize(stream_);
    for (const auto& mark : marks_) {
      driver().cuEventDestroy(mark.second);
    }
    driver().cuStreamDestroy(stream_);
  }
  CudaQueue(const CudaQueue&) = delete;
  CudaQueue& operator=(const CudaQueue&) = delete;

  void copy_in(Address to, const void* from, size_t bytes) override {
    use_context();
    check(
        driver().cuMemcpyHtoDAsync(pointer(to), from, bytes, stream_),
        "cuMemcpyHtoDAsync");
    wait(); // until `from` has been read
  }
  void copy_out(void* to, Address from, size_t bytes) override {
    begin(to, from, bytes);
    wait();
  }
  uint64_t begin_copy_out(void* to, Address from, size_t bytes) override {
    begin(to, from, bytes);
    CUevent event = nullptr;
    check(
        driver().cuEventCreate(&event, CU_EVENT_DISABLE_TIMING),
        "cuEventCreate");
    check(driver().cuEventRecord(event, stream_), "cuEventRecord");
    marks_.emplace_back(++last_, event);
    return last_;
  }
  void wait_for(uint64_t mark) override {
    use_context();
    while (!marks_.empty() && marks_.front().first <= mark) {
      check(
          driver().cuEventSynchronize(marks_.front().second),
          "cuEventSynchronize");
      driver().cuEventDestroy(marks_.front().second);
      marks_.pop_front();
    }
  }
  void copy(Address to, Address from, size_t bytes) override {
    use_context();
    check(
        driver().cuMemcpyDtoDAsync(pointer(to), pointer(from), bytes, stream_),
        "cuMemcpyDtoDAsync");
  }
  void run(backend::Sequence& sequence) override {
    use_context();
    static_cast<Sequence&>(sequence).run(stream_);
  }
  void wait() override {
    use_context();
    check(driver().cuStreamSynchronize(stream_), "cuStreamSynchronize");
  }

 private:
  void begin(void* to, Address from, size_t bytes) {
    use_context();
    check(
        driver().cuMemcpyDtoHAsync(to, pointer(from), bytes, stream_),
        "cuMemcpyDtoHAsync");
  }

  CUstream stream_ = nullptr;
  std::deque<std::pair<uint64_t, CUevent>> marks_;
  uint64_t last_ = 0;
};

} // namespace

std::unique_ptr<Queue> make_queue() {
  return std::make_unique<CudaQueue>();
}

} // namespace zmlx::backend::cuda
