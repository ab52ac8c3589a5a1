#include "zmlx/backend/cpu/row_runner.h"

#include "zmlx/backend/cpu/passes.h"

namespace zmlx::backend::cpu {

RowRunner::RowRunner(
    const lang::Program& program,
    std::span<const View> inputs,
    std::span<const View> outputs,
    const lang::Shape& shape)
    : passes_(std::make_unique<BoundPasses>(
          program.row.passes,
          program.row.slots,
          Binding{inputs, outputs, program.roles, shape, Walk::Rows})) {}

RowRunner::~RowRunner() = default;
RowRunner::RowRunner(RowRunner&&) noexcept = default;
RowRunner& RowRunner::operator=(RowRunner&&) noexcept = default;

int64_t RowRunner::rows() const {
  return passes_->rows();
}

int64_t RowRunner::width() const {
  return passes_->width();
}

void RowRunner::run(int64_t row, float* out) const noexcept {
  passes_->run(row, 0, passes_->width(), {.out = out});
  passes_->finish();
}

std::optional<Fault> RowRunner::fault() const {
  return passes_->fault();
}

StoreRunner::StoreRunner(
    const lang::Program& program,
    std::span<const View> inputs,
    std::span<const View> outputs,
    const lang::Shape& shape)
    : passes_(std::make_unique<BoundPasses>(
          std::span(&program.store, 1),
          0,
          Binding{inputs, outputs, program.roles, shape, Walk::Store})) {}

StoreRunner::~StoreRunner() = default;
StoreRunner::StoreRunner(StoreRunner&&) noexcept = default;
StoreRunner& StoreRunner::operator=(StoreRunner&&) noexcept = default;

void StoreRunner::run(
    int64_t row,
    int64_t begin,
    int64_t end,
    const float* const* accumulators) const noexcept {
  passes_->run(row, begin, end, {.accumulators = accumulators});
}

std::optional<Fault> StoreRunner::fault() const {
  return passes_->fault();
}

} // namespace zmlx::backend::cpu
