// Making the steps of a pass fewer and its memory busy.
#include <algorithm>

#include "zmlx/backend/cpu/pass_builder.h"

namespace zmlx::backend::cpu {

using lang::Op;
using lang::Type;

namespace {

// How far ahead a loop fetches that does little else than read.
constexpr int64_t kNearBytes = 1024;

} // namespace

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

std::vector<int> PassBuilder::count_reads() const {
  std::vector<int> reads(pass_.code.size());
  for (const Step& step : plan_.block) {
    for (int k = 0; k < step.operands; ++k) {
      reads[step.in[k]]++;
    }
  }
  const auto count = [&](const auto& plans) {
    for (const auto& plan : plans) {
      reads[plan.value]++;
    }
  };
  count(plan_.reductions);
  count(plan_.adds);
  count(plan_.stores);
  return reads;
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
        (!fetcher ||
         (is_slow(pass_.code[step.to].op) &&
          !is_slow(pass_.code[fetcher->to].op)))) {
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
