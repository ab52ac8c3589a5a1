// Making the steps of a pass fewer and its memory busy.
#include <algorithm>

#include "zmlx/backend/cpu/pass_builder.h"

namespace zmlx::backend::cpu {

using lang::Op;
using lang::Type;

namespace {

/// Operations that compute for longer than their operands take to arrive.
bool is_slow(Op op) {
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

Op PassBuilder::op_of(const Step& step) const {
  const auto joined = joined_.find(step.to);
  return joined == joined_.end() ? pass_.code[step.to].op : joined->second;
}

std::vector<int> PassBuilder::count_reads() const {
  std::vector<int> reads(pass_.code.size());
  for (const Step& step : plan_.block) {
    for (int k = 0; k < step.operands; ++k) {
      reads[step.in[k]]++;
    }
  }
  for (const auto& r : pass_.reductions) {
    reads[r.value]++;
  }
  for (const auto& s : stores_) {
    reads[s.value]++;
  }
  return reads;
}

// sigmoid(x) * x * u is one loop instead of three: while it computes, memory
// brings what it multiplies with.
void PassBuilder::join_factors() {
  const auto reads = count_reads();
  std::vector<int> step_of(pass_.code.size(), -1);
  std::vector<int> factors(plan_.block.size());
  std::vector<bool> gone(plan_.block.size());
  for (size_t n = 0; n < plan_.block.size(); ++n) {
    Step& step = plan_.block[n];
    step_of[step.to] = static_cast<int>(n);
    const auto& instruction = pass_.code[step.to];
    if (step.act != Act::Compute || instruction.op != Op::Mul ||
        instruction.type != Type::F32) {
      continue;
    }
    for (int k = 0; k < 2; ++k) {
      const uint16_t reg = step.in[k];
      const int before = step_of[reg];
      if (before < 0 || reads[reg] != 1 || factors[before] == 2) {
        continue;
      }
      const Step& slow = plan_.block[before];
      const int own = factors[before] + 1;
      const auto compute =
          slow.act == Act::Compute ? find_times(op_of(slow), own) : nullptr;
      if (!compute) {
        continue;
      }
      Step joined = slow;
      joined.to = step.to;
      for (int f = own; f < 3; ++f) { // the last fills what is not read
        joined.in[f] = step.in[1 - k];
        joined.mask[f] = step.mask[1 - k];
      }
      joined.operands = own + 1;
      joined.compute = compute;
      joined_[step.to] = op_of(slow);
      factors[n] = own;
      gone[before] = true;
      step = joined;
      break;
    }
  }
  std::vector<Step> left;
  for (size_t n = 0; n < plan_.block.size(); ++n) {
    if (!gone[n]) {
      left.push_back(plan_.block[n]);
    }
  }
  plan_.block = std::move(left);
}

// The slowest operation fetches what the next block reads, so that memory works
// while it computes; the first one does where all are quick.
void PassBuilder::assign_fetches() {
  std::stable_partition(
      plan_.block.begin(), plan_.block.end(), [](const Step& step) {
        return step.act == Act::Alias;
      });
  Step* fetcher = nullptr;
  for (Step& step : plan_.block) {
    if (step.act == Act::Compute &&
        (!fetcher || (is_slow(op_of(step)) && !is_slow(op_of(*fetcher))))) {
      fetcher = &step;
    }
  }
  for (const Step& step : plan_.block) {
    if (fetcher && step.act == Act::Alias &&
        lang::size_of(bound_.accesses_[step.access].type()) == kFetchedSize &&
        fetcher->fetches < kMaxFetches) {
      fetcher->fetch[fetcher->fetches++] = step.to;
    }
  }
}

} // namespace zmlx::backend::cpu
