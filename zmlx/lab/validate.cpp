#include "zmlx/lab/validate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "zmlx/base/errors.h"
#include "zmlx/base/peak_memory.h"
#include "zmlx/lab/conversation.h"

namespace zmlx::lab {

namespace mx = mlx::core;

const std::vector<std::string>& standard_prompts() {
  static const std::vector<std::string> prompts{
      "Tell me a short story about a lighthouse keeper and a lost whale.",
      "Why is the sky blue during the day and red at sunset?",
      "List five things to pack for a week of hiking in the mountains.",
      "Write a Python function that returns the n-th Fibonacci number.",
      "A train leaves at 9:40 and arrives at 13:05. How long is the journey?",
  };
  return prompts;
}

namespace {

std::vector<double> log_softmax(const std::vector<float>& logits) {
  double top = -std::numeric_limits<double>::infinity();
  for (float v : logits) {
    top = std::max(top, double{v});
  }
  double sum = 0;
  for (float v : logits) {
    sum += std::exp(v - top);
  }
  std::vector<double> result;
  result.reserve(logits.size());
  for (float v : logits) {
    result.push_back(v - top - std::log(sum));
  }
  return result;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  std::chrono::duration<double> spent =
      std::chrono::steady_clock::now() - start;
  return spent.count();
}

struct Generation {
  std::vector<int> tokens;
  double tok_s = 0;
};

/// The rates of one prompt in one run, measured side by side.
struct Pair {
  double plain = 0;
  double patched = 0;
};

class Validation {
 public:
  Validation(
      const std::shared_ptr<const nn::Model>& model,
      const std::vector<std::vector<int>>& prompts,
      const ValidateOptions& options)
      : options_(options), model_(model), prompts_(prompts) {
    result_.model_type = model->shape().model_type;
    result_.prompts = static_cast<int>(prompts.size());
    result_.max_tokens = options.max_tokens;
    pairs_.resize(options.runs);
  }

  ValidateResult run() {
    std::string broken;
    try {
      measure_memory();
      for (size_t p = 0; p < prompts_.size(); p++) {
        run_prompt(static_cast<int>(p));
      }
    } catch (const nn::LogitsError& error) {
      broken = error.what();
    } catch (const nn::Stopped&) {
      throw Cancelled{};
    }
    finish(broken);
    return std::move(result_);
  }

 private:
  void tell(const char* what, int prompt) {
    if (options_.progress) {
      const int total = result_.prompts * (2 * options_.runs + 2) + 2;
      options_.progress(
          fmt::format("prompt {} {}", prompt + 1, what), done_, total);
    }
    done_++;
  }

  /// max_tokens shared out, the first prompts one more where it does not go
  /// up.
  int tokens_of(int prompt) const {
    const int n = result_.prompts;
    return options_.max_tokens / n + (prompt < options_.max_tokens % n);
  }

  bool is_stop(int token) const {
    const auto& stop = options_.stop_tokens;
    return std::find(stop.begin(), stop.end(), token) != stop.end();
  }

  void check_cancelled() const {
    if (options_.cancelled && options_.cancelled()) {
      throw Cancelled{};
    }
  }

  /// Greedy tokens after the prompt, timed from the second on.
  Generation generate(Conversation& conversation, int tokens) {
    conversation.rewind();
    Generation result;
    int token = conversation.likeliest();
    result.tokens.push_back(token);
    const auto start = std::chrono::steady_clock::now();
    while (static_cast<int>(result.tokens.size()) < tokens && !is_stop(token)) {
      check_cancelled();
      token = conversation.next(token);
      result.tokens.push_back(token);
    }
    const auto steps = static_cast<double>(result.tokens.size() - 1);
    result.tok_s = steps > 0 ? steps / seconds_since(start) : 0;
    return result;
  }

