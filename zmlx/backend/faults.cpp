#include "zmlx/backend/faults.h"

#include <algorithm>

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

bool pass_can_fault(const lang::Pass& pass) {
  const auto given = given_by_input(pass.code);
  return std::ranges::any_of(
             pass.code,
             [&](const auto& i) {
               return (i.op == Op::Pick || i.op == Op::Take) && given[i.in[0]];
             }) ||
      std::ranges::any_of(pass.stores, [&](const auto& store) {
           return store.into == lang::Into::Row && given[store.row];
         });
}

} // namespace

bool can_fault(const lang::Program& program) {
  const auto chosen = [](const auto& weight) { return weight.experts >= 0; };
  return pass_can_fault(program.store) ||
      std::ranges::any_of(program.row.passes, pass_can_fault) ||
      std::ranges::any_of(program.weights, chosen);
}

} // namespace zmlx::backend
