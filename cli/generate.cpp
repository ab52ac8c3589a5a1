#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

#include <poll.h>
#include <unistd.h>

#include <mlx/mlx.h>
#include <mlx/version.h>
#include <nlohmann/json.hpp>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/decoder.h"
#include "cli/figures.h"
#include "cli/interrupt.h"
#include "cli/model.h"
#include "cli/output.h"
#include "zmlx/base/errors.h"
#include "zmlx/base/other_load.h"
#include "zmlx/base/text.h"
#include "zmlx/generate/detokenizer.h"
#include "zmlx/generate/session.h"

namespace zmlx::cli {

namespace {

namespace mx = mlx::core;

constexpr int max_int = std::numeric_limits<int>::max();
// More than fits in any context; a stream without end is refused here.
constexpr size_t max_prompt_bytes = 16 << 20;

struct GenerateOptions {
  std::string model;
  std::string prompt;
  std::optional<std::string> system_prompt;
  bool ignore_chat_template = false;
  int max_tokens = 100;
  generate::Sampling sampling;
  std::string patch = "auto";
  bool json = false;
};

void add_options(CLI::App& app, GenerateOptions& o) {
  app.add_option("model", o.model, "A model folder or a .gguf file")
      ->required();
  app.add_option("-p,--prompt", o.prompt, "The text to answer; - reads stdin")
      ->required();
  app.add_option("-m,--max-tokens", o.max_tokens, "Stop after so many tokens")
      ->transform(whole_number(0, max_int))
      ->capture_default_str();
  app.add_option("--temp", o.sampling.temperature, "Temperature; 0 is greedy")
      ->check(number())
      ->capture_default_str();
  app.add_option(
         "--top-p",
         o.sampling.top_p,
         "Sample from the likeliest tokens that make up this share; 0: all")
      ->check(number())
      ->capture_default_str();
  app.add_option(
         "--min-p",
         o.sampling.min_p,
         "Leave out tokens below this share of the likeliest; 0: none")
      ->check(number())
      ->capture_default_str();
  app.add_option(
         "--top-k",
         o.sampling.top_k,
         "Sample from so many of the likeliest tokens; 0: all")
      ->transform(whole_number(0, max_int))
      ->capture_default_str();
  app.add_option("--seed", o.sampling.seed, "Makes sampling repeatable")
      ->transform(whole_number(0, std::numeric_limits<uint64_t>::max()));
  app.add_option("--system-prompt", o.system_prompt, "What the model is to be");
  app.add_flag(
      "--ignore-chat-template",
      o.ignore_chat_template,
      "Give the model the prompt as it is");
  add_patch_option(app, o.patch);
  app.add_flag("--json", o.json, "Print one JSON document");
}

// All of stdin. Waits in slices, so that Ctrl-C ends it.
std::string read_stdin() {
  std::string text;
  std::vector<char> buffer(1 << 16);
  pollfd input{STDIN_FILENO, POLLIN, 0};
  while (text.size() <= max_prompt_bytes) {
    const int ready = poll(&input, 1, /* milliseconds */ 100);
    check_interrupted();
    if (ready <= 0) {
      continue;
    }
    const auto n = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (n < 0 && errno != EINTR && errno != EAGAIN) {
      throw environment_error(
          "cannot read the prompt from stdin: {}", std::strerror(errno));
    }
    if (n == 0) {
      return text;
    }
    text.append(buffer.data(), std::max<ssize_t>(n, 0));
  }
  throw user_error(
      "the prompt on stdin is longer than {}", format_bytes(max_prompt_bytes));
}

// Room for the prompt and what may follow, within the model's context.
int capacity_for(
    size_t prompt_tokens,
    int max_tokens,
    const nn::DecoderShape& shape) {
  if (prompt_tokens > static_cast<size_t>(shape.max_positions)) {
    throw user_error(
        "the prompt has {} tokens, more than the model's context of {}",
        format_count(prompt_tokens),
        format_count(shape.max_positions));
  }
  const auto wanted = int64_t{max_tokens} + static_cast<int64_t>(prompt_tokens);
  return static_cast<int>(std::min<int64_t>(wanted, shape.max_positions));
}

nlohmann::ordered_json to_json(
    const GenerateOptions& o,
    const generate::SessionResult& r,
    const std::optional<double>& other_cpus,
    const std::string& outcome,
    const std::string& text) {
  const bool gpu = mx::default_device() == mx::Device::gpu;
  return {
      {"model", o.model},
      {"device", gpu ? "gpu" : "cpu"},
      {"mlx_version", mx::version()},
      {"patch", o.patch},
      {"runs", outcome},
      {"prompt_tokens", r.prompt_tokens},
      {"tokens", r.tokens},
      {"text", text},
      {"finish", generate::finish_name(r.finish)},
      {"prompt",
       {{"seconds", r.prompt_seconds},
        {"tok_s", figure_json(r.prompt_tokens_per_second())}}},
      {"decode",
       {{"steps", r.decode_steps},
        {"seconds", r.decode_seconds},
        {"tok_s", figure_json(r.decode_tokens_per_second())}}},
      {"peak_memory_bytes", figure_json(r.peak_memory_bytes)},
      {"other_cpus", figure_json(other_cpus)}};
}

std::string rate_text(const std::optional<double>& tokens_per_second) {
  return figure_text(tokens_per_second, [](double rate) {
    return format_number(rate) + " tok/s";
  });
}

std::string summary(
    const generate::SessionResult& r,
    const std::optional<double>& other_cpus) {
  const auto memory = figure_text(r.peak_memory_bytes, [](size_t bytes) {
    return format_bytes(static_cast<double>(bytes)) + " at most";
  });
  return fmt::format(
      "\nprompt  {} tokens, {}\ndecode  {} tokens, {} ({})\nmemory  {}\n{}",
      format_count(r.prompt_tokens),
      rate_text(r.prompt_tokens_per_second()),
      format_count(r.tokens.size()),
      rate_text(r.decode_tokens_per_second()),
      generate::finish_name(r.finish),
      memory,
      busy_text(other_cpus));
}

int run_generate(const GenerateOptions& o) {
  const auto patch = parse_patch_option(o.patch);
  // Checks the sampling before the model is loaded.
  generate::Sampler{o.sampling};
  catch_interrupts();
  const auto tokenizer = load_tokenizer(o.model);
  const Prompt prompt{
      o.prompt == "-" ? read_stdin() : o.prompt,
      o.system_prompt,
      o.ignore_chat_template};
  const auto tokens = encode_prompt(prompt, tokenizer, o.model);
  const auto model = load_weights(o.model);
  const int capacity =
      capacity_for(tokens.size(), o.max_tokens, model->shape());
  const auto [decoder, outcome] = make_decoder(model, patch);
  if (!o.json) {
    // At once, so that who waits for a slow answer knows why it is slow.
    std::fputs((outcome + "\n").c_str(), stderr);
  }
  auto state = decoder->new_state(capacity);

  generate::Detokenizer detokenizer(tokenizer);
  std::string text;
  auto show = [&](const std::string& more) {
    text += more;
    if (!o.json) {
      write(stdout, more);
    }
  };
  const generate::SessionOptions options{
      o.max_tokens, tokenizer.eos_ids(), o.sampling, &interrupted()};
  const OtherLoad others;
  const auto result =
      generate::generate(*decoder, *state, tokens, options, [&](int token) {
        show(detokenizer.add(token));
      });
  const auto other_cpus = others.cpus();
  show(detokenizer.flush());
  if (o.json) {
    // A path may hold bytes that are not UTF-8.
    const auto replace = nlohmann::json::error_handler_t::replace;
    const auto document = to_json(o, result, other_cpus, outcome, text);
    write(stdout, document.dump(2, ' ', false, replace) + "\n");
  } else {
    write(stdout, "\n");
    std::fputs(summary(result, other_cpus).c_str(), stderr);
  }
  return result.finish == generate::Finish::cancelled ? exit_interrupted
                                                      : exit_ok;
}

const CommandRegistration command({
    "generate",
    "Continue a prompt with a model",
    [](CLI::App& app) -> std::function<int()> {
      auto options = std::make_shared<GenerateOptions>();
      add_options(app, *options);
      return [options] { return run_generate(*options); };
    },
});

} // namespace

} // namespace zmlx::cli
