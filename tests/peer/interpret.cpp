#include "tests/peer/interpret.h"

#include <fmt/format.h>

#include "zmlx/base/errors.h"

namespace zmlx::test_peer {

using lang::ScanOrder;
using lang::Stage;

std::optional<std::string> why_unsupported(const lang::Program& program) {
  if (program.stage == Stage::TopK && program.top.k > kMostTop) {
    return fmt::format(
        "the test peer takes no more than the {} largest of a row", kMostTop);
  }
  for (const auto& pass : program.row.passes) {
    for (const auto& i : pass.code) {
      if (i.op == lang::Op::CumSum &&
          (i.order == ScanOrder::Reverse ||
           i.order == ScanOrder::ReverseExclusive)) {
        return "the test peer takes no running sums in reverse";
      }
    }
  }
  return std::nullopt;
}

std::optional<backend::Fault> interpret(
    const lang::Program& program,
    std::vector<Array> inputs,
    std::vector<Array> outputs) {
  if (inputs.size() != program.inputs.size() ||
      outputs.size() != program.outputs.size()) {
    throw internal_error(
        "test peer: expected {} inputs and {} outputs, got {} and {}",
        program.inputs.size(),
        program.outputs.size(),
        inputs.size(),
        outputs.size());
  }
  Bound bound{program, std::move(inputs), std::move(outputs)};
  switch (program.stage) {
    case Stage::Product:
      run_product(bound);
      break;
    case Stage::Attention:
      run_attention(bound);
      break;
    case Stage::TopK:
      run_topk(bound);
      break;
    default:
      run_rows(bound);
      break;
  }
  return bound.fault;
}

void run_rows(Bound& bound) {
  PassRunner runner(bound, space_of(bound));
  for (int64_t row = 0; row < runner.rows(); ++row) {
    runner.run_row(row);
  }
  runner.finish();
}

} // namespace zmlx::test_peer
