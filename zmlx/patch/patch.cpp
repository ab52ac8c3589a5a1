#include "zmlx/patch/patch.h"

#include <algorithm>
#include <chrono>
#include <mutex>

#include "zmlx/base/errors.h"
#include "zmlx/graph/fold.h"
#include "zmlx/patch/run_state.h"
#include "zmlx/plan/plan.h"
#include "zmlx/plan/step.h"

namespace zmlx {

namespace patch_detail {

/// The context that steps are captured with, and that MLX arrays begin with.
constexpr int kFirstCapacity = 512;

using GraphPtr = std::shared_ptr<const graph::Graph>;
using PlanPtr = std::shared_ptr<const plan::Plan>;

/// Which arrays a model's weights are, and where they lie.
using WeightIds = std::vector<std::pair<std::uintptr_t, const void*>>;

WeightIds weight_ids(const nn::Model& model) {
  WeightIds ids;
  for (const auto& [name, array] : model.parameters()) {
    ids.emplace_back(array.id(), array.data_shared_ptr().get());
  }
  return ids;
}

/// What was captured of a model, with the weights that it had then. Never
/// changed: a model whose weights change is captured again.
struct Captured {
  GraphPtr step; // null: the model cannot be captured
  PlanPtr plan; // null: parts of the step have no kernel
  std::shared_ptr<nn::Decoder> original; // where nothing could be captured
  WeightIds weights;
  Report report;
};

/// A conversation with a model that could not be captured, in stock MLX.
class OriginalState : public nn::State {
 public:
  OriginalState(
      std::shared_ptr<const void> owner,
      std::shared_ptr<nn::Decoder> decoder,
      std::unique_ptr<nn::State> state)
      : owner_(std::move(owner)),
        decoder_(std::move(decoder)),
        state_(std::move(state)) {
    state_->stop_if([this] { return stops(); });
  }

  int position() const override {
    return state_->position();
  }
  int capacity() const override {
    return state_->capacity();
  }
  void trim(int n) override {
    state_->trim(n);
  }
  std::unique_ptr<nn::State> copy() const override {
    return std::make_unique<OriginalState>(owner_, decoder_, state_->copy());
  }
  size_t memory_bytes() const override {
    return state_->memory_bytes();
  }

  const void* owner() const {
    return owner_.get();
  }
  nn::Decoder& decoder() const {
    return *decoder_;
  }
  nn::State& state() const {
    return *state_;
  }

 private:
  bool stops() const {
    try {
      check_stop();
      return false;
    } catch (const nn::Stopped&) {
      return true;
    }
  }

  std::shared_ptr<const void> owner_;
  std::shared_ptr<nn::Decoder> decoder_;
  std::unique_ptr<nn::State> state_;
};

mx::Device device_of(const PatchOptions& options) {
  const auto device = options.device.value_or(mx::default_device());
  if (device.type == mx::Device::gpu && !mx::is_available(device)) {
    throw user_error(
        "patch: MLX has no device gpu {} on this machine", device.index);
  }
  return device;
}

/// A model and what was captured of it last.
class Patched : public std::enable_shared_from_this<Patched> {
 public:
  Patched(std::shared_ptr<const nn::Model> model, const PatchOptions& options)
      : model(std::move(model)),
        device_(device_of(options)),
        folds_(graph::folds_of(options.patterns, options.exclude)),
        choose_(options.choose),
        captured_(capture()) {}

  std::shared_ptr<const Captured> captured() const {
    std::lock_guard lock(mutex_);
    return captured_;
  }

  std::unique_ptr<nn::State> new_state(int capacity) {
    std::lock_guard lock(mutex_);
    if (weight_ids(*model) != captured_->weights) {
      captured_ = capture(); // a plan reads the weights that it was made with
    }
    return make_state(*captured_, capacity);
  }

  /// Appends tokens to a conversation that is ours and was captured.
  RunState& append(const std::vector<int>& tokens, nn::State& state) const {
    auto& mine = own(state);
    if (tokens.empty()) {
      throw user_error("forward: expected at least one token, got none");
    }
    check_vocabulary(tokens);
    mine.append(tokens);
    return mine;
  }

  RunState& own(nn::State& state) const {
    auto* mine = dynamic_cast<RunState*>(&state);
    if (!mine || mine->owner() != this) {
      throw user_error("forward: the state belongs to another decoder");
    }
    return *mine;
  }

  /// Null unless the conversation is ours and runs in stock MLX.
  OriginalState* original(nn::State& state) const {
    auto* mine = dynamic_cast<OriginalState*>(&state);
    return mine && mine->owner() == this ? mine : nullptr;
  }

  void check_vocabulary(const std::vector<int>& tokens) const {
    const int vocab_size = model->shape().vocab_size;
    for (int token : tokens) {
      if (token < 0 || token >= vocab_size) {
        throw user_error(
            "forward: token {} is not in the vocabulary of {} tokens",
            token,
            vocab_size);
      }
    }
  }

  const std::shared_ptr<const nn::Model> model;

