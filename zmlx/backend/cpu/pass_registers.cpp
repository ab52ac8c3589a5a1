// Where the values of a pass lie.
#include <algorithm>
#include <limits>

#include "zmlx/backend/cpu/pass_builder.h"
#include "zmlx/backend/store_groups.h"
#include "zmlx/lang/operations.h"

namespace zmlx::backend::cpu {

using lang::Type;

// Values of a row that cost more to make again than to keep in L2.
void BoundPasses::choose_kept(std::span<const lang::Pass> passes) {
  const int64_t bytes = (width_ * 4 + 63) / 64 * 64;
  std::map<int, size_t> made; // by id
  for (size_t p = 0; p < passes.size(); ++p) {
    const auto needed = needed_registers(passes[p]);
    for (size_t i = 0; i < needed.size(); ++i) {
      const auto& it = passes[p].code[i];
      const bool dear = lang::operation(it.op).cost == lang::Cost::Slow ||
          it.op == lang::Op::Random || it.op == lang::Op::CumSum ||
          it.op == lang::Op::Pick;
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

// What a store has overwritten must not be what another value is.
void PassBuilder::load_overwritten() {
  const bool overwrites =
      std::ranges::any_of(plan_.stores, [&](const auto& store) {
        return store.access >= 0 &&
            overlaps_input(bound_.accesses_[store.access]);
      });
  if (!overwrites || stores_.size() + pass_.reductions.size() < 2) {
    return;
  }
  for (Step& step : plan_.block) {
    const auto stored = [&](const BoundPasses::StorePlan& s) {
      return s.value == step.to && !s.direct;
    };
    if (step.act == Act::Alias && std::ranges::any_of(plan_.stores, stored)) {
      step.act = Act::Load;
    }
  }
}

// For each register, the last step that reads it.
std::vector<size_t> PassBuilder::last_reads() const {
  constexpr size_t kEnd = std::numeric_limits<size_t>::max();
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
  for_each_sink([&](uint16_t reg) { last[reg] = kEnd; });
  return last;
}

// Vector registers are slots that are free again when their value has been read
// for the last time. Where sizes differ, each is as large as the largest, and
// no step writes over its operands.
void PassBuilder::assign_registers() {
  using Part = BoundPasses::Place::Part;
  for (size_t s = 0; s < plan_.once.size(); ++s) {
    plan_.places.push_back(
        {plan_.once[s].to, Part::Uniform, s * sizeof(BoundPasses::Uniform)});
  }
  const auto last = last_reads();
  size_t slots = 0, size = 0; // bytes per place
  std::vector<size_t> free;
  std::map<uint16_t, size_t> slot_of; // of registers that are still read
  const size_t first = plan_.places.size();
  const auto take = [&](uint16_t reg) {
    if (free.empty()) {
      free.push_back(slots++);
    }
    slot_of[reg] = free.back();
    plan_.places.push_back({reg, Part::Vector, free.back()});
    free.pop_back();
  };
  bool one_size = true;
  const auto meet = [&](uint16_t reg) {
    const size_t own = lang::size_of(register_type(pass_.code[reg].type));
    one_size = one_size && (size == 0 || size == own);
    size = std::max(size, own);
  };
  for (size_t s = 0; s < plan_.block.size(); ++s) {
    const Step& step = plan_.block[s];
    if (step.act == Act::Loop) {
      const auto& makes = bound_.loops_[step.access].makes;
      std::ranges::for_each(makes, meet);
      std::ranges::for_each(makes, take);
      continue;
    }
    const bool takes = !is_view(step) && step.direct < 0 && step.kept < 0;
    if (takes) {
      meet(step.to);
    }
    if (takes && !one_size) {
      take(step.to);
    }
    for (int k = 0; k < step.operands; ++k) {
      const auto at = slot_of.find(step.in[k]);
      if (at != slot_of.end() && last[step.in[k]] == s) {
        free.push_back(at->second);
        slot_of.erase(at);
      }
    }
    if (takes && one_size) {
      take(step.to);
    }
  }
  plan_.block_length = block_length(slots * size);
  for (size_t k = first; k < plan_.places.size(); ++k) {
    plan_.places[k].at *= size * static_cast<size_t>(plan_.block_length);
  }
}

// For a pass whose vector registers take so many bytes per place. Loops need no
// blocks but for sums in float32, and for what stands in for the rows of a
// table.
int64_t PassBuilder::block_length(size_t bytes) const {
  const bool loops_alone =
      pass_.reductions.empty() &&
      std::ranges::all_of(plan_.block, [](const Step& step) {
        return step.act == Act::Loop || step.act == Act::Alias;
      });
  int64_t block = bytes > 0 ? kMaxBlock
      : loops_alone         ? kMaxLoopBlock
                            : kMaxViewBlock;
  while (block > kMinBlock &&
         static_cast<size_t>(block) * bytes > kVectorBytes) {
    block /= 2;
  }
  return block;
}

} // namespace zmlx::backend::cpu
