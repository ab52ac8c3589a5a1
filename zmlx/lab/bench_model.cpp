#include "zmlx/lab/bench_model.h"

#include <algorithm>
#include <chrono>
#include <random>

#include <fmt/format.h>

#include "zmlx/base/errors.h"
#include "zmlx/lab/neighbours.h"

namespace zmlx::lab {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<int> random_tokens(int count, int vocabulary) {
  std::mt19937 random(static_cast<unsigned>(count));
  std::uniform_int_distribution<int> token(0, vocabulary - 1);
  std::vector<int> tokens(count);
  std::ranges::generate(tokens, [&] { return token(random); });
  return tokens;
}

/// A test on one of the two ways to run: the context is filled to the test's
/// depth once, and each run starts from there.
class Runner {
 public:
  Runner(
      nn::Decoder& decoder,
      const ModelTest& test,
      const std::function<bool()>& cancelled)
      : decoder_(decoder),
        test_(test),
        cancelled_(cancelled),
        state_(decoder.new_state(test.n_depth + test.tokens())) {
    state_->stop_if(cancelled);
    if (test.n_depth > 0) {
      append(test.n_depth);
    }
  }

  /// The seconds of one run.
  double run() {
    const auto start = Clock::now();
    if (test_.n_prompt > 0) {
      append(test_.n_prompt);
    } else {
      generate();
    }
    const double seconds = seconds_since(start);
    state_->trim(test_.tokens());
    return seconds;
  }

 private:
  void append(int count) {
    const int vocabulary = decoder_.shape().vocab_size;
    decoder_.next_token(random_tokens(count, vocabulary), *state_);
  }

  void generate() {
    int token = random_tokens(1, decoder_.shape().vocab_size)[0];
    for (int i = 0; i < test_.n_generate; ++i) {
      if (cancelled_ && cancelled_()) {
        throw nn::Stopped();
      }
      token = decoder_.next_token({token}, *state_);
    }
  }

  nn::Decoder& decoder_;
  const ModelTest test_;
  const std::function<bool()>& cancelled_;
  const std::unique_ptr<nn::State> state_;
};

/// A row that is being measured.
struct Running {
  ModelRow row;
  std::optional<Runner> stock, patched;
};

void check_range(const char* what, const std::vector<int>& values, int least) {
  for (const int value : values) {
    if (value < least) {
      throw user_error(
          "bench model: {} must be at least {}, got {}", what, least, value);
    }
  }
}

std::vector<ModelTest> tests_of(
    const ModelBenchOptions& options,
    const nn::DecoderShape& shape) {
  check_range("prompt", options.prompt, 0);
  check_range("generate", options.generate, 0);
  check_range("depth", options.depth, 0);
  check_range("busy", options.busy, 0);
  check_range("repetitions", {options.repetitions}, 1);
  std::vector<ModelTest> tests;
  for (const int depth : options.depth) {
    for (const bool is_prompt : {true, false}) {
      for (const int n : is_prompt ? options.prompt : options.generate) {
        for (const int busy : n > 0 ? options.busy : std::vector<int>{}) {
          tests.push_back({is_prompt ? n : 0, is_prompt ? 0 : n, depth, busy});
        }
      }
    }
  }
  if (tests.empty() || !(options.stock || options.patched)) {
    throw user_error("bench model: expected something to measure");
  }
  for (const auto& test : tests) {
    if (test.n_depth + test.tokens() > shape.max_positions) {
      throw user_error(
          "bench model: {} takes {} tokens, beyond the model's context of {}",
          test.name(),
          test.n_depth + test.tokens(),
          shape.max_positions);
    }
  }
  return tests;
}

class Bench {
 public:
  Bench(
      const std::shared_ptr<const nn::Model>& model,
      const ModelBenchOptions& options)
      : options_(options), tests_(tests_of(options, model->shape())) {
    result_.model_type = model->shape().model_type;
    for (const auto& [name, weight] : model->parameters()) {
      result_.model_bytes += weight.nbytes();
    }
    if (options.stock) {
      stock_ = nn::plain_decoder(model);
    }
    if (options.patched) {
      patched_ = patch(model, options.patch);
      result_.weight_bytes = patched_->report().weight_bytes;
      result_.plan_reason = patched_->report().plan_reason;
    }
  }

