#include "zmlx/backend/faults.h"

namespace zmlx::backend {

using lang::Op;

std::vector<bool> given_by_input(const lang::Code& code) {
  std::vector<bool> given;
  for (const auto& i : code) {
    bool depends = i.op == Op::Input || i.op == Op::Pick || i.op == Op::Take ||
        i.op == Op::Slot;
    for (int k = 0; k < lang::operands(i); ++k) {
      depends = depends || given[i.in[k]];
    }
    given.push_back(depends);
  }
  return given;
}

namespace {

bool can_fault(const lang::Pass& pass) {
  const auto given = given_by_input(pass.code);
  for (const auto& i : pass.code) {
    if ((i.op == Op::Pick || i.op == Op::Take) && given[i.in[0]]) {
      return true;
    }
  }
  for (const auto& store : pass.stores) {
    if (store.into == lang::Into::Row && given[store.row]) {
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
  for (const auto& weight : program.weights) {
    if (weight.experts >= 0) {
      return true;
    }
  }
  for (const auto& weight : program.weights) {
    if (weight.experts >= 0) {
      return true;
    }
  }
  return can_fault(program.store);
}

} // namespace zmlx::backend
