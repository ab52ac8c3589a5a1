#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "tests/fuzz/programs.h"

namespace zmlx::fuzz {

/// Elements that were compared. Those whose answer may be anything within
/// 2^-8 of itself or more, since it jumps or cancels near here, say little.
struct Compared {
  int64_t elements = 0;
  int64_t sharp = 0;

  double share() const {
    return elements == 0
        ? 1
        : static_cast<double>(sharp) / static_cast<double>(elements);
  }
};

struct Tally {
  int64_t programs = 0;
  int64_t parsed = 0; // what was printed; the parser lacks words for the rest
  Compared values;
  Compared gradients;
  Compared derivations; // against MLX's
  int64_t derived = 0; // programs with gradients as kernels
  std::map<std::string, int64_t> underived; // by reason
};

/// What of a program is not as it must be: that its text reads back as the same
/// trees; that its outputs, and its gradients through mx::vjp, are what they
/// may be (tests/fuzz/enclosure.h), and so are those of the reference in
/// float64.
std::optional<std::string>
difference(const Program& program, uint64_t seed, Tally& tally);

} // namespace zmlx::fuzz
