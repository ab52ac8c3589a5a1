#pragma once

#include <bit>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include <fmt/format.h>
#include <xbyak/xbyak.h>

#include "zmlx/backend/cpu/loop/loop.h"

namespace zmlx::backend::cpu {

/// What vcmpps asks.
enum Compare : uint8_t {
  kEqual = 0,
  kUnordered = 3,
  kNotEqual = 4, // true where one is NaN
  kLess = 17,
  kLessEqual = 18,
  kNotLessEqual = 22, // true where one is NaN
  kNotLess = 29, // false where one is NaN: greater or equal
};

/// Vectors of values that the stack has places for.
inline constexpr int kStack = 64;

/// What the code from byte `begin` on does, as far as the next note.
struct CodeNote {
  size_t begin;
  std::string text;
};

/// Writes the code of a Loop for AVX-512: `copies` vectors of 16 places a
/// turn, then one by one, the last under a mask.
class LoopAssembler : public Xbyak::CodeGenerator {
 public:
  /// InternalError where the loop does not fit() or where the assembler has no
  /// code for an operation; Xbyak::Error where Xbyak refuses an instruction or
  /// the system refuses memory. `notes`, if any, become those of the code.
  explicit LoopAssembler(
      const Loop& loop,
      std::vector<CodeNote>* notes = nullptr);

 private:
  using Zmm = Xbyak::Zmm;
  using Mask = Xbyak::Opmask;
  using Op = lang::Op;
  using Type = lang::Type;

  static constexpr int kLanes = 16;
  static constexpr int kVectorBytes = 64;
  const Xbyak::Reg64 data_base_ = r15;
  static constexpr uint8_t kToNearest = 8, kDown = 9, kUp = 10;

  // One vector of a value: where it is, and who still wants it.
  struct Copy {
    enum class At : uint8_t { Nowhere, Vector, Mask, Stack };
    At at = At::Nowhere;
    int number = -1; // of the register, or the place on the stack
    int uses = 0; // that are still to come in this turn
  };

  /// A register, Zmm or Mask, for as long as it lives.
  template <typename Reg>
  class Taken {
   public:
    explicit Taken(LoopAssembler& of) : of_(of), reg_(of.take<Reg>()) {}
    Taken(const Taken&) = delete;
    Taken& operator=(const Taken&) = delete;
    ~Taken() {
      of_.free_list<Reg>().push_back(reg_.getIdx());
    }
    operator const Reg&() const { // NOLINT: it is that register
      return reg_;
    }

   private:
    LoopAssembler& of_;
    Reg reg_;
  };
  using Temp = Taken<Zmm>;
  using TempMask = Taken<Mask>;

  // The loop, in assembler.cpp.
  void choose_registers();
  template <typename... T>
  void note(fmt::format_string<T...> text, T&&... values) {
    if (notes_) {
      notes_->push_back(
          {getSize(), fmt::format(text, std::forward<T>(values)...)});
    }
  }
  void write();
  void write_turns(Xbyak::Label& check);
  void write_turn(int copies, bool masked);
  void write_stores();
  void write_store(const Loop::Store& store, int copy);
  void write_add(const Loop::Add& add, int copy);
  void write_stored(const Loop::Store& store, int copy, const Zmm& x);
  void write_bfloat16_pair(const Loop::Store& store);
  void write_reduction(size_t number, int copy);
  void write_fetches();
  void write_constants();
  void write_begin();
  void write_next_row(Xbyak::Label& row);
  void write_reciprocal(const Zmm& to, const Zmm& divisor);
  void write_end();
  void write_late();
  void write_data(Xbyak::Label& data);
  void count_uses();

  // Values and registers, in registers.cpp.
  Xbyak::Reg64 base(int memory);
  Xbyak::Address element(int memory, Type stored, int copy);
  template <typename Reg>
  std::vector<int>& free_list() {
    if constexpr (std::is_same_v<Reg, Zmm>) {
      return free_vectors_;
    } else {
      return free_masks_;
    }
  }
  template <typename Reg>
  Reg take() {
    auto& free = free_list<Reg>();
    if (free.empty()) {
      std::is_same_v<Reg, Zmm> ? spill_vector() : spill_mask();
    }
    const int reg = free.back();
    free.pop_back();
    return Reg(reg);
  }
  Zmm take_vector() {
    return take<Zmm>();
  }
  Mask take_mask() {
    return take<Mask>();
  }
  void spill_vector();
  void spill_mask();
  void place(int value, int copy, const Xbyak::Reg& reg); // a Zmm or Mask
  Zmm vector(int value, int copy); // pinned until the operation ends
  Mask mask(int value, int copy);
  void read(const Loop::Value& value, int copy, const Zmm& to);
  void read_bfloat16(int memory, int copy, const Zmm& to);
  void read_picked(const Loop::Value& value, int copy, const Zmm& to);
  void load(const Zmm& to, Type stored, const Xbyak::Address& from);
  bool stays_in_memory(int value, int copy);
  Xbyak::Address in_memory(int value, int copy);
  /// f(register), or f(memory) where this operation alone reads it from there.
  template <typename F>
  void with_operand(int value, int copy, F f) {
    if (stays_in_memory(value, copy)) {
      f(in_memory(value, copy));
    } else {
      f(vector(value, copy));
    }
  }
  /// f(register with the constant in every lane).
  template <typename F>
  void with_constant(float value, F f) {
    const auto bits = std::bit_cast<uint32_t>(value);
    const int kept = keep(constants_, bits);
    if (kept >= 0) {
      return f(Zmm(kept));
    }
    const Temp own(*this);
    vbroadcastss(own, word(bits));
    f(own);
  }
  void used(int value, int copy);
  void release(Copy& copy);
  Copy& state(int value, int copy);
  int next_use(int value) const;
  static uint32_t bits_of(const Loop::Value& number);
  /// The register that the loop keeps for what `kept` knows by the key; -1
  /// where none is left.
  template <typename Key>
  int keep(std::map<Key, int>& kept, std::type_identity_t<Key> key) {
    const auto found = kept.find(key);
    if (found != kept.end()) {
      return found->second;
    }
    if (kept_left_ == 0) {
      return -1;
    }
    return kept[key] = kept_first_ + --kept_left_;
  }
  int offset_of(uint32_t bits);
  /// A float or uint32_t in memory; number(): for every lane.
  template <typename T>
  Xbyak::Address word(T value) {
    return ptr[data_base_ + offset_of(std::bit_cast<uint32_t>(value))];
  }
  template <typename T>
  Xbyak::Address number(T value) {
    return ptr_b[data_base_ + offset_of(std::bit_cast<uint32_t>(value))];
  }
  Xbyak::Address table(const float* values); // of 16

