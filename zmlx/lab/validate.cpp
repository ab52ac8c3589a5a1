#include "zmlx/lab/validate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "zmlx/base/errors.h"

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

std::vector<float> host(mx::array logits) {
  logits.eval();
  return {logits.data<float>(), logits.data<float>() + logits.size()};
}

/// Ties go to the smaller id.
int greedy(const std::vector<float>& logits) {
  return static_cast<int>(
      std::max_element(logits.begin(), logits.end()) - logits.begin());
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  std::chrono::duration<double> spent =
      std::chrono::steady_clock::now() - start;
  return spent.count();
}

/// One way to run, on one prompt: the prompt is read once, every generation
/// starts from there.
class Conversation {
 public:
  Conversation(nn::Decoder& decoder, const std::vector<int>& prompt, int tokens)
      : decoder_(decoder),
        state_(decoder.new_state(static_cast<int>(prompt.size()) + tokens)),
        start_(static_cast<int>(prompt.size())),
        first_(host(decoder.forward(prompt, *state_))) {}

  const std::vector<float>& first() const {
    return first_;
  }

  void rewind() {
    state_->trim(state_->position() - start_);
  }

  std::vector<float> step(int token) {
    return host(decoder_.forward({token}, *state_));
  }

  int next(int token) {
    return decoder_.next_token({token}, *state_);
  }

  size_t memory_bytes() const {
    return state_->memory_bytes();
  }

 private:
  nn::Decoder& decoder_;
  std::unique_ptr<nn::State> state_;
  int start_;
  std::vector<float> first_;
};

struct Generation {
  std::vector<int> tokens;
  double tok_s = 0;
};

class Validation {
 public:
  Validation(
      std::shared_ptr<const nn::Model> model,
      const std::vector<std::vector<int>>& prompts,
      const ValidateOptions& options)
      : options_(options),
        prompts_(prompts),
        plain_(nn::plain_decoder(model)),
        patched_(patch(model, options.patch)) {
    auto n = static_cast<int>(prompts.size());
    tokens_ = (options.max_tokens + n - 1) / n;
    result_.model_type = model->shape().model_type;
    result_.prompts = n;
    result_.max_tokens = options.max_tokens;
    result_.report = patched_->report();
    result_.weight_bytes = result_.report.weight_bytes;
  }

  ValidateResult run() {
    plain_runs_.resize(options_.runs);
    patched_runs_.resize(options_.runs);
    for (size_t p = 0; p < prompts_.size(); p++) {
      run_prompt(static_cast<int>(p));
    }
    finish();
    return std::move(result_);
  }

 private:
  void tell(const char* what, int prompt) {
    if (options_.progress) {
      options_.progress(
          fmt::format("prompt {} {}", prompt + 1, what), done_, total());
    }
    done_++;
  }