  /// Each side alone, with the prompt that fills its caches most.
  void measure_memory() {
    const auto size = [&](int p) {
      const int tokens = tokens_of(p);
      return tokens == 0 ? 0 : prompts_[p].size() + tokens;
    };
    int longest = 0;
    for (int p = 1; p < result_.prompts; p++) {
      longest = size(p) > size(longest) ? p : longest;
    }
    const auto peak_of = [&](auto make) {
      mx::clear_cache();
      release_freed_memory();
      const PeakMemory peak;
      auto conversation = make();
      generate(conversation, tokens_of(longest));
      return peak.bytes();
    };
    result_.unpatched.peak_memory_bytes = peak_of([&] {
      tell("unpatched, for its memory", longest);
      plain_ = nn::plain_decoder(model_);
      return converse("unpatched", *plain_, longest);
    });
    result_.patched.peak_memory_bytes = peak_of([&] {
      tell("patched, for its memory", longest);
      patched_ = patch(model_, options_.patch);
      return converse("patched", *patched_, longest);
    });
  }

  Conversation converse(const char* side, nn::Decoder& decoder, int p) const {
    return {
        fmt::format("prompt {}, {}", p + 1, side),
        decoder,
        prompts_[p],
        tokens_of(p),
        options_.cancelled};
  }

  void run_prompt(int p) {
    const int tokens = tokens_of(p);
    result_.prompt_tokens += static_cast<int>(prompts_[p].size());
    if (tokens == 0) {
      return;
    }
    tell("read by both", p);
    auto plain = converse("unpatched", *plain_, p);
    auto patched = converse("patched", *patched_, p);
    Generation expected;
    std::vector<Generation> got;
    for (int run = 0; run < options_.runs; run++) {
      auto run_plain = [&] {
        tell("unpatched", p);
        expected = generate(plain, tokens);
      };
      auto run_patched = [&] {
        tell("patched", p);
        got.push_back(generate(patched, tokens));
      };
      // Who goes first changes from run to run.
      run % 2 == 0 ? run_plain() : run_patched();
      run % 2 == 0 ? run_patched() : run_plain();
      if (expected.tok_s > 0 && got.back().tok_s > 0) {
        pairs_[run].push_back({expected.tok_s, got.back().tok_s});
      }
    }
    tell("compared", p);
    compare(p, plain, patched, expected, got);
  }

  /// How many tokens from the first on are the same.
  static size_t common(const std::vector<int>& a, const std::vector<int>& b) {
    const auto [x, y] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    return static_cast<size_t>(x - a.begin());
  }

  void compare(
      int p,
      Conversation& plain,
      Conversation& patched,
      const Generation& expected,
      const std::vector<Generation>& got) {
    plain.rewind();
    patched.rewind();
    result_.unpatched_tokens.push_back(expected.tokens);
    result_.tokens_total += static_cast<int>(expected.tokens.size());
    // The worst of the runs counts.
    const auto& worst = *std::min_element(
        got.begin(), got.end(), [&](const auto& a, const auto& b) {
          return common(expected.tokens, a.tokens) <
              common(expected.tokens, b.tokens);
        });
    result_.patched_tokens.push_back(worst.tokens);
    const size_t same = common(expected.tokens, worst.tokens);
    result_.tokens_equal += static_cast<int>(same);
    for (size_t i = 0; i < expected.tokens.size(); i++) {
      check_cancelled();
      if (i == same && i < worst.tokens.size() && !result_.first_divergence) {
        const auto& logits = plain.logits();
        result_.first_divergence = Divergence{
            .prompt = p,
            .position = static_cast<int>(i),
            .gap =
                double{logits[expected.tokens[i]]} - logits[worst.tokens[i]]};
      }
      observe(plain, patched);
      if (i + 1 < expected.tokens.size()) {
        plain.step(expected.tokens[i]);
        patched.step(expected.tokens[i]);
      }
    }
  }

