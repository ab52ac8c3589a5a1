#include "zmlx/backend/cuda/memory.h"

#include <map>
#include <mutex>
#include <vector>

#include "zmlx/backend/cuda/driver.h"
#include "zmlx/backend/cuda/mlx_cuda.h"
#include "zmlx/base/errors.h"
#include "zmlx/base/log.h"

namespace zmlx::backend::cuda {
namespace {

constexpr size_t kGrain = 512;
// MLX gives arrays of so many bytes memory that host and device share.
constexpr size_t kScalarBytes = 8;

size_t rounded(size_t bytes) {
  return (std::max<size_t>(bytes, 1) + kGrain - 1) / kGrain * kGrain;
}

class Pool {
 public:
  static Pool& shared() {
    static auto* pool = new Pool; // arrays may outlive statics
    return *pool;
  }

  CUdeviceptr take(size_t bytes) {
    std::lock_guard lock(mutex_);
    auto& kept = kept_[bytes];
    if (!kept.empty()) {
      const CUdeviceptr memory = kept.back();
      kept.pop_back();
      kept_bytes_ -= bytes;
      return memory;
    }
    CUdeviceptr memory = 0;
    auto result = driver().cuMemAllocAsync(&memory, bytes, stream_);
    if (result == CUDA_ERROR_OUT_OF_MEMORY) {
      free_kept();
      mx::clear_cache(); // what MLX keeps for later
      result = driver().cuMemAllocAsync(&memory, bytes, stream_);
    }
    if (result == CUDA_ERROR_OUT_OF_MEMORY) {
      throw environment_error(
          "CUDA: no memory for an array of {} bytes", bytes);
    }
    check(result, "cuMemAllocAsync");
    check(driver().cuStreamSynchronize(stream_), "cuStreamSynchronize");
    return memory;
  }

  void give(CUdeviceptr memory, size_t bytes) {
    std::lock_guard lock(mutex_);
    kept_[bytes].push_back(memory);
    kept_bytes_ += bytes;
  }

 private:
  Pool() {
    use_context();
    check(
        driver().cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING),
        "cuStreamCreate");
  }

  void free_kept() {
    for (auto& [bytes, all] : kept_) {
      for (CUdeviceptr memory : all) {
        check(driver().cuMemFreeAsync(memory, stream_), "cuMemFreeAsync");
      }
      all.clear();
    }
    kept_bytes_ = 0;
    check(driver().cuStreamSynchronize(stream_), "cuStreamSynchronize");
  }

  std::mutex mutex_;
  CUstream stream_ = nullptr;
  std::map<size_t, std::vector<CUdeviceptr>> kept_;
  size_t kept_bytes_ = 0;
};

/// MLX moves the memory of an array that the host reads to where both reach it,
/// and frees ours.
void release_moved(void* data) noexcept {
  const auto memory = reinterpret_cast<CUdeviceptr>(data);
  unsigned int managed = 0;
  driver().cuPointerGetAttribute(
      &managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, memory);
  if (managed) {
    driver().cuMemFree(memory);
  } else {
    driver().cuMemFreeHost(data);
  }
}

void release_buffer(mx::allocator::Buffer buffer) {
  auto* held = static_cast<mx::cu::CudaBuffer*>(buffer.ptr());
  try {
    use_context();
    if (held->device >= 0) {
      release(Address(held->data), held->size);
    } else {
      release_moved(held->data);
    }
  } catch (const std::exception& error) {
    log_debug("CUDA: memory was not released: {}", error.what());
  }
  delete held;
}

} // namespace

Address allocate(size_t bytes) {
  use_context();
  return Address(static_cast<uintptr_t>(Pool::shared().take(rounded(bytes))));
}

void release(Address memory, size_t bytes) noexcept {
  Pool::shared().give(memory.value(), rounded(bytes));
}

Blocks::~Blocks() {
  for (const auto& [memory, bytes] : blocks_) {
    release(memory, bytes);
  }
}

Address Blocks::add(size_t bytes) {
  const Address memory = allocate(bytes);
  blocks_.emplace_back(memory, bytes);
  return memory;
}

void allocate_output(mx::array& out) {
  const size_t bytes = out.nbytes();
  if (bytes <= kScalarBytes) {
    out.set_data(mx::allocator::malloc(bytes));
    return;
  }
  const Address memory = allocate(bytes);
  auto* buffer =
      new mx::cu::CudaBuffer{reinterpret_cast<void*>(memory.value()), bytes, 0};
  out.set_data(
      mx::allocator::Data(mx::allocator::Buffer(buffer), release_buffer));
}

Address address_of(const mx::array& a) {
  if (!a.data_shared_ptr()) { // MLX gives some empty arrays no memory at all
    return {};
  }
  const auto* buffer = static_cast<const mx::cu::CudaBuffer*>(a.buffer().ptr());
  return buffer ? Address(buffer->data) + a.offset() : Address();
}

} // namespace zmlx::backend::cuda
