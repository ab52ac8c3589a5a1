#include "tests/peer/passes.h"
#include "zmlx/lang/operations.h"

namespace zmlx::test_peer {

using lang::Op;

std::vector<bool> depends_on_input(const lang::Code& code) {
  std::vector<bool> depends;
  for (const auto& i : code) {
    bool found = i.op == Op::Input || i.op == Op::Pick || i.op == Op::Take ||
        i.op == Op::Slot;
    for (int k = 0; k < lang::operands(i); ++k) {
      found = found || depends[i.in[k]];
    }
    depends.push_back(found);
  }
  return depends;
}

namespace {

bool can_fault(const lang::Pass& pass) {
  const auto depends = depends_on_input(pass.code);
  for (const auto& i : pass.code) {
    if ((i.op == Op::Pick || i.op == Op::Take) && depends[i.in[0]]) {
      return true;
    }
  }
  for (const auto& store : pass.stores) {
    if (store.into == lang::Into::Row && depends[store.row]) {
      return true;
    }
  }
  return false;
}

} // namespace

bool can_fault(const lang::Program& program) {
  for (const auto& pass : program.row.passes) {
    if (can_fault(pass)) {
      return true;
    }
  }
  return can_fault(program.store);
}

} // namespace zmlx::test_peer
