// Null pointers in the place of models: the whole message of every public
// function that takes one.

#include "tests/errors/messages.h"
#include "zmlx/lab/validate.h"
#include "zmlx/patch/patch.h"

namespace zmlx {
namespace {

TEST(PointerErrors, AModelIsExpected) {
  expect_messages({
      {[] { nn::plain_decoder(nullptr); },
       "plain_decoder: expected a model, got a null pointer"},
      {[] { patch(nullptr); }, "patch: expected a model, got a null pointer"},
      {[] { unpatch(nullptr); },
       "unpatch: expected a patched model, got a null pointer"},
      {[] { lab::validate(nullptr, {{1}}, {}); },
       "validate: expected a model, got a null pointer"},
  });
}

} // namespace
} // namespace zmlx
