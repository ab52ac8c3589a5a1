#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "zmlx/lang/lower/graph.h"
#include "zmlx/lang/operations.h"

namespace zmlx::lang::lower_detail {
namespace {

constexpr size_t kRegisters = std::numeric_limits<uint16_t>::max();

bool is_leaf_of_pass(const Value& value) {
  return is_reduction(value.op) || value.op == Op::Product;
}

/// Writes values as code. Reductions and products are slots whose values are
/// known before the code runs.
class Emitter {
 public:
  Emitter(
      const Graph& graph,
      const std::vector<bool>& uniform,
      const std::vector<int>& slots)
      : graph_(graph), uniform_(uniform), slots_(slots) {}

  /// Makes code for these values, in which the register of a value is then
  /// found by reg(). Nothing when there are not enough registers.
  std::optional<Code> emit(const std::vector<int>& roots) {
    std::vector<bool> needed(graph_.values.size());
    for (int root : roots) {
      needed[root] = true;
    }
    for (size_t i = needed.size(); i-- > 0;) {
      if (needed[i] && !is_leaf_of_pass(graph_.values[i])) {
        for (int k = 0; k < operands(graph_.values[i]); ++k) {
          needed[graph_.values[i].in[k]] = true;
        }
      }
    }
    Code code;
    registers_.assign(graph_.values.size(), 0);
    for (size_t i = 0; i < needed.size(); ++i) {
      if (needed[i]) {
        if (code.size() == kRegisters) {
          return {};
        }
        registers_[i] = static_cast<uint16_t>(code.size());
        code.push_back(instruction(static_cast<int>(i)));
      }
    }
    return code;
  }

  uint16_t reg(int value) const {
    return registers_[value];
  }

 private:
  Instruction instruction(int id) const {
    const Value& value = graph_.values[id];
    Instruction result{
        .op = value.op,
        .type = value.type,
        .from = value.from,
        .uniform = uniform_[id]};
    if (is_leaf_of_pass(value)) {
      result.op = Op::Slot;
      result.from = value.type;
      result.number = value.op == Op::Product ? value.number : slots_[id];
      return result;
    }
    for (int k = 0; k < operands(value); ++k) {
      result.in[k] = registers_[value.in[k]];
    }
    result.id = id;
    result.value = value.value;
    result.axis = value.axis;
    result.order = value.order;
    result.number = value.number;
    result.rounded = value.rounded;
    return result;
  }

  const Graph& graph_;
  const std::vector<bool>& uniform_;
  const std::vector<int>& slots_;
  std::vector<uint16_t> registers_;
};

std::string too_long() {
  return fmt::format(
      "the formula has more than {} values in one pass", kRegisters);
}

bool is_reverse(const Instruction& it) {
  return it.order == ScanOrder::Reverse ||
      it.order == ScanOrder::ReverseExclusive;
}

/// A pass runs its row from one end, so that all its running sums must.
bool scans_both_ways(const Code& code) {
  bool forward = false, reverse = false;
  for (const Instruction& it : code) {
    if (it.op == Op::CumSum) {
      (is_reverse(it) ? reverse : forward) = true;
    }
  }
  return forward && reverse;
}

} // namespace

std::vector<bool> find_uniform(
    const Graph& graph,
    const std::vector<Input>& inputs) {
  std::vector<bool> uniform;
  for (const Value& value : graph.values) {
    const Along along = operation(value.op).along;
    bool same = along != Along::Varies;
    if (along == Along::ByRole) {
      const Role role = inputs[value.number].role;
      same = role == Role::Scalar || role == Role::EachRow;
    } else if (along == Along::Operands) {
      for (int k = 0; k < operands(value); ++k) {
        same = same && uniform[value.in[k]];
      }
    }
    uniform.push_back(same);
  }
  return uniform;
}

namespace {

std::vector<int> ids_of(const std::vector<Root>& roots) {
  std::vector<int> ids;
  for (const Root& root : roots) {
    ids.push_back(root.value);
    if (root.row >= 0) {
      ids.push_back(root.row);
    }
  }
  return ids;
}

Store store_of(const Root& root, const Emitter& emitter) {
  return {
      root.output,
      emitter.reg(root.value),
      root.one_per_row,
      root.into,
      root.row < 0 ? uint16_t{0} : emitter.reg(root.row)};
}

/// Which pass each reduction and each store belongs to.
class RowSchedule {
 public:
  RowSchedule(
      const Graph& graph,
      const std::vector<Root>& roots,
      const std::vector<Input>& inputs)
      : graph_(graph),
        roots_(roots),
        uniform_(find_uniform(graph, inputs)),
        slots_(graph.values.size(), -1) {
    find_levels();
    collect_reductions();
    place_stores();
  }

