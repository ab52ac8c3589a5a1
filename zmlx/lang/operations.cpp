#include "zmlx/lang/operations.h"

#include <array>

#include "zmlx/lang/operation_table.h"

namespace zmlx::lang {
namespace {

constexpr auto kTable = std::apply(
    [](const auto&... row) {
      return std::array<Operation, sizeof...(row)>{row...};
    },
    operation_table::kRows);

constexpr bool in_order() {
  for (size_t i = 0; i < kTable.size(); ++i) {
    if (static_cast<size_t>(kTable[i].op) != i) {
      return false;
    }
  }
  return true;
}

static_assert(kTable.size() == kOperations, "an operation has no row");
static_assert(in_order(), "the rows stand in the order of Op");

} // namespace

const Operation& operation(Op op) {
  return kTable[static_cast<size_t>(op)];
}

int arity(Op op) {
  return operation(op).arity;
}

std::string_view name_of(Op op) {
  return operation(op).name;
}

bool is_reduction(Op op) {
  return operation(op).kind == OpKind::Reduction;
}

} // namespace zmlx::lang
