#include "zmlx/backend/store_groups.h"

#include <algorithm>

#include "zmlx/backend/faults.h"

namespace zmlx::backend {

using lang::Into;
using lang::Op;

std::vector<bool> needed_registers(const lang::Pass& pass) {
  std::vector<bool> needed(pass.code.size());
  for (const auto& store : pass.stores) {
    needed[store.value] = true;
  }
  for (const auto& reduction : pass.reductions) {
    needed[reduction.value] = true;
  }
  for (size_t i = needed.size(); i-- > 0;) {
    for (int k = 0; needed[i] && k < lang::operands(pass.code[i]); ++k) {
      needed[pass.code[i].in[k]] = true;
    }
  }
  return needed;
}

namespace {

// Without reductions that nobody reads, and passes that do nothing.
void prune(lang::RowProgram& row) {
  std::vector<bool> wanted(row.slots);
  for (size_t p = row.passes.size(); p-- > 0;) {
    lang::Pass& pass = row.passes[p];
    std::erase_if(pass.reductions, [&](const lang::Reduction& r) {
      return !wanted[r.slot];
    });
    const auto read = needed_registers(pass);
    for (size_t i = 0; i < read.size(); ++i) {
      if (read[i] && pass.code[i].op == lang::Op::Slot) {
        wanted[pass.code[i].number] = true;
      }
    }
  }
  std::erase_if(row.passes, [](const lang::Pass& pass) {
    return pass.stores.empty() && pass.reductions.empty();
  });
}

} // namespace

lang::Program with_stores(
    const lang::Program& program,
    const std::function<bool(const lang::Store&)>& wanted) {
  lang::Program result = program;
  for (auto& pass : result.row.passes) {
    std::erase_if(
        pass.stores, [&](const lang::Store& store) { return !wanted(store); });
  }
  prune(result.row);
  return result;
}

lang::Program without_row_sums(const lang::Program& program) {
  return with_stores(program, [](const lang::Store& store) {
    return store.into != Into::Row;
  });
}

std::vector<RowSumGroup> row_sum_groups(const lang::Program& program) {
  std::vector<RowSumGroup> groups;
  for (size_t p = 0; p < program.row.passes.size(); ++p) {
    const lang::Pass& pass = program.row.passes[p];
    const auto given = given_by_input(pass.code);
    std::vector<uint16_t> rows;
    for (const auto& store : pass.stores) {
      if (store.into == Into::Row &&
          std::find(rows.begin(), rows.end(), store.row) == rows.end()) {
        rows.push_back(store.row);
      }
    }
    for (const uint16_t row : rows) {
      RowSumGroup group{program, program, given[row]};
      for (auto* part : {&group.sums, &group.names}) {
        for (auto& other : part->row.passes) {
          other.stores.clear();
        }
      }
      for (const auto& store : pass.stores) {
        if (store.into == Into::Row && store.row == row) {
          group.sums.row.passes[p].stores.push_back(store);
        }
      }
      group.names.row.passes[p].stores.push_back({kNamedOutput, row, true});
      prune(group.sums.row);
      prune(group.names.row);
      groups.push_back(std::move(group));
    }
  }
  return groups;
}

bool places_apart(const lang::Program& program) {
  const auto& passes = program.row.passes;
  return passes.size() == 1 && passes[0].reductions.empty() &&
      std::none_of(
             passes[0].code.begin(),
             passes[0].code.end(),
             [](const lang::Instruction& i) { return i.op == Op::CumSum; }) &&
      std::none_of(
             passes[0].stores.begin(),
             passes[0].stores.end(),
             [](const lang::Store& s) { return s.one_per_row; });
}

} // namespace zmlx::backend
