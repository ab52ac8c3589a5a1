#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <vector>

#include "zmlx/export.h"

namespace zmlx::generate {

/// How the next token is chosen. Filters apply in mlx_lm's order: top_p, min_p,
/// top_k, then the temperature.
struct Sampling {
  double temperature = 0; // 0: the most likely token, and no filter matters
  double top_p = 0; // keep the likeliest that make up this share; 0 or 1: all
  double min_p = 0; // keep those at least this share of the likeliest; 0: all
  int top_k = 0; // keep so many; 0: all
  std::optional<uint64_t> seed; // none: another sequence every time
};

/// A token that may be chosen.
struct Candidate {
  int token;
  double probability;
};

/// Chooses tokens. Runs on the host; equal seeds and logits give equal tokens.
class ZMLX_API Sampler {
 public:
  /// UserError when a field is out of its range.
  explicit Sampler(const Sampling& sampling);

  /// The next token for logits (vocab). Ties go to the smaller token id.
  /// `position`: how many tokens came before it, for the message of an error.
  /// nn::LogitsError when the logits hold a NaN or +infinity, or nothing above
  /// -infinity.
  int operator()(
      std::span<const float> logits,
      std::optional<int> position = std::nullopt);

  /// The tokens that may follow with their probabilities, which sum to 1, in no
  /// particular order; just the one at temperature 0. The same errors.
  std::vector<Candidate> candidates(
      std::span<const float> logits,
      std::optional<int> position = std::nullopt) const;

 private:
  Sampling sampling_;
  std::mt19937_64 random_;
};

} // namespace zmlx::generate
