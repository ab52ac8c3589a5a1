// Where the values of a loop are.
#include "zmlx/backend/cpu/loop/loop.h"

#if ZMLX_ASSEMBLES
#include <algorithm>
#include <bit>

#include "zmlx/backend/cpu/loop/assembler.h"
#include "zmlx/base/errors.h"

namespace zmlx::backend::cpu {

using Xbyak::Address;
using Kind = Loop::Value::Kind;

namespace {

// For each half of a vector of 32 words: which word goes to the upper half of
// each lane.
using WordOrder = std::array<float, 16>;
constexpr WordOrder upper_words(uint32_t first) {
  WordOrder order{};
  for (uint32_t lane = 0; lane < order.size(); ++lane) {
    order[lane] = std::bit_cast<float>((first + lane) << 16);
  }
  return order;
}
constexpr WordOrder kUpperWords[] = {upper_words(0), upper_words(16)};

} // namespace

Xbyak::Reg64 LoopAssembler::base(int memory) {
  static constexpr int kBases[] = {
      Xbyak::Operand::RDX,
      Xbyak::Operand::R8,
      Xbyak::Operand::R9,
      Xbyak::Operand::R10,
      Xbyak::Operand::RBX,
      Xbyak::Operand::R12,
      Xbyak::Operand::R13,
      Xbyak::Operand::R14};
  const auto found = bases_.find(memory);
  if (found != bases_.end()) {
    return Xbyak::Reg64(found->second);
  }
  if (bases_.size() < std::size(kBases)) {
    const int reg = kBases[bases_.size()];
    bases_.emplace(memory, reg);
    return Xbyak::Reg64(reg);
  }
  mov(r11, ptr[rdi + memory * 8]);
  return r11;
}

Address LoopAssembler::element(int memory, Type stored, int copy) {
  const auto size = static_cast<int>(lang::size_of(stored));
  return ptr[base(memory) + rax * size + copy * kLanes * size];
}

LoopAssembler::Copy& LoopAssembler::state(int value, int copy) {
  const Kind kind = loop_.values[value].kind;
  const bool shared = kind == Kind::Once || kind == Kind::Number;
  return state_[value * most_copies_ + (shared ? 0 : copy)];
}

// The operation after which the value is next read.
int LoopAssembler::next_use(int value) const {
  const auto count = static_cast<int>(loop_.values.size());
  for (int n = now_ + 1; n < count; ++n) {
    const auto& in = loop_.values[n].in;
    if (std::find(in.begin(), in.end(), value) != in.end()) {
      return n;
    }
  }
  return count;
}

// The value that is read last goes to the stack.
void LoopAssembler::spill_vector() {
  int best = -1, latest = -1;
  for (int s = 0; s < static_cast<int>(state_.size()); ++s) {
    if (state_[s].at == Copy::At::Vector &&
        std::find(pinned_.begin(), pinned_.end(), s) == pinned_.end()) {
      const int next = next_use(s / most_copies_);
      if (next > latest) {
        latest = next;
        best = s;
      }
    }
  }
  if (best < 0 || free_stack_.empty()) {
    throw internal_error("loop assembler: no vector register can be freed");
  }
  Copy& copy = state_[best];
  const int place = free_stack_.back();
  free_stack_.pop_back();
  vmovups(ptr[rsp + place * kVectorBytes], Zmm(copy.number));
  free_vectors_.push_back(copy.number);
  copy.at = Copy::At::Stack;
  copy.number = place;
}

// As a vector whose lanes have all bits or none.
void LoopAssembler::spill_mask() {
  const auto found =
      std::find_if(state_.begin(), state_.end(), [&](const Copy& copy) {
        const auto s = static_cast<int>(&copy - state_.data());
        return copy.at == Copy::At::Mask &&
            std::find(pinned_.begin(), pinned_.end(), s) == pinned_.end();
      });
  if (found == state_.end()) {
    throw internal_error("loop assembler: no mask register can be freed");
  }
  const Zmm to = take_vector();
  vpmovm2d(to, Mask(found->number));
  free_masks_.push_back(found->number);
  found->at = Copy::At::Vector;
  found->number = to.getIdx();
}

void LoopAssembler::release(Copy& copy) {
  switch (copy.at) {
    case Copy::At::Vector:
      free_vectors_.push_back(copy.number);
      break;
    case Copy::At::Mask:
      free_masks_.push_back(copy.number);
      break;
    case Copy::At::Stack:
      free_stack_.push_back(copy.number);
      break;
    case Copy::At::Nowhere:
      break;
  }
  copy.at = Copy::At::Nowhere;
}

void LoopAssembler::place(int value, int copy, const Xbyak::Reg& reg) {
  Copy& own = state(value, copy);
  own.at = reg.isOPMASK() ? Copy::At::Mask : Copy::At::Vector;
  own.number = reg.getIdx();
}

void LoopAssembler::used(int value, int copy) {
  Copy& own = state(value, copy);
  if (--own.uses == 0) {
    release(own);
  }
}

Xbyak::Zmm LoopAssembler::vector(int value, int copy) {
  const Loop::Value& it = loop_.values[value];
  Copy& own = state(value, copy);
  if (own.at == Copy::At::Nowhere) {
    const int kept = it.kind == Kind::Once ? keep(once_, value)
        : it.kind == Kind::Number          ? keep(constants_, bits_of(it))
                                           : -1;
    if (kept >= 0) {
      return Zmm(kept);
    }
  }
  pinned_.push_back(static_cast<int>(&own - state_.data()));
  if (own.at == Copy::At::Vector) {
    return Zmm(own.number);
  }
  const Zmm to = take_vector();
  if (own.at == Copy::At::Stack) {
    vmovups(to, ptr[rsp + own.number * kVectorBytes]);
    release(own);
  } else {
    read(it, copy, to);
  }
  place(value, copy, to);
  return to;
}

void LoopAssembler::read(const Loop::Value& value, int copy, const Zmm& to) {
  if (value.kind == Kind::Number) {
    vbroadcastss(to, word(bits_of(value)));
    return;
  }
  if (value.kind == Kind::Once) {
    mov(r11, ptr[rdi + value.memory * 8]);
    vmovups(to, ptr[r11]);
    return;
  }
  if (value.kind == Kind::Place) {
    mov(r11, ptr[rdi + value.memory * 8]);
    vpbroadcastd(to, eax);
    vpaddd(to, to, ptr[r11]);
    if (copy > 0) {
      vpaddd(to, to, number(static_cast<uint32_t>(copy * kLanes)));
    }
    return;
  }
  if (value.kind == Kind::Picked) {
    return read_picked(value, copy, to);
  }
  if (value.stored == Type::BF16) {
    return read_bfloat16(value.memory, copy, to);
  }
  const Address from = element(value.memory, value.stored, copy);
  load(masked_ ? to | k1 | T_z : to, value.stored, from);
}

// As the type it is computed in.
void LoopAssembler::load(const Zmm& to, Type stored, const Address& from) {
  switch (stored) {
    case Type::BF16:
      vpmovzxwd(to, from);
      return vpslld(Zmm(to.getIdx()), Zmm(to.getIdx()), 16);
    case Type::F16:
      return vcvtph2ps(to, from);
    case Type::Bool:
    case Type::U8:
      return vpmovzxbd(to, from);
    case Type::I8:
      return vpmovsxbd(to, from);
    case Type::U16:
      return vpmovzxwd(to, from);
    case Type::I16:
      return vpmovsxwd(to, from);
    default:
      return vmovups(to, from);
  }
}

// rcx is free between other instructions, and r11, which base() may give.
void LoopAssembler::read_picked(
    const Loop::Value& value,
    int copy,
    const Zmm& to) {
  const PickShape& picks = value.picks;
  const auto of_window = [&](size_t offset) {
    constexpr int kBytes = sizeof(PickWindow) / kLanes; // a place
    return base(value.windows) + rax * kBytes + copy * kLanes * kBytes +
        static_cast<int>(offset);
  };
  const auto elements = [&](size_t offset_of_first) {
    movsxd(rcx, dword[of_window(offset_of_first)]);
    const auto size = static_cast<int>(lang::size_of(value.stored));
    return ptr[base(value.memory) + rcx * size];
  };
  std::optional<TempMask> exists;
  if (!picks.everywhere) {
    kmovw(exists.emplace(*this), ptr[of_window(offsetof(PickWindow, exists))]);
  }
  const auto some = [&](const Zmm& x) {
    return exists ? x | Mask(*exists) | T_z : x;
  };
  if (picks.in_order) {
    const Zmm into = masked_ && !exists ? to | k1 | T_z : some(to);
    return load(into, value.stored, elements(offsetof(PickWindow, first)));
  }
  const Temp own_lanes(*this);
  const Zmm lanes = own_lanes;
  vpmovzxbd(lanes, ptr[of_window(offsetof(PickWindow, lanes))]);
  std::optional<TempMask> loaded;
  if (picks.narrow) {
    kmovw(loaded.emplace(*this), ptr[of_window(offsetof(PickWindow, loaded))]);
  }
  load(
      loaded ? to | Mask(*loaded) | T_z : to,
      value.stored,
      elements(offsetof(PickWindow, first)));
  if (!picks.two) {
    return vpermd(some(to), lanes, to);
  }
  const Temp second(*this);
  load(second, value.stored, elements(offsetof(PickWindow, second)));
  vpermi2d(lanes, to, second);
  vmovdqa32(some(to), lanes);
}

// Each word into the upper half of a lane: one shuffle of what two copies read
// together, where there are registers for it.
void LoopAssembler::read_bfloat16(int memory, int copy, const Zmm& to) {
  const bool pair = copies_ == 2 && !masked_;
  const bool shuffles = !masked_ && upper_words_ >= 0;
  const int order =
      shuffles ? keep(kept_tables_, kUpperWords[copy].data()) : -1;
  if (order < 0) {
    const Zmm into = masked_ ? to | k1 | T_z : to;
    return load(into, Type::BF16, element(memory, Type::BF16, copy));
  }
  const Zmm upper = to | Mask(upper_words_) | T_z;
  if (pair) {
    return vpermw(upper, Zmm(order), element(memory, Type::BF16, 0));
  }
  vbroadcasti32x8(to, element(memory, Type::BF16, 0));
  vpermw(upper, Zmm(order), to);
}

Xbyak::Opmask LoopAssembler::mask(int value, int copy) {
  Copy& own = state(value, copy);
  if (own.at != Copy::At::Mask) {
    const Zmm from = vector(value, copy);
    const Mask to = take_mask();
    vptestmd(to, from, from);
    if (own.at == Copy::At::Vector) {
      release(own);
    } else { // one that is kept
      pinned_.push_back(static_cast<int>(&own - state_.data()));
    }
    place(value, copy, to);
    return to;
  }
  pinned_.push_back(static_cast<int>(&own - state_.data()));
  return Mask(own.number);
}

// Whether it is read this once, and as it lies there.
bool LoopAssembler::stays_in_memory(int value, int copy) {
  const Loop::Value& it = loop_.values[value];
  if (state(value, copy).at != Copy::At::Nowhere) {
    return false;
  }
  switch (it.kind) {
    case Kind::Each:
      return !masked_ && total_uses_[value] == 1 && it.type == it.stored;
    case Kind::Once:
      return keep(once_, value) < 0;
    case Kind::Number:
      return !constants_.contains(bits_of(it));
    default:
      return false;
  }
}

Address LoopAssembler::in_memory(int value, int copy) {
  const Loop::Value& it = loop_.values[value];
  if (it.kind == Kind::Each) {
    return element(it.memory, it.stored, copy);
  }
  if (it.kind == Kind::Number) {
    return number(bits_of(it));
  }
  mov(r11, ptr[rdi + it.memory * 8]);
  return ptr[r11];
}

// Where the number is among the data, in bytes.
int LoopAssembler::offset_of(uint32_t bits) {
  const auto [at, added] =
      numbers_.try_emplace(bits, static_cast<int>(data_.size() * sizeof bits));
  if (added) {
    data_.push_back(bits);
  }
  return at->second;
}

Address LoopAssembler::table(const float* values) {
  const auto [at, added] = tables_.try_emplace(
      values, static_cast<int>(data_.size() * sizeof(uint32_t)));
  for (int k = 0; k < kLanes && added; ++k) {
    data_.push_back(std::bit_cast<uint32_t>(values[k]));
  }
  return ptr[data_base_ + at->second];
}

uint32_t LoopAssembler::bits_of(const Loop::Value& number) {
  const double value = number.instruction.value;
  switch (number.type) {
    case Type::F32:
      return std::bit_cast<uint32_t>(static_cast<float>(value));
    case Type::U32:
      return static_cast<uint32_t>(value);
    case Type::Bool:
      return value != 0;
    default:
      return static_cast<uint32_t>(static_cast<int32_t>(value));
  }
}

} // namespace zmlx::backend::cpu

#endif // ZMLX_ASSEMBLES
