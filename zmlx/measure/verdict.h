#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "zmlx/export.h"

namespace zmlx::measure {

/// What the patched model does to the answers.
enum class Verdict {
  identical, // every greedy token is equal
  faithful, // no farther from the reference than the unpatched model
  failed,
};

/// "identical", "faithful", "failed".
ZMLX_API const char* to_string(Verdict verdict);

/// What was observed, a value per position, teacher-forced on the same tokens.
/// The four spans have one length; all are empty where no reference was run.
struct Fidelity {
  std::size_t tokens_total = 0; // greedy tokens compared
  std::size_t tokens_equal = 0;
  /// KL(reference || model) of the next-token distributions, in nats.
  std::span<const double> kl_unpatched;
  std::span<const double> kl_patched;
  /// 1 where the likeliest token is the reference's.
  std::span<const char> top1_unpatched;
  std::span<const char> top1_patched;
};

/// How far both are from the reference.
struct Distance {
  double kl_unpatched; // means over positions
  double kl_patched;
  double top1_unpatched; // shares, 0 to 1
  double top1_patched;
  /// Lower 95 % bounds of what patched has too much; at most 0 is faithful.
  double kl_excess_bound;
  double top1_loss_bound;
};

struct Judgement {
  Verdict verdict = Verdict::failed;
  /// Nothing where it was not measured, or is no finite number.
  std::optional<Distance> distance;
  /// What the verdict rests on: "greedy tokens (200) and distributions (at 200
  /// positions)".
  std::string basis;
  /// Why it failed, else empty.
  std::string reason;
};

/// How much more KL the patched model may have (a share of the unpatched one's
/// and a floor), and how much top-1 agreement it may lose.
inline constexpr double kl_share = 1.10;
inline constexpr double kl_floor = 1e-6;
inline constexpr double top1_margin = 0.01;

/// The verdict. *identical*: all greedy tokens equal. *faithful*: the lower 95
/// % bounds, by paired bootstrap over positions, of the means of
///   KL_patched - kl_share * KL_unpatched - kl_floor   and
///   top1_unpatched - top1_patched - top1_margin
/// are both at most 0. Else *failed*; a KL that is no finite number always
/// fails. Without a reference only equal tokens pass. InternalError where the
/// lengths differ, no token was compared, or more are equal than compared.
ZMLX_API Judgement judge(const Fidelity& observed);

} // namespace zmlx::measure
