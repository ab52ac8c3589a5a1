#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "zmlx/export.h"
#include "zmlx/graph/presets.h"
#include "zmlx/nn/decoder.h"
#include "zmlx/patch/report.h"

namespace zmlx {

namespace mx = mlx::core;

namespace patch_detail {
class Patched;
}

struct PatchOptions {
  /// Patterns, presets or folds to apply; empty means all.
  std::vector<std::string> patterns;
  std::vector<std::string> exclude;
  /// Where the step runs; without one on MLX's default device.
  std::optional<mx::Device> device = {};
  /// How a step chooses the token that next_token, submit and poll give: from
  /// logits (1, 1, vocab) float32 and the position () int32 to one integer, in
  /// MLX's operations and kernels. It runs inside the step. Empty: the
  /// likeliest. Random numbers need a key that is made of the position; a token
  /// outside the vocabulary is a UserError of the step's poll or next_token.
  std::function<mx::array(const mx::array& logits, const mx::array& position)>
      choose = {};
};

/// A model that decodes by replaying a plan: a Decoder with the same answers.
/// Where the step cannot be captured or planned, it runs as the original, or as
/// MLX arrays with the kernels that there are, and report() says why. The
/// model's weights are read in place and kept alive; narrowed copies of its
/// scales (fold narrow_constants) are its own.
class ZMLX_API PatchedDecoder : public nn::Decoder {
 public:
  ~PatchedDecoder() override;

  const nn::DecoderShape& shape() const override;
  /// Memory for `capacity` tokens is reserved; it is taken as tokens come.
  /// Where the model's weights are other arrays than before, the step is
  /// captured again; conversations that run go on with the old ones.
  std::unique_ptr<nn::State> new_state(int capacity) override;
  /// UserError for a token outside the vocabulary, a full context, a state of
  /// another decoder; the state is as before then.
  mx::array forward(const std::vector<int>& tokens, nn::State& state) override;
  int next_token(const std::vector<int>& tokens, nn::State& state) override;
  void submit(std::optional<int> token, nn::State& state) override;
  int poll(nn::State& state) override;

  /// Of the step that was captured last; so are plan() and graph().
  Report report() const;
  /// Null where there is none.
  std::shared_ptr<const plan::Plan> plan() const;
  /// The step after the folds; null where it could not be captured.
  std::shared_ptr<const graph::Graph> graph() const;
  const std::shared_ptr<const nn::Model>& model() const;

 private:
  friend std::unique_ptr<PatchedDecoder> patch(
      std::shared_ptr<const nn::Model> model,
      const PatchOptions& options);
  explicit PatchedDecoder(std::shared_ptr<patch_detail::Patched> impl);
  std::shared_ptr<patch_detail::Patched> impl_;
};

/// Captures one decode step of the model, lifts it into kernels, folds them and
/// plans their replay. `model` itself is untouched. UserError for a null
/// pointer, an unknown pattern, a device that is not there, and what `choose`
/// throws.
ZMLX_API std::unique_ptr<PatchedDecoder> patch(
    std::shared_ptr<const nn::Model> model,
    const PatchOptions& options = {});

/// The decoder that the model was before: stock MLX. What the plan held is
/// freed with `patched`. UserError for a null pointer.
ZMLX_API std::unique_ptr<nn::Decoder> unpatch(
    std::unique_ptr<PatchedDecoder> patched);

/// Every pattern with what it does.
ZMLX_API const std::vector<graph::Pattern>& list_patterns();

} // namespace zmlx