  /// With float32 activations the unpatched model is the reference itself.
  void observe(const Conversation& plain, const Conversation& patched) {
    if (options_.with_reference) {
      kl_plain_.push_back(0);
      top1_plain_.push_back(1);
      kl_patched_.push_back(kl_divergence(plain.logits(), patched.logits()));
      top1_patched_.push_back(plain.likeliest() == patched.likeliest());
    }
  }

  void summarize_speeds() {
    std::vector<double> plain;
    std::vector<double> patched;
    for (const auto& run : pairs_) {
      std::vector<double> plain_run;
      std::vector<double> patched_run;
      for (const auto& pair : run) {
        plain_run.push_back(pair.plain);
        patched_run.push_back(pair.patched);
      }
      if (!run.empty()) {
        result_.unpatched.runs.push_back(median(plain_run));
        result_.patched.runs.push_back(median(patched_run));
      }
      plain.insert(plain.end(), plain_run.begin(), plain_run.end());
      patched.insert(patched.end(), patched_run.begin(), patched_run.end());
    }
    if (plain.empty()) {
      return; // too few tokens to time
    }
    const auto before = summarize(plain);
    const auto after = summarize(patched);
    result_.unpatched.tok_s = before;
    result_.patched.tok_s = after;
    result_.speedup = Speedup{
        after.median / before.median, bootstrap_ratio_interval(patched, plain)};
  }

  void finish(const std::string& broken) {
    if (!patched_) {
      patched_ = patch(model_, options_.patch);
    }
    result_.report = patched_->report();
    result_.weight_bytes = result_.report.weight_bytes;
    summarize_speeds();
    if (!broken.empty()) {
      result_.judgement = {
          .basis = "logits that are not numbers", .reason = broken};
      return;
    }
    result_.judgement = measure::judge(
        {.tokens_total = static_cast<size_t>(result_.tokens_total),
         .tokens_equal = static_cast<size_t>(result_.tokens_equal),
         .kl_unpatched = kl_plain_,
         .kl_patched = kl_patched_,
         .top1_unpatched = top1_plain_,
         .top1_patched = top1_patched_});
    const auto& why = result_.report.plan_reason;
    if (!why.empty() && result_.judgement.reason.empty()) {
      result_.judgement.reason = "nothing was planned: " + why;
    }
  }

  const ValidateOptions& options_;
  const std::shared_ptr<const nn::Model>& model_;
  const std::vector<std::vector<int>>& prompts_;
  std::unique_ptr<nn::Decoder> plain_;
  std::unique_ptr<PatchedDecoder> patched_;
  int done_ = 0;
  std::vector<std::vector<Pair>> pairs_; // by run, a pair a prompt
  std::vector<double> kl_plain_;
  std::vector<double> kl_patched_;
  std::vector<char> top1_plain_;
  std::vector<char> top1_patched_;
  ValidateResult result_;
};

} // namespace

double kl_divergence(const std::vector<float>& p, const std::vector<float>& q) {
  auto a = log_softmax(p);
  auto b = log_softmax(q);
  double kl = 0;
  for (size_t i = 0; i < a.size(); i++) {
    // What p excludes adds nothing; a NaN must not look like that.
    if (a[i] != -std::numeric_limits<double>::infinity()) {
      kl += std::exp(a[i]) * (a[i] - b[i]);
    }
  }
  return kl;
}

ValidateResult validate(
    const std::shared_ptr<const nn::Model>& model,
    const std::vector<std::vector<int>>& prompts,
    const ValidateOptions& options) {
  if (!model) {
    throw user_error("validate: expected a model, got a null pointer");
  }
  if (prompts.empty() || options.runs < 1 || options.max_tokens < 1) {
    throw user_error(
        "validate: expected a prompt, a run and a token at least, got {}, {} "
        "and {}",
        prompts.size(),
        options.runs,
        options.max_tokens);
  }
  for (const auto& prompt : prompts) {
    if (prompt.empty()) {
      throw user_error("validate: a prompt is empty");
    }
  }
  return Validation(model, prompts, options).run();
}

} // namespace zmlx::lab
