#pragma once

#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "zmlx/nn/decoder.h"

namespace zmlx::cli {

/// What --patch says.
struct PatchOption {
  enum class Kind { automatic, off, rules } kind = Kind::automatic;
  std::vector<std::string> rules; // for Kind::rules, at least one
};

/// "auto", "off", or names of patterns, presets or folds with commas between
/// them. UserError for anything else, with the nearest name.
PatchOption parse_patch_option(const std::string& text);

/// Adds --patch to `app`; the text goes to `value`, which parse_patch_option
/// takes.
void add_patch_option(CLI::App& app, std::string& value);

/// A way to run a model, and a line that says which it is: "patched: 151
/// launches a token".
struct ChosenDecoder {
  std::unique_ptr<nn::Decoder> decoder;
  std::string outcome;
};

/// The way to run `model` that the option asks for. UserError names a rule that
/// does not exist.
ChosenDecoder make_decoder(
    std::shared_ptr<const nn::Model> model,
    const PatchOption& option);

} // namespace zmlx::cli
