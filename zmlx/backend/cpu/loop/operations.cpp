// The operations of a loop, each on one vector.
#include "zmlx/backend/cpu/loop/loop.h"

#if ZMLX_ASSEMBLES
#include <algorithm>

#include <xbyak/xbyak_util.h>

#include "zmlx/backend/cpu/loop/assembler.h"
#include "zmlx/base/errors.h"
#include "zmlx/lang/operations.h"

namespace zmlx::backend::cpu {

using lang::Op;
using lang::Type;

namespace {

// Of integers.
uint8_t integer_compare(Op op) {
  return op == Op::Equal ? 0 : op == Op::Less ? 1 : op == Op::LessEqual ? 2 : 4;
}

uint8_t float_compare(Op op) {
  return op == Op::Equal    ? kEqual
      : op == Op::Less      ? kLess
      : op == Op::LessEqual ? kLessEqual
                            : kNotEqual;
}

bool is_compare(Op op) {
  return lang::operation(op).types == lang::TypeRule::Comparison;
}

bool is_logic(Op op) {
  return lang::operation(op).types == lang::TypeRule::Logical;
}

bool is_word(Type type) {
  return type == Type::I32 || type == Type::U32;
}

constexpr uint8_t kSubnormal = 0x20; // of vfpclassps

bool assembles_cast(Type from, Type to) {
  return from == Type::Bool ? to == Type::F32 || is_word(to)
      : from == Type::F32   ? to == Type::I32 || to == Type::Bool
      : is_word(from)       ? to == Type::F32 || is_word(to) || to == Type::Bool
                            : false;
}

} // namespace

// clang-format off
#define ZMLX_FUNCTION(CODE) [](LoopAssembler& a, const Zmm& to, const Zmm& x) { CODE; }
#define ZMLX_JOIN(WRITE) \
  [](LoopAssembler& a, const Zmm& to, const Zmm& x, const Xbyak::Operand& y) { a.WRITE(to, x, y); }

// clang-format on

/// What is written for operations that are one function of a float, or join two
/// operands of one type, the second of which may be in memory. Null for others,
/// which have forms of their own below or none.
struct LoopAssembler::Codes {
  using Function = void (*)(LoopAssembler& a, const Zmm& to, const Zmm& x);
  using Join = void (*)(
      LoopAssembler& a,
      const Zmm& to,
      const Zmm& x,
      const Xbyak::Operand& y);

  static Function function(const lang::Instruction& i) {
    // clang-format off
    static constexpr std::pair<Op, Function> kRows[] = {
        {Op::Neg, ZMLX_FUNCTION(a.vxorps(to, x, a.number(uint32_t{0x80000000})))},
        {Op::Abs, ZMLX_FUNCTION(a.vandps(to, x, a.number(uint32_t{0x7FFFFFFF})))},
        {Op::Exp, ZMLX_FUNCTION(a.exp(to, x))},
        {Op::Log, ZMLX_FUNCTION(a.log(to, x))},
        {Op::Sqrt, ZMLX_FUNCTION(a.vsqrtps(to, x))},
        {Op::Rsqrt, ZMLX_FUNCTION(a.rsqrt(to, x))},
        {Op::Tanh, ZMLX_FUNCTION(a.tanh(to, x))},
        {Op::Sigmoid, ZMLX_FUNCTION(a.sigmoid(to, x))},
        {Op::Erf, ZMLX_FUNCTION(a.erf(to, x))},
        {Op::Sin, ZMLX_FUNCTION(a.sine(to, x, 0))},
        {Op::Cos, ZMLX_FUNCTION(a.sine(to, x, 1))},
        {Op::Floor, ZMLX_FUNCTION(a.vrndscaleps(to, x, kDown))},
        {Op::Ceil, ZMLX_FUNCTION(a.vrndscaleps(to, x, kUp))},
        {Op::Round, ZMLX_FUNCTION(a.vrndscaleps(to, x, kToNearest))},
    };
    // clang-format on
    const auto* row =
        std::ranges::find(kRows, i.op, &std::pair<Op, Function>::first);
    return i.type == Type::F32 && row != std::end(kRows) ? row->second
                                                         : nullptr;
  }

