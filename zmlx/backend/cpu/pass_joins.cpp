// Making the steps of a pass fewer and its memory busy.
#include <algorithm>

#include "zmlx/backend/cpu/pass_builder.h"
#include "zmlx/lang/operations.h"

namespace zmlx::backend::cpu {

using lang::Op;
using lang::Type;

namespace {

// How far ahead a loop fetches that does little else than read.
constexpr int64_t kNearBytes = 1024;

} // namespace

bool is_slow(Op op) {
  return lang::operation(op).cost == lang::Cost::Slow;
}

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
  const auto count = [&](const auto& reader) {
    for (int k = 0; k < reader.operands; ++k) {
      reads[reader.in[k]]++;
    }
    reads[reader.value] += reader.joined ? 0 : 1;
  };
  for (const auto& reduction : plan_.reductions) {
    count(reduction);
  }
  for (const auto& add : plan_.adds) {
    count(add);
  }
  for (const auto& store : plan_.stores) {
    reads[store.value]++;
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
      const auto compute = slow.act == Act::Compute && slow.kept < 0
          ? find_times(op_of(slow), own)
          : nullptr;
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
  remove(gone);
}

void PassBuilder::remove(const std::vector<bool>& gone) {
  std::vector<Step> left;
  for (size_t n = 0; n < plan_.block.size(); ++n) {
    if (!gone[n]) {
      left.push_back(plan_.block[n]);
    }
  }
  plan_.block = std::move(left);
}

// exp(a - b), as in every softmax, is one loop.
void PassBuilder::join_differences() {
  const auto reads = count_reads();
  std::vector<int> step_of(pass_.code.size(), -1);
  std::vector<bool> gone(plan_.block.size());
  for (size_t n = 0; n < plan_.block.size(); ++n) {
    Step& step = plan_.block[n];
    step_of[step.to] = static_cast<int>(n);
    const int before = step_of[step.in[0]];
    if (step.act != Act::Compute || joined_.contains(step.to) ||
        pass_.code[step.to].type != Type::F32 ||
        pass_.code[step.to].op != Op::Exp || before < 0) {
      continue;
    }
    const Step& sub = plan_.block[before];
    if (sub.act == Act::Compute && sub.kept < 0 && reads[sub.to] == 1 &&
        !joined_.contains(sub.to) && pass_.code[sub.to].op == Op::Sub) {
      step.compute = find_exp_of_difference();
      step.in = sub.in;
      step.mask = sub.mask;
      step.operands = 2;
      gone[before] = true;
    }
  }
  remove(gone);
}

// Where the next row of an input lies, and who reads it.
PassBuilder::NextRow PassBuilder::next_row(const Step& step) const {
  const Access& access = bound_.accesses_[step.access];
  const auto size = static_cast<int64_t>(lang::size_of(access.type()));
  if (access.stride() != 1 || !access.steady(bound_.width_)) {
    return {};
  }
  const int64_t bytes =
      bound_.rows_ > 1 ? access.offset(bound_.width_) * size : 0;
  if (bound_.rows_ > 1 && bytes == 0) {
    return {}; // each row reads the same
  }
  int readers = 0;
  bool last = true;
  for (size_t p = 0; p < passes_.size(); ++p) {
    const auto& code = passes_[p].code;
    if (std::any_of(code.begin(), code.end(), [&](const auto& i) {
          return i.op == Op::Input && i.number == pass_.code[step.to].number;
        })) {
      readers++;
      last = last && p <= number_;
    }
  }
  if (readers > 1 && bound_.width_ * size <= kKeptBytes) {
    return {bytes, last, false};
  }
  return {0, last, true};
}

// How far ahead of a stream the memory lies that it should fetch: the next
// block, or where passes read the row again, the next row while the last of
// them runs. 0: nothing.
int64_t PassBuilder::fetch_bytes(const Step& step) const {
  const NextRow next = next_row(step);
  const auto size = lang::size_of(bound_.accesses_[step.access].type());
  return next.streams ? plan_.block_length * static_cast<int64_t>(size)
      : next.last     ? next.bytes
                      : 0;
}

// The slowest operation fetches, so that memory works while it computes; the
// first one does where all are quick, and a reduction where there is none.
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
  for (Step& step : plan_.block) {
    if (step.act == Act::Load) {
      step.fetch_bytes[0] = fetch_bytes(step);
      step.fetches = step.fetch_bytes[0] != 0;
    }
    const int64_t bytes = step.act == Act::Alias ? fetch_bytes(step) : 0;
    if (bytes == 0 ||
        lang::size_of(bound_.accesses_[step.access].type()) != sizeof(float)) {
      continue;
    }
    if (fetcher && fetcher->fetches < kMaxFetches) {
      fetcher->fetch_bytes[fetcher->fetches] = bytes;
      fetcher->fetch[fetcher->fetches++] = step.to;
    }
    for (auto& reduction : plan_.reductions) {
      if (!fetcher && reduction.value == step.to) {
        reduction.fetch_bytes = std::min(bytes, kNearBytes);
        break;
      }
    }
  }
}

} // namespace zmlx::backend::cpu
