#pragma once

#include <optional>
#include <span>

#include "zmlx/base/errors.h"
#include "zmlx/export.h"

namespace zmlx::nn {

/// A model's logits say nothing about the next token: they hold a NaN or
/// +infinity, or nothing above -infinity. Its weights or their format are
/// damaged, or its activations overflow their type. The message names the
/// token and, where it is known, the position.
class ZMLX_API LogitsError : public UserError {
 public:
  using UserError::UserError;
};

/// The place of the largest logit, the first among equals, which is a token.
/// `position`: how many tokens came before it, for the message. LogitsError as
/// above; a single -infinity is a token that cannot come and no error.
ZMLX_API int likeliest(
    std::span<const float> logits,
    std::optional<int> position = std::nullopt);

/// For logits whose largest, NaN where any is, was found elsewhere: LogitsError
/// unless it is finite. `token`: its place, where that is known.
ZMLX_API void check_largest(
    float logit,
    std::optional<int> token,
    std::optional<int> position);

} // namespace zmlx::nn