  ModelBench run() {
    std::vector<Running> rows(tests_.size());
    for (int repetition = -1; repetition < options_.repetitions; ++repetition) {
      for (size_t i = 0; i < rows.size(); ++i) {
        if (repetition < 0) {
          start(rows[i], tests_[i]);
        }
        const Neighbours neighbours(tests_[i].n_busy);
        // Who goes first changes from one repetition to the next.
        for (const bool first : {true, false}) {
          const bool is_stock = first == (repetition % 2 == 0);
          sample(rows[i], is_stock, /* counts */ repetition >= 0);
        }
      }
    }
    for (auto& running : rows) {
      finish(running.row);
      result_.rows.push_back(std::move(running.row));
    }
    return std::move(result_);
  }

 private:
  void start(Running& running, const ModelTest& test) {
    running.row.test = test;
    if (stock_) {
      tell(test, "context, stock");
      running.stock.emplace(*stock_, test, options_.cancelled);
      running.row.stock.emplace();
    }
    if (patched_) {
      tell(test, "context, patched");
      running.patched.emplace(*patched_, test, options_.cancelled);
      running.row.patched.emplace();
    }
  }

  void sample(Running& running, bool is_stock, bool counts) {
    auto& runner = is_stock ? running.stock : running.patched;
    auto& timing = is_stock ? running.row.stock : running.row.patched;
    if (!runner) {
      return;
    }
    tell(running.row.test, is_stock ? "stock" : "patched");
    const double seconds = runner->run();
    ++done_;
    if (counts) {
      timing->seconds.push_back(seconds);
    }
  }

  static void finish(ModelRow& row) {
    if (!row.stock || !row.patched) {
      return;
    }
    const auto timing = [](const ModelTiming& side) {
      return measure::Timing{
          .name = "",
          .samples = side.seconds,
          .seconds = summarize(side.seconds)};
    };
    row.speedup = measure::speedup(timing(*row.stock), timing(*row.patched));
  }

  void tell(const ModelTest& test, const char* what) {
    if (options_.progress) {
      const int sides = (stock_ ? 1 : 0) + (patched_ ? 1 : 0);
      const int total =
          sides * static_cast<int>(tests_.size()) * (options_.repetitions + 1);
      options_.progress(fmt::format("{}, {}", test.name(), what), done_, total);
    }
  }

  const ModelBenchOptions& options_;
  const std::vector<ModelTest> tests_;
  std::unique_ptr<nn::Decoder> stock_;
  std::unique_ptr<PatchedDecoder> patched_;
  ModelBench result_;
  int done_ = 0;
};

} // namespace

std::string ModelTest::name() const {
  auto text = n_prompt > 0 ? fmt::format("pp{}", n_prompt)
                           : fmt::format("tg{}", n_generate);
  if (n_depth > 0) {
    text += fmt::format(" @ d{}", n_depth);
  }
  if (n_busy > 0) {
    text += fmt::format(", {} busy", n_busy);
  }
  return text;
}

Summary ModelTiming::rate(const ModelTest& test) const {
  std::vector<double> rates;
  for (const double s : seconds) {
    rates.push_back(test.tokens() / s);
  }
  return summarize(rates);
}

ModelBench bench_model(
    const std::shared_ptr<const nn::Model>& model,
    const ModelBenchOptions& options) {
  if (!model) {
    throw user_error("bench model: expected a model, got a null pointer");
  }
  return Bench(model, options).run();
}

} // namespace zmlx::lab
