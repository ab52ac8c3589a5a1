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

/// A model, its folded step, and its plan.
class Patched : public std::enable_shared_from_this<Patched> {
 public:
  Patched(std::shared_ptr<const nn::Model> model, const PatchOptions& options)
      : model(std::move(model)),
        device(device_of(options)),
        folds_(graph::folds_of(options.patterns, options.exclude)),
        choose_(options.choose) {
    capture();
  }

  std::unique_ptr<nn::State> new_state(int capacity) {
    std::lock_guard lock(mutex_);
    if (weight_ids(*model) != weights_) {
      capture(); // a plan reads the weights that it was made with
    }
    return make_state(capacity);
  }

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

  std::shared_ptr<const nn::Model> model;
  const mx::Device device;
  GraphPtr step; // null: the model cannot be captured
  PlanPtr step_plan; // null: parts of the step have no kernel
  std::unique_ptr<nn::Decoder> original; // where nothing could be captured
  Report report;

 private:
  void capture() {
    const auto start = std::chrono::steady_clock::now();
    std::string why;
    step = nullptr;
    step_plan = nullptr;
    try {
      lift(&why);
      original = nullptr;
    } catch (const UserError& e) {
      if (choose_) {
        throw user_error("patch: no step to choose tokens in: {}", e.what());
      }
      why = e.what();
      original = nn::plain_decoder(model);
    }
    weights_ = weight_ids(*model);
    describe(why);
    const std::chrono::duration<double> spent =
        std::chrono::steady_clock::now() - start;
    report.capture_seconds = spent.count();
  }

  std::unique_ptr<nn::State> make_state(int capacity) {
    if (original) {
      return original->new_state(capacity);
    }
    nn::check_capacity(model->shape(), capacity);
    return step_plan
        ? replayed_state(
              shared_from_this(), model->shape(), step_plan, capacity)
        : rebuilt_state(
              shared_from_this(),
              model->shape(),
              [step = step](int c) { return graph_of(step, c); },
              kFirstCapacity,
              capacity);
  }

  static mx::Device device_of(const PatchOptions& options) {
    return options.device.value_or(mx::default_device());
  }

  void lift(std::string* why) {
    auto lifted = plan::capture_step(*model, kFirstCapacity, device, choose_);
    report.captured = static_cast<int>(std::count_if(
        lifted.nodes.begin(), lifted.nodes.end(), [](const auto& node) {
          return node.kind == graph::Kind::Kernel ||
              node.kind == graph::Kind::Foreign;
        }));
    step = std::make_shared<const graph::Graph>(
        graph::apply_folds(lifted, folds_));
    step_plan = plan::Plan::make(step, why);
  }

  void describe(const std::string& why) {
    const int captured = report.captured;
    if (step) {
      report = make_report(*step, step_plan.get());
    }
    report.model_type = model->shape().model_type;
    report.layers = static_cast<int>(model->shape().caches.size());
    report.captured = captured;
    report.folds = folds_;
    report.plan_reason = why;
  }

  static GraphPtr graph_of(const GraphPtr& step, int capacity) {
    return capacity == kFirstCapacity
        ? step
        : std::make_shared<const graph::Graph>(
              plan::with_capacity(*step, capacity));
  }

  const std::vector<std::string> folds_;
  const plan::Choose choose_;
  std::mutex mutex_; // of new_state
  WeightIds weights_; // that the step was captured with
};

} // namespace patch_detail

using patch_detail::Patched;

PatchedDecoder::PatchedDecoder(std::shared_ptr<Patched> impl)
    : impl_(std::move(impl)) {}

PatchedDecoder::~PatchedDecoder() = default;

const nn::DecoderShape& PatchedDecoder::shape() const {
  return impl_->model->shape();
}

const Report& PatchedDecoder::report() const {
  return impl_->report;
}

const plan::Plan* PatchedDecoder::plan() const {
  return impl_->step_plan.get();
}

const graph::Graph* PatchedDecoder::graph() const {
  return impl_->step.get();
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
  return impl_->original ? impl_->original->forward(tokens, state)
                         : impl_->append(tokens, state).logits();
}

int PatchedDecoder::next_token(
    const std::vector<int>& tokens,
    nn::State& state) {
  return impl_->original ? impl_->original->next_token(tokens, state)
                         : impl_->append(tokens, state).likeliest();
}

void PatchedDecoder::submit(std::optional<int> token, nn::State& state) {
  if (impl_->original) {
    impl_->original->submit(token, state);
    return;
  }
  auto& mine = impl_->own(state);
  if (token) {
    impl_->check_vocabulary({*token});
  }
  mine.submit(token);
}

int PatchedDecoder::poll(nn::State& state) {
  return impl_->original ? impl_->original->poll(state)
                         : impl_->own(state).poll();
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
