// Executables of the test peer inside an eval of MLX.

#include <future>

#include <mlx/backend/cpu/encoder.h>

#include "tests/peer/executable.h"
#include "tests/peer/memory.h"
#include "tests/peer/queue.h"
#include "tests/peer/transfer.h"
#include "zmlx/lang/space.h"

namespace zmlx::test_peer {
namespace {

namespace mx = backend::mx;

lang::Shape shape_of(const mx::array& a) {
  return {a.shape().begin(), a.shape().end()};
}

/// One run of an executable on arrays of MLX: copied in, run by the peer's
/// thread, copied out.
class Evaluation {
 public:
  Evaluation(
      std::shared_ptr<const Executable> executable,
      const std::vector<mx::array>& inputs,
      const std::vector<mx::array>& outputs)
      : executable_(std::move(executable)) {
    for (const auto& a : inputs) {
      const Array host = host_array(a);
      in_.push_back(place(host, host.shape));
      in_.back().view = broadcast_view(in_.back().view, shape_of(a));
    }
    for (const auto& a : outputs) {
      out_.push_back(place(host_array(a), shape_of(a)));
    }
  }

  /// In the thread of the stream, where the inputs are there.
  void run() {
    Queue queue;
    std::vector<backend::View> inputs, outputs;
    for (const Transfer& t : in_) {
      const auto bytes = gather(t.host);
      queue.copy_in(t.memory.address, bytes.data(), bytes.size());
      inputs.push_back(t.view);
    }
    for (const Transfer& t : out_) {
      outputs.push_back(t.view);
    }
    queue.launch(executable_, std::move(inputs), std::move(outputs), &fault_);
    for (const Transfer& t : out_) {
      queue.begin_copy_out(t.host.data, t.memory.address, t.memory.bytes);
    }
    queue.wait();
  }

  const std::optional<backend::Fault>& fault() const {
    return fault_;
  }

 private:
  struct Transfer {
    Array host;
    backend::Memory memory;
    backend::View view;
  };

  static Transfer place(Array host, const lang::Shape& shape) {
    const auto bytes = static_cast<size_t>(lang::count(shape) * host.item());
    backend::Memory memory = allocate_hidden(bytes);
    auto view = dense_view(memory.address, host.type, shape);
    return {std::move(host), std::move(memory), std::move(view)};
  }

  std::shared_ptr<const Executable> executable_;
  std::vector<Transfer> in_, out_;
  std::optional<backend::Fault> fault_;
};

/// Returns when what was dispatched has run.
void wait_for(mx::cpu::CommandEncoder& encoder) {
  auto done = std::make_shared<std::promise<void>>();
  auto there = done->get_future();
  encoder.dispatch([done = std::move(done)] { done->set_value(); });
  there.wait(); // also where the stream drops its tasks after an error
}

} // namespace

std::optional<backend::Fault> Executable::evaluate(
    mx::Stream stream,
    const std::vector<mx::array>& inputs,
    std::vector<mx::array>& outputs) const {
  for (auto& output : outputs) {
    output.set_data(mx::allocator::malloc(output.nbytes()));
  }
  auto evaluation =
      std::make_shared<Evaluation>(shared_from_this(), inputs, outputs);
  auto& encoder = mx::cpu::get_command_encoder(stream);
  encoder.dispatch([evaluation] { evaluation->run(); });
  if (!can_fault_) {
    return std::nullopt;
  }
  wait_for(encoder);
  return evaluation->fault();
}

} // namespace zmlx::test_peer