  int total() const {
    return static_cast<int>(prompts_.size()) * (2 * options_.runs + 2);
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
  Generation generate(Conversation& conversation) {
    conversation.rewind();
    Generation result;
    int token = greedy(conversation.first());
    result.tokens.push_back(token);
    auto start = std::chrono::steady_clock::now();
    while (static_cast<int>(result.tokens.size()) < tokens_ &&
           !is_stop(token)) {
      check_cancelled();
      token = conversation.next(token);
      result.tokens.push_back(token);
    }
    auto steps = static_cast<double>(result.tokens.size() - 1);
    result.tok_s = steps > 0 ? steps / seconds_since(start) : 0;
    return result;
  }

  void run_prompt(int p) {
    const auto& prompt = prompts_[p];
    result_.prompt_tokens += static_cast<int>(prompt.size());
    tell("read by both", p);
    mx::reset_peak_memory();
    Conversation plain(*plain_, prompt, tokens_);
    auto plain_peak = mx::get_peak_memory();
    Conversation patched(*patched_, prompt, tokens_);
    Generation expected;
    Generation got;
    for (int run = 0; run < options_.runs; run++) {
      tell("unpatched", p);
      mx::reset_peak_memory();
      expected = generate(plain);
      plain_peak = std::max(plain_peak, mx::get_peak_memory());
      add_rate(plain_runs_[run], expected);
      tell("patched", p);
      mx::reset_peak_memory();
      got = generate(patched);
      result_.patched.peak_memory_bytes = std::max(
          result_.patched.peak_memory_bytes,
          // The peak after a reset is 0 until something is allocated.
          std::max(mx::get_peak_memory(), mx::get_active_memory()) +
              patched.memory_bytes());
      add_rate(patched_runs_[run], got);
    }
    result_.unpatched.peak_memory_bytes =
        std::max(result_.unpatched.peak_memory_bytes, plain_peak);
    tell("compared", p);
    compare(p, plain, patched, expected, got);
  }

  static void add_rate(std::vector<double>& run, const Generation& g) {
    if (g.tok_s > 0) {
      run.push_back(g.tok_s);
    }
  }

  void compare(
      int p,
      Conversation& plain,
      Conversation& patched,
      const Generation& expected,
      const Generation& got) {
    plain.rewind();
    patched.rewind();
    result_.tokens.push_back(expected.tokens);
    result_.tokens_total += static_cast<int>(expected.tokens.size());
    size_t same = 0;
    while (same < std::min(expected.tokens.size(), got.tokens.size()) &&
           expected.tokens[same] == got.tokens[same]) {
      same++;
    }
    result_.tokens_equal += static_cast<int>(same);
    auto a = plain.first();
    auto b = patched.first();
    for (size_t i = 0; i < expected.tokens.size(); i++) {
      check_cancelled();
      if (i == same && i < got.tokens.size() && !result_.first_divergence) {
        result_.first_divergence = Divergence{
            .prompt = p,
            .position = static_cast<int>(i),
            .gap = double{a[expected.tokens[i]]} - a[got.tokens[i]]};
      }
      kl_plain_.push_back(0); // it is the reference
      top1_plain_.push_back(1);
      kl_patched_.push_back(kl_divergence(a, b));
      top1_patched_.push_back(greedy(a) == greedy(b));
      if (i + 1 < expected.tokens.size()) {
        a = plain.step(expected.tokens[i]);
        b = patched.step(expected.tokens[i]);
      }
    }
  }

  static void summarize_side(
      SideResult& side,
      const std::vector<std::vector<double>>& runs,
      std::vector<double>& all) {
    for (const auto& run : runs) {
      if (!run.empty()) {
        side.runs.push_back(median(run));
        all.insert(all.end(), run.begin(), run.end());
      }
    }
    if (!all.empty()) {
      side.spread = summarize(all);
      side.tok_s = side.spread.median;
    }
  }

  void finish() {
    std::vector<double> plain;
    std::vector<double> patched;
    summarize_side(result_.unpatched, plain_runs_, plain);
    summarize_side(result_.patched, patched_runs_, patched);
    if (!plain.empty() && plain.size() == patched.size()) {
      result_.speedup = median(patched) / median(plain);
      result_.speedup_interval = bootstrap_ratio_interval(patched, plain);
    }
    result_.judgement = measure::judge(
        {.tokens_total = static_cast<size_t>(result_.tokens_total),
         .tokens_equal = static_cast<size_t>(result_.tokens_equal),
         .kl_unpatched = kl_plain_,
         .kl_patched = kl_patched_,
         .top1_unpatched = top1_plain_,
         .top1_patched = top1_patched_});
  }

  const ValidateOptions& options_;
  const std::vector<std::vector<int>>& prompts_;
  std::unique_ptr<nn::Decoder> plain_;
  std::unique_ptr<PatchedDecoder> patched_;
  int tokens_ = 0;
  int done_ = 0;
  std::vector<std::vector<double>> plain_runs_; // by run: a rate a prompt
  std::vector<std::vector<double>> patched_runs_;
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
    if (a[i] > -std::numeric_limits<double>::infinity()) {
      kl += std::exp(a[i]) * (a[i] - b[i]);
    }
  }
  return kl;
}

ValidateResult validate(
    const std::shared_ptr<const nn::Model>& model,
    const std::vector<std::vector<int>>& prompts,
    const ValidateOptions& options) {
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