  static Join join(const lang::Instruction& i) {
    struct Row {
      Op op;
      Type type; // I32: of U32 too, where that has no row before
      Join write;
    };
    // clang-format off
    static constexpr Row kRows[] = {
        {Op::Add, Type::F32, ZMLX_JOIN(vaddps)},
        {Op::Sub, Type::F32, ZMLX_JOIN(vsubps)},
        {Op::Mul, Type::F32, ZMLX_JOIN(vmulps)},
        {Op::Add, Type::I32, ZMLX_JOIN(vpaddd)},
        {Op::Sub, Type::I32, ZMLX_JOIN(vpsubd)},
        {Op::Mul, Type::I32, ZMLX_JOIN(vpmulld)},
        {Op::BitAnd, Type::I32, ZMLX_JOIN(vpandd)},
        {Op::BitOr, Type::I32, ZMLX_JOIN(vpord)},
        {Op::BitXor, Type::I32, ZMLX_JOIN(vpxord)},
        // Counts outside the width shift everything out.
        {Op::Shl, Type::I32, ZMLX_JOIN(vpsllvd)},
        {Op::Shr, Type::U32, ZMLX_JOIN(vpsrlvd)},
        {Op::Shr, Type::I32, ZMLX_JOIN(vpsravd)},
    };
    // clang-format on
    const auto* row = std::ranges::find_if(kRows, [&](const Row& r) {
      return r.op == i.op &&
          (r.type == i.type || (r.type == Type::I32 && i.type == Type::U32));
    });
    return row != std::end(kRows) ? row->write : nullptr;
  }
};

#undef ZMLX_FUNCTION
#undef ZMLX_JOIN

bool assembles(const lang::Instruction& i) {
  if (is_compare(i.op)) {
    return i.from == Type::F32 || is_word(i.from);
  }
  if (is_logic(i.op)) {
    return i.from == Type::Bool;
  }
  switch (i.op) {
    case Op::Select:
      return i.type == Type::F32 || is_word(i.type);
    case Op::Cast:
      return assembles_cast(i.from, i.type);
    case Op::As:
      return i.type == Type::F32 &&
          (i.rounded == Type::BF16 || i.rounded == Type::F16);
    case Op::Div:
    case Op::Max:
    case Op::Min:
      return i.type == Type::F32;
    default:
      return LoopAssembler::Codes::function(i) || LoopAssembler::Codes::join(i);
  }
}

void LoopAssembler::write_operation(int self, int copy) {
  const Loop::Value& value = loop_.values[self];
  const auto& it = value.instruction;
  if (is_compare(it.op)) {
    write_compare(value, self, copy);
  } else if (is_logic(it.op)) {
    write_logic(value, self, copy);
  } else if (it.op == Op::Select) {
    write_select(value, self, copy);
  } else if (it.op == Op::Cast) {
    write_cast(value, self, copy);
  } else if (it.op == Op::As) {
    write_as(value, self, copy);
  } else if (it.op == Op::Max || it.op == Op::Min) {
    write_extreme(value, self, copy);
  } else if (it.op == Op::Div) {
    write_divide(value, self, copy);
  } else if (const auto function = Codes::function(it)) {
    const Zmm x = vector(value.in[0], copy), to = take_vector();
    function(*this, to, x);
    place(self, copy, to);
  } else {
    write_join(value, self, copy);
  }
  pinned_.clear();
  for (int k = 0; k < lang::arity(it.op); ++k) {
    used(value.in[k], copy);
  }
}

void LoopAssembler::write_join(const Loop::Value& value, int self, int copy) {
  const auto& it = value.instruction;
  const auto join = Codes::join(it);
  if (!join) {
    throw internal_error(
        "loop assembler: no code for '{}'", lang::name_of(it.op));
  }
  const bool swap = it.type == Type::F32 && it.op != Op::Sub &&
      stays_in_memory(value.in[0], copy);
  const Zmm x = vector(value.in[swap], copy), to = take_vector();
  with_operand(value.in[!swap], copy, [&](const Xbyak::Operand& y) {
    join(*this, to, x, y);
  });
  place(self, copy, to);
}

void LoopAssembler::rsqrt(const Zmm& to, const Zmm& x) {
  const Temp root(*this);
  vsqrtps(root, x);
  vbroadcastss(to, word(1.0f));
  vdivps(to, to, root);
}

void LoopAssembler::write_compare(
    const Loop::Value& value,
    int self,
    int copy) {
  const auto& it = value.instruction;
  const Zmm x = vector(value.in[0], copy);
  const Mask to = take_mask();
  with_operand(value.in[1], copy, [&](const auto& y) {
    if (it.from == Type::F32) {
      vcmpps(to, x, y, float_compare(it.op));
    } else if (it.from == Type::I32) {
      vpcmpd(to, x, y, integer_compare(it.op));
    } else {
      vpcmpud(to, x, y, integer_compare(it.op));
    }
  });
  place(self, copy, to);
}

void LoopAssembler::write_logic(const Loop::Value& value, int self, int copy) {
  const Op op = value.instruction.op;
  const Mask x = mask(value.in[0], copy);
  if (op == Op::Not) {
    const Mask to = take_mask();
    knotw(to, x);
    return place(self, copy, to);
  }
  const Mask y = mask(value.in[1], copy), to = take_mask();
  if (op == Op::And) {
    kandw(to, x, y);
  } else {
    korw(to, x, y);
  }
  place(self, copy, to);
}

void LoopAssembler::write_select(const Loop::Value& value, int self, int copy) {
  const Mask condition = mask(value.in[0], copy);
  const Zmm no = vector(value.in[2], copy), to = take_vector();
  with_operand(value.in[1], copy, [&](const auto& yes) {
    vblendmps(to | condition, no, yes);
  });
  place(self, copy, to);
}

void LoopAssembler::write_cast(const Loop::Value& value, int self, int copy) {
  const Type from = value.instruction.from, type = value.type;
  if (from == Type::Bool) {
    const Mask x = mask(value.in[0], copy);
    const Zmm to = take_vector();
    const auto one = type == Type::F32 ? word(1.0f) : word(uint32_t{1});
    vbroadcastss(to | x | T_z, one);
    return place(self, copy, to);
  }
  const Zmm x = vector(value.in[0], copy);
  if (type == Type::Bool) {
    const Mask to = take_mask();
    if (from == Type::F32) {
      const Temp zero(*this);
      vxorps(zero, zero, zero);
      vcmpps(to, x, zero, kNotEqual);
    } else {
      vptestmd(to, x, x);
    }
    return place(self, copy, to);
  }
  const Zmm to = take_vector();
  if (from == Type::F32) { // beyond the range its end, and 0 for NaN
    const TempMask own(*this);
    const Mask wrong = own;
    vcvttps2dq(to, x);
    vcmpps(wrong, x, number(0x1p31f), kNotLess);
    vpbroadcastd(to | wrong, word(uint32_t{0x7FFFFFFF}));
    vcmpps(wrong, x, x, kUnordered);
    vpxord(to | wrong, to, to);
  } else if (type == Type::F32) {
    from == Type::I32 ? vcvtdq2ps(to, x) : vcvtudq2ps(to, x);
  } else {
    vmovaps(to, x);
  }
  place(self, copy, to);
}

void LoopAssembler::write_as(const Loop::Value& value, int self, int copy) {
  const Zmm x = vector(value.in[0], copy), to = take_vector();
  if (value.instruction.rounded == Type::BF16) {
    const TempMask nan(*this);
    round_to_bfloat16(to, x, nan);
    vpandd(to, to, number(uint32_t{0xFFFF0000}));
  } else {
    const Xbyak::Ymm half(to.getIdx());
    vcvtps2ph(half, x, 0);
    vcvtph2ps(to, half);
  }
  place(self, copy, to);
}

// The upper halves are what is rounded, to nearest even; NaN stays one.
void LoopAssembler::round_to_bfloat16(
    const Zmm& to,
    const Zmm& x,
    const Mask& nan) {
  vcmpps(nan, x, x, kUnordered);
  vpsrld(to, x, 16);
  vpandd(to, to, number(uint32_t{1}));
  vpaddd(to, to, x);
  vpaddd(to, to, number(uint32_t{0x7FFF}));
  vpord(to | nan, x, number(uint32_t{0x400000}));
}

// Asked once, as that takes long on a virtual machine.
bool LoopAssembler::has_bfloat16() {
  using Xbyak::util::Cpu;
  static const bool has = Cpu().has(Cpu::tAVX512_BF16);
  return has;
}

// Both copies by one conversion.
void LoopAssembler::write_bfloat16_pair(const Loop::Store& store) {
  const Zmm first = vector(store.value, 0), second = vector(store.value, 1);
  const Temp own(*this);
  const TempMask own_a(*this), own_b(*this);
  const Zmm to = own;
  const Mask a = own_a, b = own_b;
  vcvtne2ps2bf16(to, second, first);
  vfpclassps(a, first, kSubnormal);
  vfpclassps(b, second, kSubnormal);
  auto& after = jump_if_any(a, b, [=, this] {
    for (const int copy : {0, 1}) {
      round_to_bfloat16(to, copy == 0 ? first : second, a);
      vpsrld(to, to, 16);
      vpmovdw(element(store.memory, Type::BF16, copy), to);
    }
  });
  const auto at = element(store.memory, Type::BF16, 0);
  store.past_caches ? vmovntps(at, to) : vmovups(at, to);
  L(after);
}

// The low half is what is stored. The machine's own conversion takes subnormal
// numbers for zero.
void LoopAssembler::narrow_to_bfloat16(const Zmm& to, const Zmm& x) {
  const TempMask own(*this);
  const Mask mask = own;
  const Xbyak::Ymm half(to.getIdx());
  const auto exactly = [=, this] {
    round_to_bfloat16(to, x, mask);
    vpsrld(to, to, 16);
    vpmovdw(half, to);
  };
  if (!has_bfloat16()) {
    return exactly();
  }
  vcvtneps2bf16(half, x);
  vfpclassps(mask, x, kSubnormal);
  jump_if_any(mask, exactly);
}

Xbyak::Label& LoopAssembler::jump_if_any(
    const Mask& a,
    const Mask& b,
    std::function<void()> write) {
  auto& late = late_.emplace_back(std::make_unique<Late>());
  late->write = std::move(write);
  kortestw(a, b);
  jnz(late->begin, T_NEAR);
  return late->back;
}

// The machine gives the second operand where one is NaN.
void LoopAssembler::write_extreme(
    const Loop::Value& value,
    int self,
    int copy) {
  const Zmm x = vector(value.in[0], copy), to = take_vector();
  const TempMask own(*this);
  const Mask nan = own;
  with_operand(value.in[1], copy, [&](const auto& y) {
    value.instruction.op == Op::Max ? vmaxps(to, x, y) : vminps(to, x, y);
  });
  vcmpps(nan, x, x, kUnordered);
  vmovaps(to | nan, x);
  place(self, copy, to);
}

void LoopAssembler::write_divide(const Loop::Value& value, int self, int copy) {
  const int divisor = value.in[1];
  const Zmm x = vector(value.in[0], copy);
  const auto kind = loop_.values[divisor].kind;
  if (kind == Loop::Value::Kind::Once || kind == Loop::Value::Kind::Number) {
    const int y = kind == Loop::Value::Kind::Once
        ? keep(once_, divisor)
        : keep(constants_, bits_of(loop_.values[divisor]));
    const int r = y < 0 ? -1 : keep(reciprocals_, divisor);
    if (r >= 0) {
      const Zmm to = take_vector();
      divide_by_one(to, x, Zmm(y), Zmm(r));
      return place(self, copy, to);
    }
  }
  const Zmm to = take_vector();
  with_operand(divisor, copy, [&](const auto& y) { vdivps(to, x, y); });
  place(self, copy, to);
}

// By the reciprocal, and a correction by what is left (see vector_math-inl.h).
// What that cannot do, the reciprocal itself being NaN included, is divided
// after all, apart from the loop. Lanes beyond the end do not ask for it.
void LoopAssembler::divide_by_one(
    const Zmm& to,
    const Zmm& x,
    const Zmm& y,
    const Zmm& reciprocal) {
  const Temp rest(*this), sign(*this);
  vmulps(to, x, reciprocal);
  vandps(sign, to, number(uint32_t{0x80000000}));
  vmovaps(rest, x);
  vfnmadd231ps(rest, to, y);
  vfmadd231ps(to, rest, reciprocal);
  vorps(to, to, sign); // of an exact 0
  const TempMask own(*this);
  const Mask lost = own;
  vcmpps(masked_ ? lost | k1 : lost, to, to, kUnordered);
  jump_if_any(lost, [=, this] { vdivps(to, x, y); });
}

} // namespace zmlx::backend::cpu

#endif // ZMLX_ASSEMBLES