  std::optional<RowProgram> program(std::string* why) {
    RowProgram result;
    result.slots = slot_count_;
    for (int p = 0; p < passes_; ++p) {
      auto pass = make_pass(p);
      if (!pass) {
        *why = too_long();
        return {};
      }
      if (scans_both_ways(pass->code)) {
        *why = "running sums from both ends in one pass";
        return {};
      }
      result.passes.push_back(std::move(*pass));
    }
    return result;
  }

 private:
  // The level of a value is the first pass that can compute it; a reduction is
  // made in one pass and known in the next.
  void find_levels() {
    for (const Value& value : graph_.values) {
      int level = 0;
      for (int k = 0; k < operands(value); ++k) {
        level = std::max(level, levels_[value.in[k]]);
      }
      levels_.push_back(level + (is_reduction(value.op) ? 1 : 0));
    }
  }

  int pass_of_reduction(int id) const {
    return levels_[id] - 1;
  }

  void collect_reductions() {
    std::vector<bool> needed = reachable(graph_, ids_of(roots_));
    for (size_t i = 0; i < needed.size(); ++i) {
      if (needed[i] && is_reduction(graph_.values[i].op)) {
        reductions_.push_back(static_cast<int>(i));
      }
    }
    std::stable_sort(reductions_.begin(), reductions_.end(), [&](int a, int b) {
      return levels_[a] < levels_[b];
    });
    for (int id : reductions_) {
      slots_[id] = slot_count_++;
    }
  }

  void place_stores() {
    // No store before the last pass that reads along the row: the output may
    // be the memory of an input that such a pass reads.
    int last_varying = 0;
    for (int id : reductions_) {
      if (!uniform_[graph_.values[id].in[0]]) {
        last_varying = std::max(last_varying, pass_of_reduction(id));
      }
    }
    for (const Root& root : roots_) {
      if (!uniform_[root.value]) {
        last_varying = std::max(last_varying, levels_[root.value]);
      }
    }
    for (const Root& root : roots_) {
      int pass = std::max(levels_[root.value], last_varying);
      pass = root.row < 0 ? pass : std::max(pass, levels_[root.row]);
      pass_of_store_.push_back(pass);
      passes_ = std::max(passes_, pass + 1);
    }
  }

  std::optional<Pass> make_pass(int p) const {
    std::vector<int> values;
    for (int id : reductions_) {
      if (pass_of_reduction(id) == p) {
        values.push_back(graph_.values[id].in[0]);
      }
    }
    for (size_t i = 0; i < roots_.size(); ++i) {
      if (pass_of_store_[i] == p) {
        values.push_back(roots_[i].value);
        if (roots_[i].row >= 0) {
          values.push_back(roots_[i].row);
        }
      }
    }
    Emitter emitter(graph_, uniform_, slots_);
    auto code = emitter.emit(values);
    if (!code) {
      return {};
    }
    Pass pass;
    pass.code = std::move(*code);
    for (int id : reductions_) {
      if (pass_of_reduction(id) == p) {
        pass.reductions.push_back(
            {graph_.values[id].op,
             emitter.reg(graph_.values[id].in[0]),
             slots_[id]});
      }
    }
    for (size_t i = 0; i < roots_.size(); ++i) {
      if (pass_of_store_[i] == p) {
        pass.stores.push_back(store_of(roots_[i], emitter));
      }
    }
    return pass;
  }

  const Graph& graph_;
  const std::vector<Root>& roots_;
  std::vector<bool> uniform_;
  std::vector<int> slots_; // of the reductions
  std::vector<int> levels_;
  std::vector<int> reductions_; // that are needed, in the order of their slots
  std::vector<int> pass_of_store_;
  int slot_count_ = 0;
  int passes_ = 1;
};

} // namespace

std::optional<RowProgram> schedule_rows(
    const Graph& graph,
    const std::vector<Root>& roots,
    const std::vector<Input>& inputs,
    std::string* why) {
  return RowSchedule(graph, roots, inputs).program(why);
}

std::optional<Pass> schedule_store(
    const Graph& graph,
    const std::vector<Root>& roots,
    const std::vector<Input>& inputs,
    std::string* why) {
  std::vector<bool> uniform = find_uniform(graph, inputs);
  Emitter emitter(graph, uniform, {});
  auto code = emitter.emit(ids_of(roots));
  if (!code) {
    *why = too_long();
    return {};
  }
  Pass pass;
  pass.code = std::move(*code);
  for (const Root& root : roots) {
    pass.stores.push_back(store_of(root, emitter));
  }
  return pass;
}

} // namespace zmlx::lang::lower_detail
