#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "zmlx/export.h"

namespace zmlx {

/// The user asked for something that cannot be: a bad file, flag, formula,
/// shape. The message says who, what was asked and what was expected.
/// Programs exit with 2.
class ZMLX_API UserError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The machine lacks something: a package, a device, space, permission.
/// Programs exit with 3.
class ZMLX_API EnvironmentError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A bug of ours: an invariant did not hold. Programs exit with 3 and ask for
/// a report.
class ZMLX_API InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// `throw user_error("{}: expected {} dims, got {}", name, a, b);`
template <typename... Args>
UserError user_error(fmt::format_string<Args...> text, Args&&... args) {
  return UserError(fmt::format(text, std::forward<Args>(args)...));
}

template <typename... Args>
EnvironmentError environment_error(
    fmt::format_string<Args...> text,
    Args&&... args) {
  return EnvironmentError(fmt::format(text, std::forward<Args>(args)...));
}

template <typename... Args>
InternalError internal_error(fmt::format_string<Args...> text, Args&&... args) {
  return InternalError(fmt::format(text, std::forward<Args>(args)...));
}

} // namespace zmlx
