#include "cli/decoder.h"

#include "zmlx/base/errors.h"
#include "zmlx/base/text.h"
#include "zmlx/patch/patch.h"

namespace zmlx::cli {

namespace {

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts(1);
  for (char c : text) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

} // namespace

PatchOption parse_patch_option(const std::string& text) {
  if (text == "auto") {
    return {};
  }
  if (text == "off") {
    return {PatchOption::Kind::off, {}};
  }
  auto rules = split(text);
  try {
    graph::folds_of(rules, {});
  } catch (const UserError& error) {
    const std::vector<std::string> words{"auto", "off"};
    throw user_error(
        "--patch: expected auto, off or names of rules with commas, got "
        "\"{}\": {}{}",
        text,
        error.what(),
        did_you_mean(text, words));
  }
  return {PatchOption::Kind::rules, std::move(rules)};
}

void add_patch_option(CLI::App& app, std::string& value) {
  app.add_option(
         "--patch",
         value,
         "auto: every rule; off: stock MLX; "
         "or the rules to apply, with commas")
      ->capture_default_str();
}

ChosenDecoder make_decoder(
    std::shared_ptr<const nn::Model> model,
    const PatchOption& option) {
  if (option.kind == PatchOption::Kind::off) {
    return {
        nn::plain_decoder(std::move(model)),
        "not patched: --patch off; runs as stock MLX"};
  }
  auto patched = patch(std::move(model), {.patterns = option.rules});
  auto outcome = patched->report().outcome();
  return {std::move(patched), std::move(outcome)};
}

} // namespace zmlx::cli
