#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "zmlx/backend/backend.h"
#include "zmlx/export.h"
#include "zmlx/lang/kernel.h"

/// The executables of this process: one a (body, types of its inputs, device),
/// made when first asked for and kept. Safe from any thread; two threads that
/// ask for one at once get the same.
namespace zmlx::op {

namespace mx = mlx::core;

/// The executable of a body, by the peer of the device; null, with the reason
/// in *why (which may be null), where the device has no peer, the body cannot
/// be lowered, or the peer does not support it.
ZMLX_API std::shared_ptr<const backend::Executable> executable(
    const lang::Body& body,
    const std::vector<lang::Type>& types,
    mx::Device device,
    std::string* why);

/// The same where lang::content_key(body) is at hand.
ZMLX_API std::shared_ptr<const backend::Executable> executable(
    const lang::Body& body,
    const std::string& content_key,
    const std::vector<lang::Type>& types,
    mx::Device device,
    std::string* why);

/// Why there would be no executable, if so. Compiles nothing.
ZMLX_API std::optional<std::string> unsupported(
    const lang::Body& body,
    const std::vector<lang::Type>& types,
    mx::Device device);

struct ExecutableCounts {
  int64_t hits = 0;
  int64_t misses = 0; // made, or found to be unsupported
  int64_t unsupported = 0;
  double seconds = 0; // spent in making them
};
ZMLX_API ExecutableCounts executable_counts();

} // namespace zmlx::op
