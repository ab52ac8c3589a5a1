#include <algorithm>

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
#include "cli/progress.h"
#include "zmlx/backend/backend.h"
#include "zmlx/base/errors.h"
#include "zmlx/base/settings.h"
#include "zmlx/base/text.h"
#include "zmlx/lab/validate.h"
#include "zmlx/measure/device.h"

namespace zmlx::cli {

namespace {

namespace mx = mlx::core;
using Json = nlohmann::ordered_json;

struct ValidateCommand {
  std::string model;
  std::vector<std::string> prompts;
  std::vector<std::string> patterns;
  std::string reference = "float32";
  bool ignore_chat_template = false;
  bool json = false;
  lab::ValidateOptions options;
};

/// What the memory gives, measured in the same run as the claim, and what other
/// programs took of the CPUs during that run.
struct Roof {
  double read_bytes_s = 0;
  std::optional<double> other_cpus;

  /// What a patched step reads, as a share of it.
  std::optional<double> share(const lab::ValidateResult& r) const {
    return read_bytes_s > 0 && r.patched.tok_s
        ? std::optional(r.weight_bytes * r.patched.tok_s->median / read_bytes_s)
        : std::nullopt;
  }
};

Json side(const lab::SideResult& s) {
  const auto rate = [&](double Summary::*figure) {
    return s.tok_s ? Json(*s.tok_s.*figure) : nullptr;
  };
  return {
      {"tok_s", rate(&Summary::median)},
      {"runs", s.runs},
      {"lower_quartile", rate(&Summary::lower_quartile)},
      {"upper_quartile", rate(&Summary::upper_quartile)},
      {"peak_memory_bytes", figure_json(s.peak_memory_bytes)}};
}

/// What both sides said to a prompt.
struct Answer {
  std::string prompt;
  std::string unpatched;
  std::string patched;
};

std::vector<Answer> answers_of(
    const std::vector<std::string>& texts,
    const lab::ValidateResult& r,
    const io::Tokenizer& tokenizer) {
  std::vector<Answer> answers;
  for (size_t i = 0; i < r.unpatched_tokens.size(); i++) {
    answers.push_back(
        {texts[i],
         tokenizer.decode(r.unpatched_tokens[i], true),
         tokenizer.decode(r.patched_tokens[i], true)});
  }
  return answers;
}

Json to_json(
    const ValidateCommand& command,
    const lab::ValidateResult& r,
    const std::vector<Answer>& answers,
    const Roof& roof) {
  auto said = Json::array();
  for (const auto& answer : answers) {
    said.push_back(
        {{"prompt", answer.prompt},
         {"unpatched", answer.unpatched},
         {"patched", answer.patched}});
  }
  Json divergence = nullptr;
  if (r.first_divergence) {
    divergence = {
        {"prompt", r.first_divergence->prompt},
        {"position", r.first_divergence->position},
        {"gap", r.first_divergence->gap}};
  }
  const auto& distance = r.judgement.distance;
  const auto distant = [&](double measure::Distance::*figure) {
    return distance ? Json(*distance.*figure) : nullptr;
  };
  using measure::Distance;
  const auto interval = [&](double Interval::*end) {
    return r.speedup ? Json(r.speedup->interval.*end) : nullptr;
  };
  const bool gpu = mx::default_device() == mx::Device::gpu;
  return {
      {"model", command.model},
      {"device", gpu ? "gpu" : "cpu"},
      {"mlx_version", mx::version()},
      {"prompts", r.prompts},
      {"prompt_tokens", r.prompt_tokens},
      {"max_tokens", r.max_tokens},
      {"tokens_total", r.tokens_total},
      {"tokens_equal", r.tokens_equal},
      {"first_divergence", divergence},
      {"reference", command.reference},
      {"top1_unpatched", distant(&Distance::top1_unpatched)},
      {"top1_patched", distant(&Distance::top1_patched)},
      {"kl_unpatched", distant(&Distance::kl_unpatched)},
      {"kl_patched", distant(&Distance::kl_patched)},
      {"unpatched", side(r.unpatched)},
      {"patched", side(r.patched)},
      {"speedup", r.speedup ? Json(r.speedup->ratio) : nullptr},
      {"speedup_interval",
       {interval(&Interval::lower), interval(&Interval::upper)}},
      {"weight_bytes_per_token", r.weight_bytes},
      {"read_bytes_per_second", roof.read_bytes_s},
      {"share_of_read_rate", figure_json(roof.share(r))},
      {"other_cpus", figure_json(roof.other_cpus)},
      {"verdict", measure::to_string(r.judgement.verdict)},
      {"basis", r.judgement.basis},
      {"reason", r.judgement.reason},
      {"answers", said}};
}

/// The text in one line that fits beside a label.
std::string one_line(std::string text) {
  constexpr size_t kWidth = 100;
  std::replace(text.begin(), text.end(), '\n', ' ');
  auto lines = wrap_text(text, kWidth);
  if (lines.empty()) {
    return "";
  }
  return lines.size() > 1 ? lines[0] + " ..." : lines[0];
}

std::string to_text(const std::vector<Answer>& answers) {
  std::string text;
  for (const auto& answer : answers) {
    text += fmt::format(
        "\n> {}\nunpatched  {}\npatched    {}\n",
        one_line(answer.prompt),
        one_line(answer.unpatched),
        one_line(answer.patched));
  }
  return text;
}

std::string median_text(const lab::SideResult& side) {
  return figure_text(side.tok_s, [](const Summary& rates) {
    return format_number(rates.median);
  });
}

std::string quartiles_text(const lab::SideResult& side) {
  return figure_text(side.tok_s, [](const Summary& rates) {
    return fmt::format(
        "{} .. {}",
        format_number(rates.lower_quartile),
        format_number(rates.upper_quartile));
  });
}

std::string memory_text(const lab::SideResult& side) {
  return figure_text(side.peak_memory_bytes, [](size_t bytes) {
    return format_bytes(static_cast<double>(bytes));
  });
}

std::string speedup_text(const lab::ValidateResult& r) {
  return figure_text(r.speedup, [](const lab::Speedup& speedup) {
    return fmt::format(
        "{}x ({} .. {})",
        format_number(speedup.ratio),
        format_number(speedup.interval.lower),
        format_number(speedup.interval.upper));
  });
}

std::string memory_rate_text(const lab::ValidateResult& r, const Roof& roof) {
  return fmt::format(
      "{} a token, {} of the {} that this machine reads",
      format_bytes(r.weight_bytes),
      figure_text(
          roof.share(r),
          [](double share) { return fmt::format("{:.0f} %", 100 * share); }),
      format_rate(roof.read_bytes_s));
}

std::string fidelity_text(const lab::ValidateResult& r) {
  if (r.tokens_total == 0) {
    return "not compared";
  }
  auto text = fmt::format(
      "{} of {} greedy tokens equal",
      format_count(r.tokens_equal),
      format_count(r.tokens_total));
  if (r.first_divergence) {
    text += fmt::format(
        "; prompt {} parts at token {} (logits {} apart)",
        r.first_divergence->prompt + 1,
        r.first_divergence->position,
        format_number(r.first_divergence->gap));
  }
  return text;
}

std::string to_table(
    const lab::ValidateResult& r,
    const std::vector<Answer>& answers,
    const Roof& roof) {
  Table speeds(
      {{""},
       {"unpatched", Table::Align::right},
       {"patched", Table::Align::right}});
  speeds.add_row(
      {"decode, tok/s", median_text(r.unpatched), median_text(r.patched)});
  speeds.add_row(
      {"quartiles", quartiles_text(r.unpatched), quartiles_text(r.patched)});
  speeds.add_row(
      {"peak memory", memory_text(r.unpatched), memory_text(r.patched)});
  const auto add_distance = [&](const char* name, auto format, auto... sides) {
    speeds.add_row(
        {name,
         figure_text(r.judgement.distance, [&](const measure::Distance& d) {
           return format(d.*sides);
         })...});
  };
  add_distance(
      "top-1 agreement",
      [](double share) { return fmt::format("{:.1f} %", 100 * share); },
      &measure::Distance::top1_unpatched,
      &measure::Distance::top1_patched);
  add_distance(
      "KL to reference",
      [](double kl) { return fmt::format("{:.2e}", kl); },
      &measure::Distance::kl_unpatched,
      &measure::Distance::kl_patched);
  const auto& judgement = r.judgement;
  return r.report.summary(terminal_width(stdout).value_or(0)) +
      to_text(answers) + "\n" + speeds.to_string() +
      fmt::format(
             "\n{}speedup  {}\nmemory   {}\nanswers  {}\nverdict  {}{}\nbasis    "
             "{}\n",
             busy_text(roof.other_cpus),
             speedup_text(r),
             memory_rate_text(r, roof),
             fidelity_text(r),
             measure::to_string(judgement.verdict),
             judgement.reason.empty() ? "" : ": " + judgement.reason,
             judgement.basis);
}

const std::vector<std::string>& texts_of(const ValidateCommand& command) {
  return command.prompts.empty() ? lab::standard_prompts() : command.prompts;
}

std::vector<std::vector<int>> encode_all(
    const ValidateCommand& command,
    const io::Tokenizer& tokenizer) {
  std::vector<std::vector<int>> prompts;
  for (const auto& text : texts_of(command)) {
    prompts.push_back(encode_prompt(
        {text, std::nullopt, command.ignore_chat_template},
        tokenizer,
        command.model));
  }
  return prompts;
}

void check_context(
    const std::vector<std::vector<int>>& prompts,
    int max_tokens,
    int context) {
  const auto n = static_cast<int>(prompts.size());
  const int more = (max_tokens + n - 1) / n;
  for (int i = 0; i < n; i++) {
    const auto size = static_cast<int64_t>(prompts[i].size());
    if (size + more > context) {
      throw user_error(
          "validate: prompt {} has {} tokens and --max-tokens gives it {} "
          "more, which is beyond the model's context of {}",
          i + 1,
          format_count(size),
          format_count(more),
          format_count(context));
    }
  }
}

int run_validate(ValidateCommand command) {
  catch_interrupts();
  graph::folds_of(command.patterns, {}); // refuses unknown names early
  const auto tokenizer = load_tokenizer(command.model);
  const auto prompts = encode_all(command, tokenizer);
  const auto model = load_weights(command.model);
  auto& options = command.options;
  check_context(prompts, options.max_tokens, model->shape().max_positions);
  options.patch.patterns = command.patterns;
  options.with_reference = command.reference != "off";
  options.stop_tokens = tokenizer.eos_ids();
  options.cancelled = [] { return interrupted().load(); };
  lab::ValidateResult result;
  const OtherLoad others;
  {
    Progress progress;
    options.progress = [&](const std::string& item, int done, int total) {
      progress.update(item, done, total);
    };
    try {
      result = lab::validate(model, prompts, options);
    } catch (const lab::Cancelled&) {
      throw Interrupted{};
    }
  }
  const auto other_cpus = others.cpus();
  const measure::BandwidthOptions bandwidth{
      .threads = backend::peer_facts().threads};
  const Roof roof{
      measure::read_bandwidth(bandwidth).bytes_per_second.median, other_cpus};
  const auto answers = answers_of(texts_of(command), result, tokenizer);
  // A prompt or a path may hold bytes that are not UTF-8.
  const auto replace = Json::error_handler_t::replace;
  write(
      stdout,
      command.json ? to_json(command, result, answers, roof)
                         .dump(2, ' ', false, replace) +
              "\n"
                   : to_table(result, answers, roof));
  return result.judgement.verdict == measure::Verdict::failed ? exit_failed
                                                              : exit_ok;
}

void add_options(CLI::App& app, ValidateCommand& c) {
  app.add_option("model", c.model, "A model folder or a .gguf file")
      ->required();
  app.add_option(
         "-m,--max-tokens",
         c.options.max_tokens,
         "Tokens compared, over all prompts together")
      ->transform(whole_number(1, 1'000'000))
      ->capture_default_str();
  app.add_option(
         "--runs", c.options.runs, "Generations of each prompt by each side")
      ->transform(whole_number(1, 1000))
      ->capture_default_str();
  app.add_option(
      "-p,--prompt", c.prompts, "A prompt instead of the five standard ones");
  app.add_option(
         "--patterns",
         c.patterns,
         "Patterns, presets or folds to apply, with commas; all when left out")
      ->delimiter(',');
  app.add_option(
         "--reference",
         c.reference,
         "What answers are held against: float32 activations, or off for the "
         "unpatched tokens alone")
      ->check(one_of({"float32", "off"}))
      ->capture_default_str();
  app.add_flag(
      "--ignore-chat-template",
      c.ignore_chat_template,
      "Give the model the prompts as they are");
  app.add_flag("--json", c.json, "Print one JSON document");
}

const CommandRegistration command({
    "validate",
    "Run a model unpatched and patched and judge answers and speed",
    [](CLI::App& app) -> std::function<int()> {
      auto options = std::make_shared<ValidateCommand>();
      add_options(app, *options);
      return [options] { return run_validate(*options); };
    },
});

} // namespace

} // namespace zmlx::cli
