#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "zmlx/backend/backend.h"
#include "zmlx/export.h"
#include "zmlx/lang/kernel.h"

/// The executables of this process: one a (body, types of its inputs), made
/// when first asked for and kept. Safe from any thread; two threads that ask
/// for one at once get the same.
namespace zmlx::op {

/// The CPU's executable of a body; null, with the reason in *why (which may be
/// null), where it cannot be lowered or the peer does not support it.
ZMLX_API std::shared_ptr<const backend::Executable> executable(
    const lang::Body& body,
    const std::vector<lang::Type>& types,
    std::string* why);

/// The same where lang::content_key(body) is at hand.
ZMLX_API std::shared_ptr<const backend::Executable> executable(
    const lang::Body& body,
    const std::string& content_key,
    const std::vector<lang::Type>& types,
    std::string* why);

struct ExecutableCounts {
  int64_t hits = 0;
  int64_t misses = 0; // made, or found to be unsupported
  int64_t unsupported = 0;
  double seconds = 0; // spent in making them
};
ZMLX_API ExecutableCounts executable_counts();

} // namespace zmlx::op
