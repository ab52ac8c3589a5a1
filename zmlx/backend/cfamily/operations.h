#pragma once

#include <optional>
#include <span>
#include <string>

#include "zmlx/backend/cfamily/text.h"
#include "zmlx/lang/program.h"

/// Single operations as expressions of the language.
namespace zmlx::backend::cfamily {

/// Nothing where the operation can be written, else why not.
std::optional<std::string> operation_unsupported(
    const lang::Instruction& instruction);

/// An operation on values (OpKind::Map) applied to operands, which are names or
/// literals. `types` are those of the operands.
std::string apply(
    Text& text,
    const lang::Instruction& instruction,
    std::span<const std::string> in,
    std::span<const lang::Type> types);

/// A number of a compute type.
std::string literal(lang::Type type, double value);

/// A value converted to another compute type.
std::string
convert(Text& text, lang::Type from, lang::Type to, const std::string& x);

/// What a value of type `from` becomes where it is stored.
std::string
narrow(Text& text, lang::Type from, lang::Type stored, const std::string& x);
/// What a stored element is worth, in its compute type; bool: 0 or 1.
std::string widen(Text& text, lang::Type stored, const std::string& x);

} // namespace zmlx::backend::cfamily