 private:
  std::shared_ptr<const Captured> capture() const {
    const auto start = std::chrono::steady_clock::now();
    Captured result;
    std::string why;
    int captured = 0;
    try {
      captured = lift(result, &why);
    } catch (const UserError& e) {
      if (choose_) {
        throw user_error("patch: no step to choose tokens in: {}", e.what());
      }
      why = e.what();
      result.step = nullptr;
      result.original = nn::plain_decoder(model);
    }
    result.weights = weight_ids(*model);
    if (result.step) {
      result.report = make_report(*result.step, result.plan.get());
    }
    auto& report = result.report;
    report.model_type = model->shape().model_type;
    report.layers = static_cast<int>(model->shape().caches.size());
    report.captured = captured;
    report.folds = folds_;
    report.plan_reason = why;
    const std::chrono::duration<double> spent =
        std::chrono::steady_clock::now() - start;
    report.capture_seconds = spent.count();
    return std::make_shared<const Captured>(std::move(result));
  }

  std::unique_ptr<nn::State> make_state(
      const Captured& captured,
      int capacity) {
    if (captured.original) {
      return std::make_unique<OriginalState>(
          shared_from_this(),
          captured.original,
          captured.original->new_state(capacity));
    }
    nn::check_capacity(model->shape(), capacity);
    return captured.plan
        ? replayed_state(
              shared_from_this(), model->shape(), captured.plan, capacity)
        : rebuilt_state(
              shared_from_this(),
              model->shape(),
              [step = captured.step](int c) { return graph_of(step, c); },
              kFirstCapacity,
              capacity);
  }

  /// How many operations the step has before the folds.
  int lift(Captured& result, std::string* why) const {
    auto lifted = plan::capture_step(*model, kFirstCapacity, device_, choose_);
    const auto captured = std::count_if(
        lifted.nodes.begin(), lifted.nodes.end(), [](const auto& node) {
          return node.kind == graph::Kind::Kernel ||
              node.kind == graph::Kind::Foreign;
        });
    result.step = std::make_shared<const graph::Graph>(
        graph::apply_folds(lifted, folds_));
    result.plan = plan::Plan::make(result.step, why);
    return static_cast<int>(captured);
  }

  static GraphPtr graph_of(const GraphPtr& step, int capacity) {
    return capacity == kFirstCapacity
        ? step
        : std::make_shared<const graph::Graph>(
              plan::with_capacity(*step, capacity));
  }

  const mx::Device device_;
  const std::vector<std::string> folds_;
  const plan::Choose choose_;
  mutable std::mutex mutex_; // of captured_
  std::shared_ptr<const Captured> captured_;
};

} // namespace patch_detail

using patch_detail::Patched;

PatchedDecoder::PatchedDecoder(std::shared_ptr<Patched> impl)
    : impl_(std::move(impl)) {}

PatchedDecoder::~PatchedDecoder() = default;

const nn::DecoderShape& PatchedDecoder::shape() const {
  return impl_->model->shape();
}

Report PatchedDecoder::report() const {
  return impl_->captured()->report;
}

std::shared_ptr<const plan::Plan> PatchedDecoder::plan() const {
  return impl_->captured()->plan;
}

std::shared_ptr<const graph::Graph> PatchedDecoder::graph() const {
  return impl_->captured()->step;
}

const std::shared_ptr<const nn::Model>& PatchedDecoder::model() const {
  return impl_->model;
}

std::unique_ptr<nn::State> PatchedDecoder::new_state(int capacity) {
  return impl_->new_state(capacity);
}

mx::array PatchedDecoder::forward(
    const std::vector<int>& tokens,
    nn::State& state) {
  if (auto* stock = impl_->original(state)) {
    return stock->decoder().forward(tokens, stock->state());
  }
  return impl_->append(tokens, state).logits();
}

int PatchedDecoder::next_token(
    const std::vector<int>& tokens,
    nn::State& state) {
  if (auto* stock = impl_->original(state)) {
    return stock->decoder().next_token(tokens, stock->state());
  }
  return impl_->append(tokens, state).likeliest();
}

void PatchedDecoder::submit(std::optional<int> token, nn::State& state) {
  if (auto* stock = impl_->original(state)) {
    stock->decoder().submit(token, stock->state());
    return;
  }
  auto& mine = impl_->own(state);
  if (token) {
    impl_->check_vocabulary({*token});
  }
  mine.submit(token);
}

int PatchedDecoder::poll(nn::State& state) {
  if (auto* stock = impl_->original(state)) {
    return stock->decoder().poll(stock->state());
  }
  return impl_->own(state).poll();
}

std::unique_ptr<PatchedDecoder> patch(
    std::shared_ptr<const nn::Model> model,
    const PatchOptions& options) {
  if (!model) {
    throw user_error("patch: expected a model, got a null pointer");
  }
  return std::unique_ptr<PatchedDecoder>(
      new PatchedDecoder(std::make_shared<Patched>(std::move(model), options)));
}

std::unique_ptr<nn::Decoder> unpatch(std::unique_ptr<PatchedDecoder> patched) {
  if (!patched) {
    throw user_error("unpatch: expected a patched model, got a null pointer");
  }
  auto model = patched->model();
  patched.reset();
  return nn::plain_decoder(std::move(model));
}

const std::vector<graph::Pattern>& list_patterns() {
  return graph::patterns();
}

} // namespace zmlx
