#include "zmlx/backend/cfamily/operations.h"

#include <cmath>

#include "zmlx/base/errors.h"
#include "zmlx/lang/operations.h"

namespace zmlx::backend::cfamily {

using lang::Op;
using lang::Type;

namespace {

std::string_view unsigned_of(Type type) {
  return type == Type::I64 ? "ulong" : "uint";
}

// Signed integers wrap, which the language leaves undefined for +, - and *.
std::string arithmetic(
    const Dialect& d,
    const char* sign,
    Type type,
    const std::string& x,
    const std::string& y) {
  if (!lang::is_signed(type)) {
    return fmt::format("{} {} {}", x, sign, y);
  }
  const auto u = unsigned_of(type);
  return fmt::format(
      "{}({}({}) {} {}({}))", value_name(d, type), u, x, sign, u, y);
}

std::string call(
    Text& text,
    std::string_view name,
    const std::string& x,
    const std::string& y) {
  return fmt::format("{}({}, {})", text.use(name), x, y);
}

std::string infix(Op op, const std::string& x, const std::string& y) {
  return fmt::format("{} {} {}", x, lang::name_of(op), y);
}

std::string real_function(Text& text, Op op, const std::string& x) {
  std::string_view own;
  if (text.stores_halves()) {
    own = text.dialect().function_name_of_halves(op);
  }
  if (own.empty()) {
    own = text.dialect().function_name(op);
  }
  return fmt::format(
      "{}({})", text.use(own.empty() ? lang::name_of(op) : own), x);
}

// The type of an integer operation other than on values.
std::string unary(Text& text, Op op, Type type, const std::string& x) {
  const Dialect& d = text.dialect();
  if (lang::is_float(type)) {
    return op == Op::Neg ? fmt::format("-{}", x) : real_function(text, op, x);
  }
  if (op == Op::Neg) {
    return arithmetic(d, "-", type, literal(type, 0), x);
  }
  if (op == Op::Abs && lang::is_signed(type)) {
    return fmt::format(
        "{} < 0 ? {} : {}",
        x,
        arithmetic(d, "-", type, literal(type, 0), x),
        x);
  }
  return x; // what rounds, and the size of an unsigned number
}

std::string binary(
    Text& text,
    Op op,
    Type type,
    bool of_a_row,
    const std::string& x,
    const std::string& y) {
  const Dialect& d = text.dialect();
  const bool real = lang::is_float(type);
  switch (op) {
    case Op::Add:
      return arithmetic(d, "+", type, x, y);
    case Op::Sub:
      return arithmetic(d, "-", type, x, y);
    case Op::Mul:
      return arithmetic(d, "*", type, x, y);
    case Op::Div:
      return !real   ? call(text, "divide", x, y)
          : of_a_row ? call(text, "quotient", x, y)
                     : infix(op, x, y);
    case Op::Mod:
      return call(text, "modulo", x, y);
    case Op::Pow:
      return real ? fmt::format("{}({}, {})", d.function_name(op), x, y)
                  : call(text, "power", x, y);
    case Op::Max:
      return call(text, "larger", x, y);
    case Op::Min:
      return call(text, "smaller", x, y);
    case Op::Shl:
      return call(text, "shift_left", x, y);
    case Op::Shr:
      return call(text, "shift_right", x, y);
    default:
      return infix(op, x, y);
  }
}

std::string rounded(Text& text, Type type, Type stored, const std::string& x) {
  return widen(text, stored, narrow(text, type, stored, x));
}

} // namespace

std::optional<std::string> operation_unsupported(
    const lang::Instruction& instruction) {
  if (instruction.type == Type::F64 || instruction.from == Type::F64) {
    return "float64";
  }
  if (lang::operation(instruction.op).kind == lang::OpKind::Stage) {
    return fmt::format("'{}'", lang::name_of(instruction.op));
  }
  return std::nullopt;
}

std::string apply(
    Text& text,
    const lang::Instruction& i,
    std::span<const std::string> in,
    std::span<const Type> types) {
  switch (i.op) {
    case Op::As:
      return rounded(text, i.type, i.rounded, in[0]);
    case Op::Cast:
      return convert(text, types[0], i.type, in[0]);
    case Op::Stop:
      return in[0];
    case Op::Not:
      return fmt::format("!{}", in[0]);
    case Op::Select:
      return fmt::format("{} ? {} : {}", in[0], in[1], in[2]);
    default:
      break;
  }
  switch (lang::operands(i)) {
    case 1:
      return unary(text, i.op, i.from, in[0]);
    case 2:
      return binary(text, i.op, i.from, i.uniform, in[0], in[1]);
    default:
      throw internal_error(
          "emitted text: '{}' is no operation on values", lang::name_of(i.op));
  }
}

std::string literal(Type type, double value) {
  switch (type) {
    case Type::Bool:
      return value != 0 ? "true" : "false";
    case Type::I32:
      return value <= -0x1p31 ? "int(1u << 31)"
          : value < 0         ? fmt::format("({})", static_cast<int64_t>(value))
                              : fmt::format("{}", static_cast<int64_t>(value));
    case Type::U32:
      return fmt::format("{}u", static_cast<uint32_t>(value));
    case Type::I64:
      return value <= -0x1p63
          ? "long(1ull << 63)"
          : fmt::format("long({}ll)", static_cast<int64_t>(value));
    case Type::U64:
      return fmt::format("{}ul", static_cast<uint64_t>(value));
    default:
      break;
  }
  const auto x = static_cast<float>(value);
  if (std::isnan(x)) {
    return "(0.0f * INFINITE)";
  }
  if (std::isinf(x)) {
    return x < 0 ? "(-INFINITE)" : "INFINITE";
  }
  auto text = fmt::format("{}", x);
  if (text.find_first_of(".e") == std::string::npos) {
    text += ".0";
  }
  return std::signbit(x) ? fmt::format("({}f)", text) : text + "f";
}

std::string convert(Text& text, Type from, Type to, const std::string& x) {
  if (from == to) {
    return x;
  }
  if (to == Type::Bool) {
    return fmt::format("{} != {}", x, literal(from, 0));
  }
  const auto name = value_name(text.dialect(), to);
  if (lang::is_float(from) && !lang::is_float(to)) {
    return fmt::format("{}({})", text.use(fmt::format("{}_of", name)), x);
  }
  return fmt::format("{}({})", name, x);
}

std::string narrow(Text& text, Type from, Type stored, const std::string& x) {
  const auto name = stored_name(text.dialect(), stored);
  if (stored == Type::Bool) {
    return from == Type::Bool ? x
                              : fmt::format("({} != {})", x, literal(from, 0));
  }
  if (stored == Type::F16 || stored == Type::BF16) {
    return fmt::format(
        "{}({})",
        text.use(fmt::format("narrow_{}", name)),
        convert(text, from, Type::F32, x));
  }
  if (lang::is_float(from) && lang::is_integer(stored) &&
      lang::compute_type(stored) != stored) {
    return fmt::format("{}({})", text.use(fmt::format("{}_of", name)), x);
  }
  if (lang::is_float(from) || lang::compute_type(stored) == stored) {
    return convert(text, from, stored, x);
  }
  return fmt::format("{}({})", name, x);
}

std::string widen(Text& text, Type stored, const std::string& x) {
  const auto name = stored_name(text.dialect(), stored);
  if (stored == Type::F16 || stored == Type::BF16) {
    return fmt::format("{}({})", text.use(fmt::format("widen_{}", name)), x);
  }
  const Type type = lang::compute_type(stored);
  return type == stored
      ? x
      : fmt::format("{}({})", value_name(text.dialect(), type), x);
}

} // namespace zmlx::backend::cfamily
