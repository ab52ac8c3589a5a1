// Executables of CUDA inside an eval of MLX.

#include "zmlx/backend/cuda/executable.h"
#include "zmlx/backend/cuda/fault_cell.h"
#include "zmlx/backend/cuda/memory.h"
#include "zmlx/backend/cuda/mlx_cuda.h"

namespace zmlx::backend::cuda {
namespace {

View view_of(const mx::array& a, lang::Type type) {
  View view;
  view.data = address_of(a);
  view.type = type;
  view.shape.assign(a.shape().begin(), a.shape().end());
  view.strides.assign(a.strides().begin(), a.strides().end());
  return view;
}

} // namespace

std::optional<Fault> Executable::evaluate(
    mx::Stream stream,
    const std::vector<mx::array>& inputs,
    std::vector<mx::array>& outputs) const {
  std::vector<View> in, out;
  for (size_t i = 0; i < inputs.size(); ++i) {
    in.push_back(view_of(inputs[i], program_.inputs[i]));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    allocate_output(outputs[i]);
    out.push_back(view_of(outputs[i], program_.outputs[i]));
  }
  std::optional<FaultCell> cell;
  if (can_fault_) {
    cell.emplace();
  }
  auto scratch = std::make_shared<Blocks>();
  const auto launches =
      bind(in, out, cell ? cell->address() : Address(), [&](size_t bytes) {
        return scratch->add(bytes);
      });
  auto& encoder = mx::cu::get_command_encoder(stream);
  for (const Launch& launch : launches) {
    for (const auto& input : inputs) {
      if (input.size() > 0) {
        encoder.set_input_array(input);
      }
    }
    for (const auto& output : outputs) {
      encoder.set_output_array(output);
    }
    encoder.add_kernel_node_raw(
        launch.function(),
        dim3(launch.blocks()),
        dim3(launch.threads()),
        dim3(1),
        0,
        launch.pointers().data());
  }
  // Our memory is given to others as soon as nobody holds it.
  for (const auto& output : outputs) {
    encoder.add_temporary(output);
  }
  if (!scratch->empty()) {
    encoder.add_completed_handler([scratch] {});
  }
  if (!cell) {
    return std::nullopt;
  }
  encoder.synchronize();
  return cell->fault();
}

} // namespace zmlx::backend::cuda
