#include "zmlx/patch/patch.h"

#include <algorithm>
#include <chrono>
#include <map>

#include "zmlx/base/errors.h"
#include "zmlx/graph/fold.h"
#include "zmlx/graph/to_mlx.h"
#include "zmlx/plan/step.h"

namespace zmlx {

namespace patch_detail {

/// Contexts start at this many tokens and double when full.
constexpr int kFirstCapacity = 512;

/// A model, its folds, and the plans made so far, one a capacity.
class Patched {
 public:
  Patched(std::shared_ptr<const nn::Model> model, const PatchOptions& options)
      : model(std::move(model)),
        folds(graph::folds_of(options.patterns, options.exclude)),
        original(nn::plain_decoder(this->model)) {
    auto start = std::chrono::steady_clock::now();
    std::string why;
    int captured = 0;
    try {
      auto lifted = plan::capture_step(*this->model, first_capacity());
      captured = static_cast<int>(
          std::count_if(lifted.nodes.begin(), lifted.nodes.end(), is_work));
      first_graph = graph::apply_folds(lifted, folds);
      first_plan = plan::Plan::make(*first_graph, &why);
    } catch (const UserError& e) {
      why = e.what();
    }
    report =
        first_graph ? make_report(*first_graph, first_plan.get()) : Report{};
    report.model_type = this->model->shape().model_type;
    report.layers = static_cast<int>(this->model->shape().caches.size());
    report.captured = captured;
    report.folds = folds;
    report.plan_reason = why;
    std::chrono::duration<double> spent =
        std::chrono::steady_clock::now() - start;
    report.capture_seconds = spent.count();
  }

  int first_capacity() const {
    return std::min(kFirstCapacity, std::max(1, model->shape().max_positions));
  }

  std::shared_ptr<const plan::Plan> plan_for(int capacity) {
    if (capacity == first_capacity()) {
      return first_plan;
    }
    auto& plan = plans[capacity];
    if (!plan) {
      std::string why;
      auto folded =
          graph::apply_folds(plan::capture_step(*model, capacity), folds);
      plan = plan::Plan::make(std::move(folded), &why);
      if (!plan) {
        throw internal_error("no plan for {} tokens: {}", capacity, why);
      }
    }
    return plan;
  }

  static bool is_work(const graph::Node& node) {
    return node.kind == graph::Kind::Kernel ||
        node.kind == graph::Kind::Foreign;
  }

  std::shared_ptr<const nn::Model> model;
  std::vector<std::string> folds;
  std::unique_ptr<nn::Decoder> original;
  std::optional<graph::Graph> first_graph;
  std::shared_ptr<const plan::Plan> first_plan;
  std::map<int, std::shared_ptr<const plan::Plan>> plans;
  Report report;
};

/// A conversation that a plan runs.
class PatchedState : public nn::State {
 public:
  PatchedState(Patched& owner, std::unique_ptr<plan::State> state, int limit)
      : owner_(owner), state_(std::move(state)), limit_(limit) {
    bind();
  }

  int position() const override {
    return state_->position();
  }
  int capacity() const override {
    return limit_;
  }
  void trim(int n) override {
    state_->trim(n);
  }
  std::unique_ptr<nn::State> copy() const override {
    return std::make_unique<PatchedState>(owner_, state_->copy(), limit_);
  }
  size_t memory_bytes() const override {
    return state_->memory_bytes() + replay_->memory_bytes();
  }

  const Patched* owner() const {
    return &owner_;
  }

  /// Room for `tokens` more, growing by doubling.
  void make_room(size_t tokens) {
    auto needed =
        static_cast<int64_t>(position()) + static_cast<int64_t>(tokens);
    if (needed > limit_) {
      throw user_error(
          "the context is full: it holds {} of {} tokens, {} more do not fit",
          position(),
          limit_,
          tokens);
    }
    int64_t capacity = state_->capacity();
    while (capacity < needed) {
      capacity = std::min<int64_t>(2 * capacity, limit_);
    }
    if (capacity > state_->capacity()) {
      replay_.reset();
      state_->grow(static_cast<int>(capacity));
      bind();
    }
  }

  const float* run(const std::vector<int>& tokens) {
    for (size_t i = 0; i < tokens.size(); i++) {
      bool last = i + 1 == tokens.size();
      replay_->step(state_->ticket(), tokens[i], last);
    }
    return static_cast<const float*>(replay_->output(0));
  }

 private:
  void bind() {
    replay_ = std::make_unique<plan::Replay>(
        owner_.plan_for(state_->capacity()), *state_);
  }

  Patched& owner_;
  std::unique_ptr<plan::State> state_;
  std::unique_ptr<plan::Replay> replay_;
  int limit_;
};

} // namespace patch_detail

using patch_detail::Patched;
using patch_detail::PatchedState;

PatchedDecoder::PatchedDecoder(std::unique_ptr<Patched> impl)
    : impl_(std::move(impl)) {}

PatchedDecoder::~PatchedDecoder() = default;

const nn::DecoderShape& PatchedDecoder::shape() const {
  return impl_->model->shape();
}

const Report& PatchedDecoder::report() const {
  return impl_->report;
}

const plan::Plan* PatchedDecoder::plan() const {
  return impl_->first_plan.get();
}

const graph::Graph* PatchedDecoder::graph() const {
  return impl_->first_graph ? &*impl_->first_graph : nullptr;
}

const std::shared_ptr<const nn::Model>& PatchedDecoder::model() const {
  return impl_->model;
}

std::unique_ptr<nn::State> PatchedDecoder::new_state(int capacity) {
  if (!impl_->first_plan) {
    return impl_->original->new_state(capacity);
  }
  if (capacity < 1) {
    throw user_error("capacity must be at least 1 token, got {}", capacity);
  }
  int first = std::min(capacity, impl_->first_capacity());
  return std::make_unique<PatchedState>(
      *impl_, std::make_unique<plan::State>(shape().caches, first), capacity);
}

mx::array PatchedDecoder::forward(
    const std::vector<int>& tokens,
    nn::State& state) {
  if (!impl_->first_plan) {
    return impl_->original->forward(tokens, state);
  }
  auto* mine = dynamic_cast<PatchedState*>(&state);
  if (!mine || mine->owner() != impl_.get()) {
    throw user_error("forward: the state belongs to another decoder");
  }
  if (tokens.empty()) {
    throw user_error("forward: no tokens");
  }
  for (int token : tokens) {
    if (token < 0 || token >= shape().vocab_size) {
      throw user_error(
          "forward: token {} is outside the vocabulary of {}",
          token,
          shape().vocab_size);
    }
  }
  mine->make_room(tokens.size());
  return mx::array(mine->run(tokens), {shape().vocab_size}, mx::float32);
}

std::unique_ptr<PatchedDecoder> patch(
    std::shared_ptr<const nn::Model> model,
    const PatchOptions& options) {
  return std::unique_ptr<PatchedDecoder>(
      new PatchedDecoder(std::make_unique<Patched>(std::move(model), options)));
}

std::unique_ptr<nn::Decoder> unpatch(std::unique_ptr<PatchedDecoder> patched) {
  auto model = patched->model();
  patched.reset();
  return nn::plain_decoder(std::move(model));
}

const std::vector<graph::Pattern>& list_patterns() {
  return graph::patterns();
}

} // namespace zmlx
