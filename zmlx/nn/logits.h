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

/// For a likeliest token that was found elsewhere, by an argmax and a max that
/// take NaN for the largest: LogitsError unless `logit`, the largest, is
/// finite.
ZMLX_API void
check_likeliest(int token, float logit, std::optional<int> position);

} // namespace zmlx::nn
