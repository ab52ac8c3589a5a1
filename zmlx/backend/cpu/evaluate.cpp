// Executables of the CPU inside an eval of MLX.

#include <future>

#include <mlx/backend/cpu/encoder.h>

#include "zmlx/backend/cpu/buffers.h"
#include "zmlx/backend/cpu/launch.h"
#include "zmlx/backend/cpu/runner.h"

namespace zmlx::backend::cpu {
namespace {

// MLX's CPU allocator keeps the size in the 8 bytes before the data; builds for
// a GPU have buffers of another make, which are theirs to allocate.
bool buffers_have_size_header() {
  static const bool answer = [] {
    auto probe = mx::allocator::malloc(64);
    auto buffer = probe.buffer();
    return buffer.raw_ptr() ==
        static_cast<char*>(buffer.ptr()) + sizeof(size_t);
  }();
  return answer;
}

void allocate_output(mx::array& out) {
  if (!buffers_have_size_header()) {
    out.set_data(mx::allocator::malloc(out.nbytes()));
    return;
  }
  auto* memory = static_cast<char*>(allocate(out.nbytes()));
  out.set_data(mx::allocator::Data(
      mx::allocator::Buffer(memory - sizeof(size_t)),
      [](mx::allocator::Buffer buffer) {
        release(static_cast<char*>(buffer.ptr()) + sizeof(size_t));
      }));
}

View view_of(const mx::array& a, lang::Type type) {
  View view;
  view.data = a.data<char>();
  view.type = type;
  view.shape.assign(a.shape().begin(), a.shape().end());
  view.strides.assign(a.strides().begin(), a.strides().end());
  return view;
}

// Stage bodies read weights and caches along rows of adjacent elements.
bool must_copy(const mx::array& in, lang::Role role) {
  return role == lang::Role::Whole && in.ndim() > 0 && in.strides(-1) != 1 &&
      in.shape(-1) > 1;
}

// The same memory as a leaf of a graph of its own, on the stream that fills it.
mx::array contiguous_copy(const mx::array& in, mx::Stream stream) {
  mx::array leaf(in.shape(), in.dtype(), nullptr, {});
  leaf.copy_shared_buffer(in);
  leaf.set_status(mx::array::Status::available);
  auto copy = mx::contiguous(leaf, false, stream);
  mx::async_eval(copy);
  return copy;
}

// Returns when what was dispatched has run.
void wait_for(mx::cpu::CommandEncoder& encoder) {
  auto done = std::make_shared<std::promise<void>>();
  auto there = done->get_future();
  encoder.dispatch([done = std::move(done)] { done->set_value(); });
  there.wait(); // also where the stream drops its tasks after an error
}

} // namespace

std::optional<Fault> Executable::evaluate(
    mx::Stream stream,
    const std::vector<mx::array>& inputs,
    std::vector<mx::array>& outputs) const {
  std::vector<View> in, out;
  std::vector<mx::array> copies; // kept until the kernel has run
  for (size_t i = 0; i < inputs.size(); ++i) {
    const bool copied = must_copy(inputs[i], program_.roles[i]);
    if (copied) {
      copies.push_back(contiguous_copy(inputs[i], stream));
    }
    in.push_back(
        view_of(copied ? copies.back() : inputs[i], program_.inputs[i]));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    allocate_output(outputs[i]);
    out.push_back(view_of(outputs[i], program_.outputs[i]));
  }
  // Bound here, so that what goes wrong reaches the caller of eval; run where
  // the inputs are there.
  auto launch = runner_->bind(shared_from_this(), in, out);
  auto& encoder = mx::cpu::get_command_encoder(stream);
  encoder.dispatch([launch, copies = std::move(copies)] { cpu::run(*launch); });
  if (!can_fault_) {
    return std::nullopt;
  }
  wait_for(encoder);
  return launch->fault();
}

} // namespace zmlx::backend::cpu