  // One operation on one copy, in operations.cpp.
  void write_operation(int value, int copy);
  struct Codes;
  friend bool assembles(const lang::Instruction& operation);
  void write_join(const Loop::Value& value, int self, int copy);
  void rsqrt(const Zmm& to, const Zmm& x);
  void write_compare(const Loop::Value& value, int self, int copy);
  void write_logic(const Loop::Value& value, int self, int copy);
  void write_select(const Loop::Value& value, int self, int copy);
  void write_cast(const Loop::Value& value, int self, int copy);
  void write_as(const Loop::Value& value, int self, int copy);
  void write_extreme(const Loop::Value& value, int self, int copy);
  void write_divide(const Loop::Value& value, int self, int copy);
  void divide_by_one(
      const Zmm& to,
      const Zmm& x,
      const Zmm& y,
      const Zmm& reciprocal);
  void round_to_bfloat16(const Zmm& to, const Zmm& x, const Mask& nan);
  static bool has_bfloat16(); // a conversion of the machine's own
  void narrow_to_bfloat16(const Zmm& to, const Zmm& x);
  void jump_if_any(const Mask& mask, std::function<void()> write) {
    L(jump_if_any(mask, mask, std::move(write)));
  }
  /// The label where `write` goes on; still to be set.
  Xbyak::Label&
  jump_if_any(const Mask& a, const Mask& b, std::function<void()> write);

  // Functions of a vector, in functions.cpp. `x` may not be `to`.
  void exp(const Zmm& to, const Zmm& x);
  void
  exp_within(const Zmm& to, const Zmm& r, const Zmm& n, const Zmm& shifted);
  void sigmoid(const Zmm& to, const Zmm& x);
  void tanh(const Zmm& to, const Zmm& x);
  void log(const Zmm& to, const Zmm& x);
  void erf(const Zmm& to, const Zmm& x);
  void clamp(const Zmm& to, const Zmm& x, float least, float most);
  void exp_parts(const Zmm& p, const Zmm& shifted, const Zmm& n, const Zmm& r);
  void polynomial(const Zmm& p, const Zmm& x, std::span<const float> c);

  // sin and cos of a vector, in sine.cpp: sin(x + quarters pi / 2). What is too
  // far for that is repaired by a function of C++, lane by lane.
  using Repair = void (*)(float* to, const float* x, uint32_t lanes);
  void sine(const Zmm& to, const Zmm& x, uint32_t quarters);
  void repair_if_any(
      const Mask& lanes,
      const Zmm& to,
      const Zmm& x,
      Repair function);
  void write_repairs();

  const Loop loop_;
  std::vector<CodeNote>* notes_;
  int most_copies_;
  int copies_; // of this turn
  bool masked_ = false;

  std::vector<Copy> state_; // of value v, copy c: v most_copies_ + c
  std::vector<int> total_uses_;
  std::vector<int> pinned_;
  std::vector<int> free_vectors_;
  std::vector<int> free_masks_;
  std::vector<int> free_stack_;
  std::map<int, int> bases_; // memory: register
  std::map<uint32_t, int> constants_; // bits: register
  std::map<const float*, int> kept_tables_; // values: register
  std::map<int, int> once_; // value: register
  std::map<int, int> reciprocals_; // divisor: register
  std::vector<int> sums_; // by reduction
  std::vector<int> nans_; // masks, by reduction
  int upper_words_ = -1; // a mask: the upper halves of lanes
  int kept_first_ = 0; // registers that the loop may keep
  int kept_left_ = 0; // how many of them are free
  int now_ = 0; // the value that is written

  struct Late { // what is rarely run: from a jump to where it goes on
    Xbyak::Label begin, back;
    std::function<void()> write;
  };
  std::vector<std::unique_ptr<Late>> late_;
  Xbyak::Label repairs_; // what calls a Repair
  bool calls_repairs_ = false;
  std::vector<uint32_t> data_; // after the code
  std::map<uint32_t, int> numbers_; // bits: bytes into the data
  std::map<const float*, int> tables_;
};

} // namespace zmlx::backend::cpu
