// The loop around the operations.
#include "zmlx/backend/cpu/loop/loop.h"

#if ZMLX_ASSEMBLES
#include "zmlx/backend/cpu/loop/assembler.h"
#include "zmlx/lang/operations.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "zmlx/base/errors.h"

namespace zmlx::backend::cpu {

using lang::Op;
using lang::Type;
using Kind = Loop::Value::Kind;

namespace {

constexpr int kVectors = 32;
// For the values of the operations at least, and what one operation takes of
// them beside values.
constexpr int kFewestFree = 12, kMostTemps = 6;
constexpr int kMostKept = 14; // constants and uniform values
constexpr int kMasks = 7; // k1 to k7; k1 is of the last places
constexpr int kFewestMasks = 4;

// About how many instructions an operation takes.
int weight(const Loop::Value& value) {
  if (value.kind != Kind::Operation) {
    return 0;
  }
  const Op op = value.instruction.op;
  if (lang::operation(op).cost == lang::Cost::Slow) {
    return 20;
  }
  return op == Op::Div || op == Op::Sqrt || op == Op::Rsqrt ? 6 : 1;
}

// Two vectors together where that is little code.
int choose_copies(const Loop& loop) {
  int total = 0;
  for (const auto& value : loop.values) {
    total += weight(value);
  }
  return total <= 45 ? 2 : 1;
}

// More bytes than the code takes. Pages that are not written are not there.
size_t code_bytes(const Loop& loop) {
  constexpr size_t kAround = 16 * 1024, kEach = 4 * 1024;
  return kAround +
      kEach *
      (loop.values.size() + loop.stores.size() + loop.reductions.size() +
       loop.adds.size() + loop.fetches.size());
}

// Vector registers that constants and uniform values may keep.
int kept_vectors(const Loop& loop) {
  const auto sums = static_cast<int>(loop.reductions.size());
  return std::min(kMostKept, kVectors - sums - kFewestFree);
}

// How many values are wanted at the same time at most.
int most_alive(const Loop& loop) {
  const size_t end = loop.values.size(); // when values are stored and reduced
  std::vector<size_t> first(end, end), last(end, end);
  for (size_t n = 0; n < end; ++n) {
    const auto& value = loop.values[n];
    if (value.kind != Kind::Operation) {
      continue;
    }
    first[n] = n;
    for (int k = 0; k < lang::arity(value.instruction.op); ++k) {
      const auto in = static_cast<size_t>(value.in[k]);
      first[in] = std::min(first[in], n);
      last[in] = n;
    }
  }
  const auto read_at_end = [&](const auto& readers) {
    for (const auto& reader : readers) {
      last[static_cast<size_t>(reader.value)] = end;
    }
  };
  read_at_end(loop.stores);
  read_at_end(loop.reductions);
  read_at_end(loop.adds);
  std::vector<int> change(end + 2);
  for (size_t n = 0; n < end; ++n) {
    ++change[first[n]];
    --change[last[n] + 1];
  }
  std::partial_sum(change.begin(), change.end(), change.begin());
  return *std::ranges::max_element(change);
}

} // namespace

bool fits(const Loop& loop) {
  const auto reductions = static_cast<int>(loop.reductions.size());
  const auto extremes = std::ranges::count_if(
      loop.reductions,
      [](const auto& reduction) { return reduction.op != Op::Sum; });
  const int free = kVectors - reductions - kept_vectors(loop);
  return kept_vectors(loop) >= 0 && kMasks - extremes >= kFewestMasks &&
      most_alive(loop) * choose_copies(loop) <= kStack + free - kMostTemps;
}

LoopAssembler::LoopAssembler(const Loop& loop, std::vector<CodeNote>* notes)
    : CodeGenerator(code_bytes(loop)),
      loop_(loop),
      notes_(notes),
      most_copies_(choose_copies(loop)),
      copies_(most_copies_),
      state_(loop.values.size() * static_cast<size_t>(most_copies_)) {
  if (!fits(loop)) {
    throw internal_error(
        "loop assembler: {} values and {} reductions do not fit into the "
        "registers",
        loop.values.size(),
        loop.reductions.size());
  }
  choose_registers();
  count_uses();
  write();
}

void LoopAssembler::choose_registers() {
  int next = kVectors;
  for (size_t r = 0; r < loop_.reductions.size(); ++r) {
    sums_.push_back(--next);
  }
  int mask = kMasks;
  for (const auto& reduction : loop_.reductions) {
    nans_.push_back(reduction.op == Op::Sum ? -1 : mask--);
  }
  if (mask > kFewestMasks &&
      std::ranges::any_of(loop_.values, [](const auto& value) {
        return value.kind == Kind::Each && value.stored == Type::BF16;
      })) {
    upper_words_ = mask--;
  }
  kept_left_ = kept_vectors(loop_);
  kept_first_ = next - kept_left_;
  for (int v = kept_first_; v-- > 0;) {
    free_vectors_.push_back(v);
  }
  for (; mask > 1; --mask) {
    free_masks_.push_back(mask);
  }
  for (int place = 0; place < kStack; ++place) {
    free_stack_.push_back(place);
  }
}

void LoopAssembler::count_uses() {
  total_uses_.assign(loop_.values.size(), 0);
  for (const auto& value : loop_.values) {
    for (int k = 0;
         value.kind == Kind::Operation && k < lang::arity(value.instruction.op);
         ++k) {
      total_uses_[value.in[k]]++;
    }
  }
  const auto count = [&](const auto& users) {
    for (const auto& user : users) {
      total_uses_[user.value]++;
    }
  };
  count(loop_.stores);
  count(loop_.reductions);
  count(loop_.adds);
}

void LoopAssembler::write() {
  const std::array saved = {rbx, r12, r13, r14, r15};
  Xbyak::Label preamble, row, check, data;
  note("enter");
  push(rbp);
  mov(rbp, rsp);
  for (const auto& reg : saved) {
    push(reg);
  }
  push(rdx); // rows, and their strides: see write_next_row
  push(rcx);
  sub(rsp, (kStack + 1) * kVectorBytes); // one more for what is done late
  and_(rsp, -kVectorBytes);
  jmp(preamble, T_NEAR);

  write_turns(check);
  if (loop_.reductions.empty()) {
    write_next_row(row);
  }
  note("write the reductions' lanes, and return");
  write_end();
  lea(rsp, ptr[rbp - static_cast<int>(saved.size() * sizeof(void*))]);
  for (auto reg = saved.rbegin(); reg != saved.rend(); ++reg) {
    pop(*reg);
  }
  pop(rbp);
  vzeroupper();
  ret();

  write_late();
  write_repairs();
  note("read the constants, once");
  L(preamble); // at last, when it is known what the turns want
  lea(data_base_, ptr[rip + data]);
  write_constants();
  note("begin a row: read where the memories are, and its uniform values");
  L(row);
  write_begin();
  jmp(check, T_NEAR);
  note("constants");
  write_data(data);
}

// From `check` on, the places of a row.
void LoopAssembler::write_turns(Xbyak::Label& check) {
  Xbyak::Label turn, rest, end;
  align(32);
  L(turn);
  write_turn(most_copies_, false);
  note("go on while there are {} places", kLanes * most_copies_);
  add(rax, kLanes * most_copies_);
  L(check);
  lea(rcx, ptr[rax + kLanes * most_copies_]);
  cmp(rcx, rsi);
  jle(turn, T_NEAR);

  L(rest);
  cmp(rax, rsi);
  jge(end, T_NEAR);
  mov(rcx, rsi);
  sub(rcx, rax);
  mov(r11d, -1);
  bzhi(r11d, r11d, ecx);
  kmovw(k1, r11d);
  write_turn(1, true);
  note("go on with the last places");
  add(rax, kLanes);
  jmp(rest, T_NEAR);
  L(end);
}

void LoopAssembler::write_turn(int copies, bool masked) {
  copies_ = copies;
  masked_ = masked;
  for (size_t v = 0; v < loop_.values.size(); ++v) {
    for (int c = 0; c < copies; ++c) {
      state(static_cast<int>(v), c).uses = 0;
    }
    for (int c = 0; c < copies; ++c) {
      state(static_cast<int>(v), c).uses += total_uses_[v];
    }
  }
  note(
      "{}",
      masked ? std::string("a turn of at most 16 places")
             : fmt::format("a turn of {} places", copies * kLanes));
  write_fetches();
  for (now_ = 0; now_ < static_cast<int>(loop_.values.size()); ++now_) {
    if (loop_.values[now_].kind == Kind::Operation) {
      for (int c = 0; c < copies; ++c) {
        note("v{}", now_);
        write_operation(now_, c);
      }
    }
  }
  for (size_t r = 0; r < loop_.reductions.size(); ++r) {
    for (int c = 0; c < copies; ++c) {
      note("reduce v{}", loop_.reductions[r].value);
      write_reduction(r, c);
    }
  }
  for (const auto& add : loop_.adds) {
    for (int c = 0; c < copies; ++c) {
      note("add v{} to memory {}", add.value, add.memory);
      write_add(add, c);
      used(add.value, c);
      pinned_.clear();
    }
  }
  write_stores();
}

// A store may be into the memory that a value is read from. A truth value that
// was read may be in a mask.
void LoopAssembler::write_stores() {
  for (const auto& store : loop_.stores) {
    for (int c = 0; c < copies_; ++c) {
      if (loop_.values[store.value].kind == Kind::Each &&
          state(store.value, c).at == Copy::At::Nowhere) {
        vector(store.value, c);
        pinned_.clear();
      }
    }
  }
  for (const auto& store : loop_.stores) {
    const bool pair =
        store.stored == Type::BF16 && copies_ == 2 && has_bfloat16();
    note("store v{} to memory {}", store.value, store.memory);
    if (pair) {
      write_bfloat16_pair(store);
    }
    for (int c = 0; c < copies_; ++c) {
      if (!pair) {
        write_store(store, c);
      }
      used(store.value, c);
      pinned_.clear();
    }
  }
}

void LoopAssembler::write_store(const Loop::Store& store, int copy) {
  if (loop_.values[store.value].type == Type::Bool) {
    const Mask x = mask(store.value, copy);
    const Temp own(*this);
    const Zmm bits = own;
    vpbroadcastd(bits | x | T_z, word(uint32_t{1}));
    return write_stored(store, copy, bits);
  }
  write_stored(store, copy, vector(store.value, copy));
}

void LoopAssembler::write_stored(
    const Loop::Store& store,
    int copy,
    const Zmm& x) {
  const bool past = store.past_caches && !masked_;
  const auto to = element(store.memory, store.stored, copy);
  const auto into = masked_ ? to | k1 : to;
  switch (store.stored) {
    case Type::BF16:
    case Type::F16: {
      const Temp own(*this);
      const Zmm half = own;
      const Xbyak::Ymm narrow(half.getIdx());
      if (store.stored == Type::F16) {
        vcvtps2ph(narrow, x, 0);
      } else {
        narrow_to_bfloat16(half, x);
      }
      return past ? vmovntps(to, narrow) : vmovdqu16(into, narrow);
    }
    case Type::Bool:
    case Type::U8:
    case Type::I8:
      return vpmovdb(into, x);
    case Type::U16:
    case Type::I16:
      return vpmovdw(into, x);
    default:
      return past ? vmovntps(to, x) : vmovups(into, x);
  }
}

void LoopAssembler::write_add(const Loop::Add& add, int copy) {
  const Zmm x = vector(add.value, copy);
  const Temp own_sum(*this);
  const Zmm sum = own_sum;
  if (add.floats) {
    const auto at = element(add.memory, Type::F32, copy);
    if (masked_) {
      vmovups(sum | k1 | T_z, at);
      vaddps(sum, sum, x);
      return vmovups(at | k1, sum);
    }
    vaddps(sum, x, at);
    return vmovups(at, sum);
  }
  const Temp own_half(*this);
  const Zmm half = own_half;
  const Xbyak::Ymm narrow(half.getIdx());
  const TempMask own_some(*this);
  const Mask some = own_some;
  for (int k = 0; k < 2; ++k) {
    const auto at =
        ptr[base(add.memory) + rax * 8 + (2 * copy + k) * kVectorBytes];
    vextractf32x8(narrow, x, static_cast<uint8_t>(k));
    vcvtps2pd(half, narrow);
    if (masked_) {
      kshiftrw(some, k1, static_cast<uint8_t>(8 * k));
      vmovupd(sum | some | T_z, at);
      vaddpd(sum, sum, half);
      vmovupd(at | some, sum);
    } else {
      vaddpd(sum, half, at);
      vmovupd(at, sum);
    }
  }
}

// One after the other into the same lanes: the order of a sum must not depend
// on what else the loop does.
void LoopAssembler::write_reduction(size_t number, int copy) {
  const auto& it = loop_.reductions[number];
  const Zmm sum(sums_[number]);
  const Zmm into = masked_ ? sum | k1 : sum;
  if (it.op == Op::Sum) {
    with_operand(it.value, copy, [&](const auto& x) { vaddps(into, sum, x); });
  } else {
    const Zmm x = vector(it.value, copy);
    it.op == Op::MaxOf ? vmaxps(into, x, sum) : vminps(into, x, sum);
    const TempMask own(*this);
    const Mask nan = own;
    vcmpunordps(masked_ ? nan | k1 : nan, x, x);
    korw(Mask(nans_[number]), Mask(nans_[number]), nan);
  }
  used(it.value, copy);
  pinned_.clear();
}

void LoopAssembler::write_fetches() {
  for (const auto& fetch : loop_.fetches) {
    const auto size = static_cast<int>(lang::size_of(fetch.stored));
    const int bytes = copies_ * kLanes * size;
    for (int at = 0; at < bytes; at += kVectorBytes) {
      prefetcht1(ptr[base(fetch.memory) + rax * size + at]);
    }
  }
}

// What is the same in every row.
void LoopAssembler::write_constants() {
  for (const auto& [values, reg] : kept_tables_) {
    vmovups(Zmm(reg), table(values));
  }
  if (upper_words_ >= 0) {
    mov(r11d, 0xAAAAAAAA);
    kmovd(Mask(upper_words_), r11d);
  }
  for (const auto& [bits, reg] : constants_) {
    vbroadcastss(Zmm(reg), word(bits));
  }
  for (const auto& [divisor, reg] : reciprocals_) {
    const auto& value = loop_.values[divisor];
    if (value.kind == Kind::Number) {
      write_reciprocal(Zmm(reg), Zmm(constants_.at(bits_of(value))));
    }
  }
}

void LoopAssembler::write_begin() {
  for (const auto& [memory, reg] : bases_) {
    mov(Xbyak::Reg64(reg), ptr[rdi + memory * 8]);
  }
  for (const auto& [value, reg] : once_) {
    mov(r11, ptr[rdi + loop_.values[value].memory * 8]);
    vmovups(Zmm(reg), ptr[r11]);
  }
  for (const auto& [divisor, reg] : reciprocals_) {
    if (loop_.values[divisor].kind == Kind::Once) {
      write_reciprocal(Zmm(reg), Zmm(once_.at(divisor)));
    }
  }
  for (size_t s = 0; s < sums_.size(); ++s) {
    const Op op = loop_.reductions[s].op;
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    const Zmm sum(sums_[s]);
    if (op == Op::Sum) {
      vxorps(sum, sum, sum);
    } else {
      vbroadcastss(sum, word(op == Op::MaxOf ? -kInfinity : kInfinity));
    }
  }
  for (const int nan : nans_) {
    if (nan >= 0) {
      kxorw(Mask(nan), Mask(nan), Mask(nan));
    }
  }
  xor_(eax, eax);
}

// Goes on with the next row, where there is one.
void LoopAssembler::write_next_row(Xbyak::Label& row) {
  constexpr int kRows = -6 * 8, kStrides = -7 * 8; // after what is saved
  note("go on with the next row");
  Xbyak::Label none;
  dec(qword[rbp + kRows]);
  jz(none, T_NEAR);
  mov(rcx, ptr[rbp + kStrides]);
  for (int memory = 0; memory < loop_.memories; ++memory) {
    mov(r11, ptr[rcx + memory * 8]);
    add(ptr[rdi + memory * 8], r11);
  }
  jmp(row, T_NEAR);
  L(none);
}

// NaN where the division by it needs more than that.
void LoopAssembler::write_reciprocal(const Zmm& to, const Zmm& divisor) {
  const Zmm size(0);
  vbroadcastss(to, word(1.0f));
  vdivps(to, to, divisor);
  vandps(size, divisor, number(uint32_t{0x7FFFFFFF}));
  vbroadcastss(Zmm(1), word(1e-30f));
  vcmpps(k1, size, Zmm(1), kLess);
  vbroadcastss(to | k1, word(std::numeric_limits<float>::quiet_NaN()));
  vbroadcastss(Zmm(1), word(1e30f));
  vcmpps(k1, Zmm(1), size, kLess);
  vbroadcastss(to | k1, word(std::numeric_limits<float>::quiet_NaN()));
}

void LoopAssembler::write_end() {
  for (size_t r = 0; r < loop_.reductions.size(); ++r) {
    mov(r11, ptr[rdi + loop_.reductions[r].memory * 8]);
    vmovups(ptr[r11], Zmm(sums_[r]));
    if (nans_[r] >= 0) {
      kmovw(ecx, Mask(nans_[r]));
      mov(dword[r11 + static_cast<int>(offsetof(Partial, nan))], ecx);
    }
  }
}

void LoopAssembler::write_late() {
  note("what is rarely needed: lanes that are done again");
  for (const auto& late : late_) {
    L(late->begin);
    late->write();
    jmp(late->back, T_NEAR);
  }
}

void LoopAssembler::write_data(Xbyak::Label& data) {
  align(kVectorBytes);
  L(data);
  for (const uint32_t bits : data_) {
    dd(bits);
  }
}

} // namespace zmlx::backend::cpu

#endif // ZMLX_ASSEMBLES
