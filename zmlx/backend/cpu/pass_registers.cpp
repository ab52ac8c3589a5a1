// Where the values of a pass lie.
#include <algorithm>
#include <limits>

#include "zmlx/backend/cpu/pass_builder.h"
#include "zmlx/backend/store_groups.h"

namespace zmlx::backend::cpu {

using lang::Type;

namespace {

// Operations that compute for longer than their operands take to arrive.
bool is_slow(lang::Op op) {
  using lang::Op;
  switch (op) {
    case Op::Exp:
    case Op::Expm1:
    case Op::Log:
    case Op::Log1p:
    case Op::Sin:
    case Op::Cos:
    case Op::Tanh:
    case Op::Sigmoid:
    case Op::Erf:
    case Op::Pow:
      return true;
    default:
      return false;
  }
}

} // namespace

// Values of a row that cost more to make again than to keep in L2.
void BoundPasses::choose_kept(std::span<const lang::Pass> passes) {
  const int64_t bytes = (width_ * 4 + 63) / 64 * 64;
  std::map<int, size_t> made; // by id
  for (size_t p = 0; p < passes.size(); ++p) {
    const auto needed = needed_registers(passes[p]);
    for (size_t i = 0; i < needed.size(); ++i) {
      const auto& it = passes[p].code[i];
      const bool dear = is_slow(it.op) || it.op == lang::Op::Random ||
          it.op == lang::Op::CumSum || it.op == lang::Op::Pick;
      if (!needed[i] || !dear || it.uniform || it.id < 0 ||
          lang::size_of(register_type(it.type)) != 4) {
        continue;
      }
      const auto [first, added] = made.try_emplace(it.id, p);
      const bool known =
          std::any_of(kept_.begin(), kept_.end(), [&](const KeptValue& k) {
            return k.id == it.id;
          });
      const auto offset = static_cast<int64_t>(kept_.size()) * bytes;
      if (!added && first->second < p && !known &&
          offset + bytes <= kKeptBytes) {
        kept_.push_back({it.id, offset});
      }
    }
  }
}

BoundPasses::KeptValue* PassBuilder::kept(size_t i) {
  const int id = pass_.code[i].id;
  for (auto& value : bound_.kept_) {
    if (id >= 0 && value.id == id) {
      return &value;
    }
  }
  return nullptr;
}

// Vector registers are reused as soon as their value has been read for the
// last time; a step may write over an operand of the same size.
void PassBuilder::assign_registers() {
  constexpr size_t kEnd = std::numeric_limits<size_t>::max();
  using Part = BoundPasses::Place::Part;
  const bool overwrites = std::any_of(
      plan_.stores.begin(), plan_.stores.end(), [&](const auto& store) {
        return store.access >= 0 &&
            overlaps_input(bound_.accesses_[store.access]);
      });
  if (overwrites && stores_.size() + pass_.reductions.size() > 1) {
    // What a store has overwritten must not be what another value is.
    for (Step& step : plan_.block) {
      const auto stored = [&](const BoundPasses::StorePlan& s) {
        return s.value == step.to && !s.direct;
      };
      if (!is_view(step) ||
          std::none_of(plan_.stores.begin(), plan_.stores.end(), stored)) {
        continue;
      }
      if (step.act == Act::Alias) {
        step.act = Act::Load;
      } else if (step.act == Act::Take) {
        step.load = find_load(register_type(pass_.code[step.to].type), true);
      }
    }
  }
  for (const Step& step : plan_.once) {
    plan_.places.push_back({step.to, Part::Uniform, plan_.uniform_bytes});
    plan_.uniform_bytes += sizeof(BoundPasses::Uniform);
  }
  std::vector<size_t> last(pass_.code.size(), 0);
  for (size_t s = 0; s < plan_.block.size(); ++s) {
    const Step& step = plan_.block[s];
    for (int k = 0; k < step.operands; ++k) {
      last[step.in[k]] = s;
    }
    if (step.act == Act::Loop) {
      for (const uint16_t reg : bound_.loops_[step.access].reads) {
        last[reg] = kEnd;
      }
    }
  }
  for (const auto& store : stores_) {
    last[store.value] = kEnd;
  }
  const auto read_last = [&](const auto& reader) { last[reader.value] = kEnd; };
  std::for_each(plan_.reductions.begin(), plan_.reductions.end(), read_last);
  std::for_each(plan_.adds.begin(), plan_.adds.end(), read_last);
  struct Slot {
    size_t size;
    size_t offset; // bytes a place
    bool free;
  };
  std::vector<Slot> slots;
  std::map<uint16_t, size_t> slot_of;
  size_t bytes = 0; // a place
  const auto release = [&](const Step& step, size_t s, size_t size) {
    for (int k = 0; k < step.operands; ++k) {
      auto at = slot_of.find(step.in[k]);
      if (at != slot_of.end() && last[step.in[k]] == s &&
          (size == 0 || slots[at->second].size == size)) {
        slots[at->second].free = true;
      }
    }
  };
  std::vector<std::pair<uint16_t, size_t>> placed; // register, offset
  for (size_t s = 0; s < plan_.block.size(); ++s) {
    const Step& step = plan_.block[s];
    if (step.act == Act::Loop) {
      for (const uint16_t reg : bound_.loops_[step.access].makes) {
        const size_t own = lang::size_of(register_type(pass_.code[reg].type));
        placed.emplace_back(reg, bytes);
        bytes += own;
      }
      continue;
    }
    const size_t size = lang::size_of(register_type(pass_.code[step.to].type));
    release(step, s, size);
    if (!is_view(step) && step.direct < 0 && step.kept < 0) {
      auto at = std::find_if(slots.begin(), slots.end(), [&](const Slot& x) {
        return x.free && x.size == size;
      });
      if (at == slots.end()) {
        at = slots.insert(slots.end(), {size, bytes, true});
        bytes += size;
      }
      at->free = false;
      slot_of[step.to] = static_cast<size_t>(at - slots.begin());
      placed.emplace_back(step.to, at->offset);
    }
    release(step, s, 0);
    // A slot taken over by this step's own result stays taken.
    if (auto own = slot_of.find(step.to); own != slot_of.end()) {
      slots[own->second].free = false;
    }
  }
  // Loops need no blocks but for sums in float32, and for what stands in for
  // the rows of a table.
  const bool loops_alone =
      pass_.reductions.empty() &&
      std::all_of(plan_.block.begin(), plan_.block.end(), [](const Step& step) {
        return step.act == Act::Loop || step.act == Act::Alias;
      });
  int64_t block = bytes > 0 ? kMaxBlock
      : loops_alone         ? kMaxLoopBlock
                            : kMaxViewBlock;
  while (block > kMinBlock &&
         static_cast<size_t>(block) * bytes > kVectorBytes) {
    block /= 2;
  }
  plan_.block_length = block;
  for (const auto& [reg, offset] : placed) {
    plan_.places.push_back(
        {reg, Part::Vector, offset * static_cast<size_t>(block)});
  }
}

} // namespace zmlx::backend::cpu
