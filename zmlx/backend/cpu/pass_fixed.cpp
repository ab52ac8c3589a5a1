// What is the same in every row is computed once, when the program is bound:
// places, and what formulas make of them.
#include "zmlx/backend/cpu/pass_builder.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "zmlx/backend/cpu/scalar.h"

namespace zmlx::backend::cpu {

namespace {

// Longer rows would push what they are read beside out of the caches. Windows
// take half as much, and less time than reading place by place.
constexpr int64_t kFixedWidth = 8192, kWindowed = 8 * kFixedWidth;
// A run of a pick costs about as much as this many places read one by one.
constexpr int64_t kRunPlaces = 8;

} // namespace

const void* PassBuilder::fixed_memory(uint16_t reg) const {
  const Fixed& fixed = fixed_[reg];
  return fixed.constant >= 0 ? bound_.constants_[fixed.constant].bytes
      : fixed.row >= 0       ? bound_.fixed_[fixed.row].data()
                             : nullptr;
}

// Takes a step that no row changes; the others go on to be run.
bool PassBuilder::put_fixed(const Step& step, bool once) {
  if (binding_.walk != Walk::Rows ||
      (step.act != Act::Compute && step.act != Act::Index)) {
    return false;
  }
  BlockArgs args{.in = {}, .mask = step.mask};
  for (int k = 0; k < step.operands; ++k) {
    args.in[k] = fixed_memory(step.in[k]);
    if (!args.in[k]) {
      return false;
    }
  }
  if (once) {
    BoundPasses::Uniform value{};
    args.out = value.bytes;
    args.n = kUniformLanes;
    step.compute(args);
    put_constant(step.to, value);
    return true;
  }
  // For one row that is worth it where picks then have windows.
  const int64_t least = picks() ? 1 : 2;
  const int64_t most = picks() ? kWindowed : kFixedWidth;
  return bound_.rows_ >= least && bound_.width_ > 0 && bound_.width_ <= most &&
      put_fixed_row(step, args);
}

// Whether that is all of the step. Of a row that is too wide to be read only
// windows are made.
bool PassBuilder::put_fixed_row(const Step& step, BlockArgs& args) {
  const auto type = register_type(pass_.code[step.to].type);
  const size_t size = lang::size_of(type);
  args.n = static_cast<size_t>(bound_.width_);
  std::vector<std::byte> row(args.n * size);
  args.out = row.data();
  if (step.act == Act::Index) {
    auto* places = static_cast<int32_t*>(args.out);
    std::iota(places, places + args.n, 0);
  } else {
    step.compute(args);
  }
  if (std::memcmp(row.data(), row.data() + size, row.size() - size) == 0) {
    BoundPasses::Uniform value{};
    for (size_t lane = 0; lane < kUniformLanes; ++lane) {
      std::memcpy(value.bytes + lane * size, row.data(), size);
    }
    put_constant(step.to, value);
    return true;
  }
  fixed_[step.to].row = static_cast<int>(bound_.fixed_.size());
  bound_.fixed_.push_back(std::move(row));
  if (bound_.width_ > kFixedWidth) {
    return false;
  }
  Step fixed{.act = Act::Fixed, .to = step.to};
  fixed.in.fill(step.to);
  fixed.access = fixed_[step.to].row;
  fixed.type = type;
  plan_.block.push_back(fixed);
  return true;
}

bool PassBuilder::picks() const {
  return std::ranges::any_of(
      pass_.code, [](const auto& i) { return i.op == lang::Op::Pick; });
}

void PassBuilder::put_constant(
    uint16_t reg,
    const BoundPasses::Uniform& value) {
  const size_t number = bound_.constants_.size();
  bound_.constants_.push_back(value);
  fixed_[reg].constant = static_cast<int>(number);
  once_[reg] = true;
  shared_[reg] = true;
  plan_.places.push_back(
      {reg, BoundPasses::Place::Part::Constant, number * sizeof value});
}

// The runs in which places follow each other that are the same in every row, if
// all are inside and the runs are long.
void PassBuilder::find_runs(Step& pick) const {
  const Fixed& fixed = fixed_[pick.in[0]];
  if (fixed.row < 0 || pick.type != lang::Type::I32) {
    return;
  }
  const auto* places =
      reinterpret_cast<const int32_t*>(bound_.fixed_[fixed.row].data());
  std::vector<BoundPasses::PickedRun> runs;
  for (int64_t i = 0; i < bound_.width_; ++i) {
    if (places[i] < 0 || places[i] >= pick.length) {
      return;
    }
    if (runs.empty() || places[i] != places[i - 1] + 1) {
      runs.push_back({i, i, places[i]});
    }
    runs.back().end = i + 1;
  }
  if (static_cast<int64_t>(runs.size()) * kRunPlaces <= bound_.width_) {
    pick.runs = static_cast<int>(bound_.runs_.size());
    bound_.runs_.push_back(std::move(runs));
  }
}

// The windows of a pick at places that are the same in every row.
int PassBuilder::windows_of(const Step& pick) {
  const Fixed& fixed = fixed_[pick.in[0]];
  const lang::Type stored = bound_.accesses_[pick.access].type();
  if (!binding_.assemble || !assembles(stored) || fixed.row < 0 ||
      pick.type != lang::Type::I32 || pick.own_stride != 1) {
    return -1;
  }
  const auto [at, added] = windows_.try_emplace({fixed.row, pick.length}, -1);
  if (added) {
    const auto* places =
        reinterpret_cast<const int32_t*>(bound_.fixed_[fixed.row].data());
    const auto width = static_cast<size_t>(bound_.width_);
    if (auto found = find_windows({places, width}, pick.length)) {
      at->second = static_cast<int>(bound_.windows_.size());
      bound_.windows_.push_back(std::move(*found));
    }
  }
  return at->second;
}

// Steps whose values nothing reads, as fixed rows that were only read to make
// others. A step that may find an index outside stays.
void PassBuilder::drop_dead() {
  std::vector<bool> read(pass_.code.size());
  for_each_sink([&](uint16_t reg) { read[reg] = true; });
  std::vector<Step> left;
  for (auto step = plan_.block.rbegin(); step != plan_.block.rend(); ++step) {
    if (!read[step->to] && step->kept < 0 && step->input < 0) {
      continue;
    }
    for (int k = 0; k < step->operands; ++k) {
      read[step->in[k]] = true;
    }
    left.push_back(*step);
  }
  plan_.block.assign(left.rbegin(), left.rend());
}

// The memory of fixed rows from this one on that are not read when rows run.
void PassBuilder::free_fixed(size_t first) {
  std::vector<bool> read(bound_.fixed_.size());
  for (const Step& step : plan_.block) {
    if (step.act == Act::Fixed) {
      read[static_cast<size_t>(step.access)] = true;
    }
    if (step.act == Act::Loop) {
      for (const auto& pointer : bound_.loops_[step.access].pointers) {
        if (pointer.from == From::Fixed) {
          read[static_cast<size_t>(pointer.number)] = true;
        }
      }
    }
  }
  for (size_t row = first; row < read.size(); ++row) {
    if (!read[row]) {
      std::vector<std::byte>().swap(bound_.fixed_[row]);
    }
  }
}

} // namespace zmlx::backend::cpu
