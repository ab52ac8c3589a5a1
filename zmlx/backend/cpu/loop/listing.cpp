// Loops for people to read.
#include "zmlx/backend/cpu/loop/loop.h"

#if ZMLX_ASSEMBLES
#include <algorithm>
#include <cctype>
#include <span>

#include <fmt/ranges.h>

#include "zmlx/backend/cpu/loop/assembler.h"
#include "zmlx/base/errors.h"

namespace zmlx::backend::cpu {
namespace {

using Kind = Loop::Value::Kind;

std::string operation_text(const Loop::Value& value) {
  const auto& it = value.instruction;
  const std::string name(lang::name_of(it.op));
  if (it.op == lang::Op::As || it.op == lang::Op::Cast) {
    const auto to = it.op == lang::Op::As ? it.rounded : it.type;
    return fmt::format("{}({}, v{})", name, lang::name_of(to), value.in[0]);
  }
  const std::span in(value.in.data(), lang::arity(it.op));
  const bool sign = std::ispunct(static_cast<unsigned char>(name[0])) != 0;
  return sign && in.size() == 2
      ? fmt::format("v{} {} v{}", in[0], name, in[1])
      : fmt::format("{}(v{})", name, fmt::join(in, ", v"));
}

std::string value_text(const Loop::Value& value) {
  switch (value.kind) {
    case Kind::Each:
      return fmt::format(
          "{} of memory {}", lang::name_of(value.stored), value.memory);
    case Kind::Once:
      return fmt::format("the one value in memory {}", value.memory);
    case Kind::Number:
      return fmt::format("{}", value.instruction.value);
    case Kind::Place:
      return "the number of the place";
    case Kind::Picked:
      return fmt::format(
          "{} of memory {}, picked by the windows in memory {}",
          lang::name_of(value.stored),
          value.memory,
          value.windows);
    default:
      return operation_text(value);
  }
}

void add_bytes(std::string& text, std::span<const uint8_t> bytes) {
  constexpr size_t kPerLine = 16;
  while (!bytes.empty()) {
    const auto line = bytes.first(std::min(kPerLine, bytes.size()));
    text += fmt::format("        {:02x}\n", fmt::join(line, " "));
    bytes = bytes.subspan(line.size());
  }
}

} // namespace

std::string listing(const Loop& loop) {
  std::vector<CodeNote> notes;
  std::string text;
  try {
    const LoopAssembler code(loop, &notes);
    for (size_t v = 0; v < loop.values.size(); ++v) {
      text += fmt::format("  v{} is {}\n", v, value_text(loop.values[v]));
    }
    const std::span all(code.getCode(), code.getSize());
    text += fmt::format("  {} bytes of code\n", all.size());
    for (size_t n = 0; n < notes.size(); ++n) {
      const size_t begin = notes[n].begin;
      const size_t end = n + 1 < notes.size() ? notes[n + 1].begin : all.size();
      text += fmt::format("  {:04x}  {}\n", begin, notes[n].text);
      add_bytes(text, all.subspan(begin, end - begin));
    }
  } catch (const Xbyak::Error& error) {
    throw internal_error("loop assembler: {}", error.what());
  }
  return text;
}

} // namespace zmlx::backend::cpu

#endif // ZMLX_ASSEMBLES
