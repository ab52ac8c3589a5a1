#include "zmlx/generate/sampler.h"

#include <algorithm>
#include <cmath>

#include "zmlx/base/errors.h"
#include "zmlx/nn/logits.h"

namespace zmlx::generate {

namespace {

void check_range(const char* name, double value, double low, double high) {
  // Written so that a NaN fails.
  if (!(value >= low && value <= high)) {
    throw user_error("{} must be in [{}, {}], got {}", name, low, high, value);
  }
}

void check(const Sampling& s) {
  check_range("temperature", s.temperature, 0, 1e6);
  check_range("top-p", s.top_p, 0, 1);
  check_range("min-p", s.min_p, 0, 1);
  if (s.top_k < 0) {
    throw user_error("top-k must be at least 0, got {}", s.top_k);
  }
}

std::vector<Candidate> softmax(std::span<const float> logits, float highest) {
  std::vector<Candidate> all;
  all.reserve(logits.size());
  double total = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double p = std::exp(double(logits[i]) - highest);
    all.push_back({static_cast<int>(i), p});
    total += p;
  }
  for (auto& c : all) {
    c.probability /= total;
  }
  return all;
}

bool less_likely(const Candidate& a, const Candidate& b) {
  return a.probability != b.probability ? a.probability < b.probability
                                        : a.token > b.token;
}

// Each filter keeps the first so many by falling probability, so all of them
// together do. Few are kept as a rule: a heap, rather than a full sort.
std::vector<Candidate> filter(std::vector<Candidate> all, const Sampling& s) {
  const bool by_share = s.top_p > 0 && s.top_p < 1;
  const size_t most = s.top_k > 0 ? s.top_k : all.size();
  if (!by_share && s.min_p == 0 && most >= all.size()) {
    return all;
  }
  std::make_heap(all.begin(), all.end(), less_likely);
  const double least = all.front().probability * s.min_p;
  std::vector<Candidate> kept;
  double before = 0;
  while (!all.empty() && kept.size() < most) {
    const Candidate next = all.front();
    if (next.probability < least) {
      break;
    }
    // A token stays when it and all less likely ones hold more than 1 - top_p.
    if (by_share && !kept.empty() && 1 - before <= 1 - s.top_p) {
      break;
    }
    before += next.probability;
    kept.push_back(next);
    std::pop_heap(all.begin(), all.end(), less_likely);
    all.pop_back();
  }
  return kept;
}

void sharpen(std::vector<Candidate>& all, double temperature) {
  const double highest =
      std::max_element(all.begin(), all.end(), less_likely)->probability;
  double total = 0;
  for (auto& c : all) {
    c.probability = std::pow(c.probability / highest, 1 / temperature);
    total += c.probability;
  }
  for (auto& c : all) {
    c.probability /= total;
  }
}

uint64_t any_seed() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

} // namespace

Sampler::Sampler(const Sampling& sampling)
    : sampling_(sampling),
      random_(sampling.seed ? *sampling.seed : any_seed()) {
  check(sampling_);
}

std::vector<Candidate> Sampler::candidates(
    std::span<const float> logits,
    std::optional<int> position) const {
  const int best = nn::likeliest(logits, position);
  if (sampling_.temperature == 0) {
    return {{best, 1.0}};
  }
  auto all = filter(softmax(logits, logits[best]), sampling_);
  sharpen(all, sampling_.temperature);
  return all;
}

int Sampler::operator()(
    std::span<const float> logits,
    std::optional<int> position) {
  const auto all = candidates(logits, position);
  if (all.size() == 1) {
    return all.front().token;
  }
  // 53 random bits in [0, 1): the same on every machine, unlike the standard
  // distributions.
  double left = static_cast<double>(random_() >> 11) * 0x1p-53;
  for (auto& c : all) {
    left -= c.probability;
    if (left < 0) {
      return c.token;
    }
  }
  return all.back().token;
}

} // namespace zmlx::generate
